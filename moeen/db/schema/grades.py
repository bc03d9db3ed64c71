"""How much each kind of difference matters, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moeen.db.findings import Severity

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


def grade(kind: str, attribute: str, want: Entry, found: Entry) -> tuple[Severity, str]:
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


def grade_extra(kind: str, found: Entry) -> tuple[Severity, str]:
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
