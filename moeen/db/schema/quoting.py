"""Names of the canonical form as SQL names them."""

from __future__ import annotations

from psycopg import sql

from moeen.db.sql import compose

KINDS = {"table": "TABLE", "sequence": "SEQUENCE", "function": "FUNCTION", "schema": "SCHEMA", "type": "TYPE"}


def privilege_words(text: str) -> set[str]:
    return set(text.split(", ")) - {"", "nothing"}


def role_sql(name: str) -> str:
    return "PUBLIC" if name in ("public", "PUBLIC") else compose("{n}", n=name)


def path_sql(name: str) -> str:
    """A relation's or type's name, quoted, with its schema where it is not public."""
    return sql.Identifier(*name.split(".", 1)).as_string(None)


def signature_sql(name: str) -> str:
    """``schema.name(arguments)`` as DDL takes it."""
    path, _, arguments = name.partition("(")
    return f"{path_sql(path)}({arguments}"


def object_sql(kind: str, name: str) -> str:
    return signature_sql(name) if "function" in kind else path_sql(name)


def target_sql(kind: str, name: str, _: str) -> str:
    if kind == "column":
        return f"TABLE {compose('{t}', t=name.partition('.')[0])}"
    return f"{KINDS[kind]} {object_sql(kind, name)}"


def column_sql(kind: str, name: str) -> str:
    return compose(" ({c})", c=name.partition(".")[2]) if kind == "column" else ""
