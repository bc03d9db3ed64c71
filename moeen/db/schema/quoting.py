"""Names of the canonical form as GRANT, COMMENT and ALTER name them."""

from __future__ import annotations

from moeen.db.names import ObjectName
from moeen.db.sql import compose, fragment

KINDS = {"table": "TABLE", "sequence": "SEQUENCE", "function": "FUNCTION", "schema": "SCHEMA", "type": "TYPE"}


def privilege_words(text: str) -> set[str]:
    return set(text.split(", ")) - {"", "nothing"}


def name_sql(name: ObjectName) -> str:
    return name.identifier().as_string(None)


def target_sql(kind: str, name: ObjectName) -> str:
    if kind == "column":
        return f"TABLE {name_sql(name.relation)}"
    return f"{KINDS[kind]} {name_sql(name)}"


def column_sql(kind: str, name: ObjectName) -> str:
    return compose(" ({c})", c=name.part) if kind == "column" else ""


def described_sql(kind: str, name: ObjectName) -> str:
    """What COMMENT ON names."""
    if kind in ("constraint", "trigger", "policy", "rule"):
        what = fragment(kind.upper())
        return compose("{k} {n} ON {t}", k=what, n=name.part, t=name.relation.identifier())
    if kind == "column":
        return compose("COLUMN {t}.{n}", t=name.relation.identifier(), n=name.part)
    return f"{'FUNCTION' if 'function' in kind else kind.upper()} {name_sql(name)}"
