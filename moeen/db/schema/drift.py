"""Two catalogs against each other: every difference is a finding, graded, with why it matters and what mends it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from moeen.db.findings import Finding, Severity
from moeen.db.schema.canonical import Objects
from moeen.db.schema.mending import ORDER, Mender

Entry = Mapping[str, Any]
BREAKS, UNSAFE, SLOW, COSMETIC = Severity.BREAKS, Severity.UNSAFE, Severity.SLOW, Severity.COSMETIC

#: Kind -> severity of an object that is missing, and why.
MISSING: Mapping[str, tuple[Severity, str]] = {
    "schema": (BREAKS, "what stands in it cannot be found"),
    "table": (BREAKS, "everything that reads or writes it fails"),
    "column": (BREAKS, "every query that names it fails"),
    "constraint": (UNSAFE, "rows that must not be are accepted"),
    "index": (SLOW, "look-ups read the whole table"),
    "trigger": (UNSAFE, "what it keeps up, such as the audit trail or updated_at, is kept up no more"),
    "policy": (BREAKS, "the role sees or writes nothing where it should"),
    "rule": (BREAKS, "statements do something else than written"),
    "function": (BREAKS, "defaults, triggers and policies that call it fail"),
    "auth function": (BREAKS, "policies cannot tell who is asking"),
    "sequence": (BREAKS, "new rows get no number"),
    "type": (BREAKS, "columns of it cannot be read"),
    "role": (BREAKS, "nobody can act in it"),
}
#: Kind -> severity of an object that the code does not know, and why.
EXTRA: Mapping[str, tuple[Severity, str]] = {
    "schema": (COSMETIC, "no migration made it"),
    "table": (COSMETIC, "no migration made it: nobody keeps it in shape"),
    "column": (COSMETIC, "no migration made it; the code does not know it"),
    "constraint": (BREAKS, "it may refuse rows that the code writes"),
    "index": (COSMETIC, "every write pays for it"),
    "trigger": (UNSAFE, "it changes what writes do"),
    "policy": (UNSAFE, "it may show or open rows to those who must not have them"),
    "rule": (UNSAFE, "it changes what statements do"),
    "function": (COSMETIC, "no migration made it"),
    "auth function": (UNSAFE, "schema auth decides who is asking"),
    "sequence": (COSMETIC, "no migration made it"),
    "type": (COSMETIC, "no migration made it"),
    "extension": (COSMETIC, "the schema needs none; its functions stand beside ours"),
    "object": (COSMETIC, "no migration made it"),
    "event trigger": (UNSAFE, "it runs code of ours at every change of the schema"),
    "default privileges": (UNSAFE, "whatever a later migration makes is open to these roles"),
    "role": (UNSAFE, "it bears a name of ours"),
}
_WRITES = "writes that the code makes fail, or store something else"
#: Kind -> attribute -> severity of a difference, and why; "" stands for all other attributes.
CHANGED: Mapping[str, Mapping[str, tuple[Severity, str]]] = {
    "table": {
        "row_security": (UNSAFE, "policies are not asked: whoever holds a grant sees every row"),
        "forced": (BREAKS, "migrations, dumps and commands become blind without an error"),
        "unlogged": (UNSAFE, "a crash empties the table, standbys and backups lack it"),
        "kind": (BREAKS, "it is not what the code writes to"),
        "definition": (UNSAFE, "it shows something else"),
        "options": (SLOW, "storage settings decide about bloat and speed"),
        "replica_identity": (COSMETIC, "logical replication sends other keys"),
        "parents": (UNSAFE, "rows of this table appear in another, past its own policies"),
    },
    "column": {
        "type": (BREAKS, _WRITES),
        "collation": (SLOW, "indexes do not serve look-ups, and order differs"),
        "default": (BREAKS, _WRITES),
        "not_null": (UNSAFE, "empty values are accepted where there must be one, or refused where there may be none"),
        "generated": (BREAKS, _WRITES),
        "identity": (BREAKS, _WRITES),
    },
    "constraint": {
        "definition": (UNSAFE, "rows that must not be are accepted, or good ones refused"),
        "not_valid": (UNSAFE, "older rows were never proven, and the planner cannot rely on it"),
        "switched_off": (UNSAFE, "it is not enforced"),
    },
    "index": {
        "invalid": (SLOW, "no query uses it, every write pays for it"),
        "definition": (SLOW, "it may not serve the look-ups it was made for"),
        "unique": (UNSAFE, "it decides whether a value may occur twice"),
    },
    "trigger": {"": (UNSAFE, "what it keeps up, such as the audit trail or updated_at, is not kept up as written")},
    "policy": {"": (UNSAFE, "other rows than those intended are shown or written")},
    "rule": {"": (UNSAFE, "it changes what statements do")},
    "function": {
        "security_definer": (UNSAFE, "it decides with whose rights the body runs"),
        "settings": (UNSAFE, "without a fixed search_path a caller can slip other tables and functions in"),
        "leakproof": (UNSAFE, "a leakproof function sees rows before the policies are asked"),
        "volatility": (SLOW, "inside a policy it runs once a row instead of once"),
        "parallel": (SLOW, "queries that call it cannot be run in parallel"),
        "": (BREAKS, "it does something else than the code relies on"),
    },
    "sequence": {"": (BREAKS, "numbers run out earlier, or repeat"), "unlogged": (UNSAFE, "a crash resets it")},
    "type": {"": (BREAKS, "columns of it take other values")},
    "role": {
        "not_members": (BREAKS, "requests cannot be served in this role"),
        "": (UNSAFE, "somebody holds more rights than the policies count on"),
    },
    "default privileges": {"": (UNSAFE, "whatever a later migration makes is open to these roles")},
}
_COMMON: Mapping[str, tuple[Severity, str]] = {
    "comment": (COSMETIC, "the data dictionary says something else"),
    "owner": (UNSAFE, "an owner is not bound by policies, and migrations need to be it"),
}


def findings(expected: Objects, live: Objects, *, owner: str = "") -> list[Finding]:
    """What differs; empty when the two describe the same database. `owner` is named in the fixes."""
    mender = Mender(expected, live, owner)
    found: list[Finding] = []
    for kind in expected.keys() | live.keys():
        one, other = expected.get(kind, {}), live.get(kind, {})
        for name in one.keys() | other.keys():
            if one.get(name) != other.get(name) and not _follows(kind, one.get(name), name, live):
                found.extend(_findings(mender, kind, name, one.get(name), other.get(name)))
    gone, unknown = _absent(expected, live), _absent(live, expected)
    return sorted(f for f in found if not _within(f, gone) and not _within(f, unknown))


def _follows(kind: str, want: Entry | None, name: str, live: Objects) -> bool:
    """Whether a sequence is missing with its identity column, which is found and mended by itself."""
    if kind != "sequence" or want is None or name in live.get("sequence", {}):
        return False
    column = live.get("column", {}).get(want.get("column", ""))
    return "." in want.get("column", "") and (column is None or not column.get("identity"))


def _absent(there: Objects, here: Objects) -> set[str]:
    return there.get("table", {}).keys() - here.get("table", {}).keys()


def _within(finding: Finding, tables: set[str]) -> bool:
    """Whether it is about a part of a table that is itself a finding: missing or unknown as a whole."""
    return finding.kind in ("column", "constraint", "index", "trigger", "policy", "rule") and (
        finding.object.partition(".")[0] in tables or finding.object.rpartition(".")[0] in tables
    )


def _findings(mender: Mender, kind: str, name: str, want: Entry | None, found: Entry | None) -> Iterator[Finding]:
    if found is None:
        assert want is not None
        severity, why = MISSING.get(kind, (BREAKS, "the code relies on it"))
        if kind == "index" and want.get("unique"):
            severity, why = UNSAFE, "values may occur twice"
        if kind == "policy" and want.get("restrictive"):
            severity, why = UNSAFE, "it keeps rows from those who must not have them"
        yield Finding(name, kind, "present", "missing", severity, mender.missing(kind, name, want), why)
    elif want is None:
        severity, why = _grade_extra(kind, found)
        told = _telling(kind, found)
        yield Finding(name, kind, "absent", told, severity, mender.extra(kind, name, found), why)
    else:
        differing = [key for key in sorted(want.keys() | found.keys()) if want.get(key) != found.get(key)]
        if kind in ("policy", "rule") and differing != ["comment"]:
            # Made anew as a whole, so told once.
            one, other = (", ".join(f"{key} {_words(e.get(key))}" for key in differing) for e in (want, found))
            severity, why = _grade(kind, differing[0], want, found)
            yield Finding(name, kind, one, other, severity, mender.changed(kind, name, differing[0], want, found), why)
            return
        if kind == "column" and "type" in differing and "collation" in differing:
            differing.remove("collation")  # both are mended by one change of type
        if kind == "constraint" and "definition" in differing and "not_valid" in differing:
            differing.remove("not_valid")
        if kind == "index" and len({"definition", "unique", "invalid"} & set(differing)) > 1:
            differing = [key for key in differing if key not in ("unique", "invalid") or "definition" not in differing]
        for key in differing:
            severity, why = _grade(kind, key, want, found)
            fix = mender.changed(kind, name, key, want, found)
            one, other = _told(key, want.get(key), found.get(key))
            yield Finding(name, f"{kind} {key.replace('_', ' ')}", one, other, severity, fix, why)


def _grade(kind: str, attribute: str, want: Entry, found: Entry) -> tuple[Severity, str]:
    if attribute == "grants":
        if _more(want.get("grants", {}), found.get("grants", {})):
            return UNSAFE, "somebody may do what they must not"
        return BREAKS, "somebody may not do what they need to"
    if attribute in _COMMON:
        return _COMMON[attribute]
    if kind == "index" and attribute == "invalid" and want.get("unique"):
        return UNSAFE, "values may occur twice"
    if kind == "column" and attribute == "not_null" and not want.get("not_null"):
        return BREAKS, "rows that the code writes are refused"
    known = CHANGED.get("function" if kind == "auth function" else kind, {})
    return known.get(attribute) or known.get("") or (BREAKS, "the code relies on it")


def _grade_extra(kind: str, found: Entry) -> tuple[Severity, str]:
    if kind == "table":
        if found.get("kind", "") in ("view", "materialized view"):
            safe = any(option.startswith("security_invoker=") for option in found.get("options", ()))
            if not safe:
                return UNSAFE, "a view runs with its owner's rights, past every policy"
        elif not found.get("row_security"):
            return UNSAFE, "it has no row security: whoever holds a grant sees every row"
        if found.get("grants"):
            return UNSAFE, "no migration made it, and others than the owner hold rights on it"
    if kind == "column" and found.get("not_null") and not (found.get("default") or found.get("identity")):
        return BREAKS, "rows that the code writes are refused: it needs a value and has no default"
    if kind == "index" and found.get("unique"):
        return BREAKS, "it may refuse rows that the code writes"
    if kind == "function" and found.get("security_definer"):
        return UNSAFE, "it runs with its owner's rights, past every policy"
    if kind == "policy" and found.get("restrictive"):
        return BREAKS, "it hides rows from those who need them"
    return EXTRA.get(kind, (COSMETIC, "no migration made it"))


def _more(wanted: Mapping[str, str], held: Mapping[str, str]) -> bool:
    """Whether anybody but the owner holds more than they should."""
    return any(
        set(privileges.split(", ")) - set(wanted.get(role, "").split(", ")) - {"nothing"}
        for role, privileges in held.items()
        if role != "owner"
    )


def _telling(kind: str, found: Entry) -> str:
    if kind == "policy":
        return (
            f"{found.get('command')} to {', '.join(found.get('roles', ()))}: {found.get('using') or found.get('check')}"
        )
    if kind == "table" and found.get("kind"):
        return f"a {found['kind']}"
    if kind in ("constraint", "trigger", "index"):
        return str(found.get("definition", "present"))
    return "present"


def _told(attribute: str, want: Any, found: Any) -> tuple[str, str]:
    """Two values in words; long texts shortened to where they part."""
    if attribute == "grants":
        roles = sorted({*(want or {}), *(found or {})})
        differing = [role for role in roles if (want or {}).get(role) != (found or {}).get(role)]
        return tuple(", ".join(f"{r}: {(e or {}).get(r, 'nothing')}" for r in differing) for e in (want, found))  # type: ignore[return-value]
    one, other = _words(want), _words(found)
    if max(len(one), len(other)) <= 160:
        return one, other
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(start - 30, 0)
    return tuple(f"{'...' if start else ''}{text[start : start + 120]}" for text in (one, other))  # type: ignore[return-value]


def _words(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def script(findings: Iterable[Finding]) -> str:
    """The fixes as SQL to be read before it is run, in an order that works; what needs a person stands as comments."""
    parts = [
        "-- Mends what validate_schema found. Read it first. Run it with psql as the owner of the tables, not in one",
        "-- transaction (CONCURRENTLY takes part in none). Lines that begin with -- are for a person to decide.",
        "SET search_path = public;",
        "SET lock_timeout = '5s';",
    ]
    for finding in sorted(findings, key=_position):
        parts.append(f"\n-- {finding.severity}: {finding.object}: {finding.kind}: expected {_line(finding.expected)}")
        if finding.fix.startswith("manage.py") or not finding.fix:
            parts.append(f"-- {finding.fix or 'nothing can be said in SQL'}")
        else:
            parts.append(finding.fix if finding.is_advice else f"{finding.fix};")
    return "\n".join(parts) + "\n"


def _line(text: str) -> str:
    return " ".join(text.split())[:200]


def _position(finding: Finding) -> tuple[bool, int, int, Finding]:
    """Leaks are shut first; then functions before tables before what stands on them; grants and comments of a missing
    table have no use."""
    kind = next((k for k in sorted(ORDER, key=len, reverse=True) if finding.kind.startswith(k)), "")
    foreign = "FOREIGN KEY" in finding.fix
    return (not _shuts(finding), ORDER.index(kind) if kind else len(ORDER), int(foreign), finding)


_SHUTTING = re.compile(r"REVOKE |DROP POLICY |ALTER TABLE \S+ ENABLE ROW LEVEL SECURITY|ALTER ROLE |ALTER DEFAULT PRIV")


def _shuts(finding: Finding) -> bool:
    """Whether its fix only takes rights away: it needs nothing that another fix makes first."""
    statements = finding.fix.split(";\n")
    return finding.severity is UNSAFE and all(_SHUTTING.match(statement) for statement in statements)
