"""How much each kind of difference between two catalogs matters, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moeen.db.findings import Severity
from moeen.db.kinds import Kind
from moeen.db.names import ObjectKind
from moeen.db.roles import ROLES

Entry = Mapping[str, Any]
BREAKS, UNSAFE, SLOW, COSMETIC = Severity.BREAKS, Severity.UNSAFE, Severity.SLOW, Severity.COSMETIC

_WRITES = "writes that the code makes fail, or store something else"
_UNMADE = "no migration made it"
_TRIGGER = "what it keeps up, such as the audit trail or updated_at, is kept up no more"
_OPENED = "whatever a later migration makes is open to these roles"
_RIGHTS = "somebody holds more rights than the policies count on"
_STATEMENTS = "it changes what statements do"
#: Kind -> severity and why. `grade` looks closer where more than the kind decides.
GRADES: Mapping[Kind, tuple[Severity, str]] = {
    Kind.MISSING_SCHEMA: (BREAKS, "what stands in it cannot be found"),
    Kind.MISSING_TABLE: (BREAKS, "everything that reads or writes it fails"),
    Kind.MISSING_COLUMN: (BREAKS, "every query that names it fails"),
    Kind.MISSING_CONSTRAINT: (UNSAFE, "rows that must not be are accepted"),
    Kind.MISSING_INDEX: (SLOW, "look-ups read the whole table"),
    Kind.MISSING_TRIGGER: (UNSAFE, _TRIGGER),
    Kind.MISSING_POLICY: (BREAKS, "the role sees or writes nothing where it should"),
    Kind.MISSING_RULE: (BREAKS, "statements do something else than written"),
    Kind.MISSING_FUNCTION: (BREAKS, "defaults, triggers and policies that call it fail"),
    Kind.MISSING_AUTH_FUNCTION: (BREAKS, "policies cannot tell who is asking"),
    Kind.MISSING_SEQUENCE: (BREAKS, "new rows get no number"),
    Kind.MISSING_TYPE: (BREAKS, "columns of it cannot be read"),
    Kind.MISSING_ROLE: (BREAKS, "nobody can act in it"),
    Kind.UNEXPECTED_SCHEMA: (COSMETIC, _UNMADE),
    Kind.UNEXPECTED_TABLE: (COSMETIC, f"{_UNMADE}: nobody keeps it in shape"),
    Kind.UNEXPECTED_COLUMN: (COSMETIC, f"{_UNMADE}; the code does not know it"),
    Kind.UNEXPECTED_CONSTRAINT: (BREAKS, "it may refuse rows that the code writes"),
    Kind.UNEXPECTED_INDEX: (COSMETIC, "every write pays for it"),
    Kind.UNEXPECTED_TRIGGER: (UNSAFE, "it changes what writes do"),
    Kind.UNEXPECTED_POLICY: (UNSAFE, "it may show or open rows to those who must not have them"),
    Kind.UNEXPECTED_RULE: (UNSAFE, _STATEMENTS),
    Kind.UNEXPECTED_FUNCTION: (COSMETIC, _UNMADE),
    Kind.UNEXPECTED_AUTH_FUNCTION: (UNSAFE, "schema auth decides who is asking"),
    Kind.UNEXPECTED_SEQUENCE: (COSMETIC, _UNMADE),
    Kind.UNEXPECTED_TYPE: (COSMETIC, _UNMADE),
    Kind.UNEXPECTED_EXTENSION: (COSMETIC, "the schema needs none; its functions stand beside ours"),
    Kind.UNEXPECTED_OBJECT: (COSMETIC, _UNMADE),
    Kind.UNEXPECTED_EVENT_TRIGGER: (UNSAFE, "it runs code of ours at every change of the schema"),
    Kind.UNEXPECTED_DEFAULT_PRIVILEGES: (UNSAFE, _OPENED),
    Kind.UNEXPECTED_ROLE: (UNSAFE, "it bears a name of ours"),
    Kind.TABLE_ROW_SECURITY: (UNSAFE, "policies are not asked: whoever holds a grant sees every row"),
    Kind.TABLE_FORCED: (BREAKS, "migrations, dumps and commands become blind without an error"),
    Kind.TABLE_UNLOGGED: (UNSAFE, "a crash empties the table, standbys and backups lack it"),
    Kind.TABLE_KIND: (BREAKS, "it is not what the code writes to"),
    Kind.TABLE_DEFINITION: (UNSAFE, "it shows something else"),
    Kind.TABLE_OPTIONS: (SLOW, "storage settings decide about bloat and speed"),
    Kind.TABLE_AUTOVACUUM: (COSMETIC, "somebody tuned it here; a table that is made anew lacks that"),
    Kind.TABLE_REPLICA_IDENTITY: (COSMETIC, "logical replication sends other keys"),
    Kind.TABLE_PARENTS: (UNSAFE, "rows of this table appear in another, past its own policies"),
    Kind.COLUMN_TYPE: (BREAKS, _WRITES),
    Kind.COLUMN_COLLATION: (SLOW, "indexes do not serve look-ups, and order differs"),
    Kind.COLUMN_DEFAULT: (BREAKS, _WRITES),
    Kind.COLUMN_NOT_NULL: (UNSAFE, "empty values are accepted where there must be one"),
    Kind.COLUMN_GENERATED: (BREAKS, _WRITES),
    Kind.COLUMN_IDENTITY: (BREAKS, _WRITES),
    Kind.COLUMN_STORAGE: (SLOW, "large values are kept elsewhere, or not compressed"),
    Kind.COLUMN_COMPRESSION: (COSMETIC, "large values are compressed in another way"),
    Kind.COLUMN_STATISTICS: (COSMETIC, "the planner looks at more or fewer of its values"),
    Kind.COLUMN_OPTIONS: (COSMETIC, "the planner is told how many different values there are"),
    Kind.CONSTRAINT_DEFINITION: (UNSAFE, "rows that must not be are accepted, or good ones refused"),
    Kind.CONSTRAINT_NOT_VALID: (UNSAFE, "older rows were never proven, and the planner cannot rely on it"),
    Kind.CONSTRAINT_SWITCHED_OFF: (UNSAFE, "it is not enforced"),
    Kind.INDEX_INVALID: (SLOW, "no query uses it, every write pays for it"),
    Kind.INDEX_DEFINITION: (SLOW, "it may not serve the look-ups it was made for"),
    Kind.INDEX_UNIQUE: (UNSAFE, "it decides whether a value may occur twice"),
    Kind.TRIGGER_DEFINITION: (UNSAFE, _TRIGGER),
    Kind.TRIGGER_STATE: (UNSAFE, _TRIGGER),
    Kind.POLICY_DEFINITION: (UNSAFE, "other rows than those intended are shown or written"),
    Kind.RULE_DEFINITION: (UNSAFE, _STATEMENTS),
    Kind.FUNCTION_SECURITY_DEFINER: (UNSAFE, "it decides with whose rights the body runs"),
    Kind.FUNCTION_SETTINGS: (UNSAFE, "without a fixed search_path a caller can slip other tables and functions in"),
    Kind.FUNCTION_LEAKPROOF: (UNSAFE, "a leakproof function sees rows before the policies are asked"),
    Kind.FUNCTION_VOLATILITY: (SLOW, "inside a policy it runs once a row instead of once"),
    Kind.FUNCTION_PARALLEL: (SLOW, "queries that call it cannot be run in parallel"),
    Kind.SEQUENCE_UNLOGGED: (UNSAFE, "a crash resets it"),
    Kind.TYPE_KIND: (BREAKS, "columns of it take other values"),
    Kind.TYPE_DEFINITION: (BREAKS, "columns of it take other values"),
    Kind.DEFAULT_PRIVILEGES_GRANTS: (UNSAFE, _OPENED),
    Kind.ROLE_NOT_MEMBERS: (BREAKS, "requests cannot be served in this role"),
    Kind.ROLE_MEMBERS: (UNSAFE, _RIGHTS),
    Kind.ROLE_MEMBER_OF: (UNSAFE, _RIGHTS),
    Kind.ROLE_ATTRIBUTES: (UNSAFE, _RIGHTS),
}
#: The rest, by the kind of object and then by the attribute.
_OF_OBJECTS: Mapping[ObjectKind, tuple[Severity, str]] = {
    ObjectKind.FUNCTION: (BREAKS, "it does something else than the code relies on"),
    ObjectKind.SEQUENCE: (BREAKS, "numbers run out earlier, or repeat"),
}
_OF_ATTRIBUTES: Mapping[str, tuple[Severity, str]] = {
    "comment": (COSMETIC, "the data dictionary says something else"),
    "owner": (UNSAFE, "an owner is not bound by policies, and migrations need to be it"),
}


def grade(kind: Kind, attribute: str, want: Entry, found: Entry) -> tuple[Severity, str]:
    """Severity and reason of one difference; ``attribute`` is "" of an object that is missing or unexpected as a whole.

    ``want`` is empty of an unexpected object, ``found`` of a missing one.
    """
    if attribute == "grants" and kind is not Kind.DEFAULT_PRIVILEGES_GRANTS:
        if _more(want.get("grants", {}), found.get("grants", {})):
            return UNSAFE, "somebody may do what they must not"
        return BREAKS, "somebody may not do what they need to"
    if attribute in _OF_ATTRIBUTES:
        return _OF_ATTRIBUTES[attribute]
    closer = _missing(kind, want) or _changed(kind, want) or _unexpected(kind, found)
    by_object = _OF_OBJECTS.get(kind.about) if kind.about else None
    return closer or GRADES.get(kind) or by_object or (BREAKS, "the code relies on it")


def _missing(kind: Kind, want: Entry) -> tuple[Severity, str] | None:
    if kind is Kind.MISSING_INDEX and want.get("unique"):
        return UNSAFE, "values may occur twice"
    if kind is Kind.MISSING_POLICY and want.get("restrictive"):
        return UNSAFE, "it keeps rows from those who must not have them"
    return None


def _changed(kind: Kind, want: Entry) -> tuple[Severity, str] | None:
    if kind is Kind.INDEX_INVALID and want.get("unique"):
        return UNSAFE, "values may occur twice"
    if kind is Kind.COLUMN_NOT_NULL and not want.get("not_null"):
        return BREAKS, "rows that the code writes are refused"
    return None


def _unexpected(kind: Kind, found: Entry) -> tuple[Severity, str] | None:
    if kind is Kind.UNEXPECTED_TABLE:
        if found.get("kind", "") in ("view", "materialized view"):
            safe = any(option.startswith("security_invoker=") for option in found.get("options", ()))
            if not safe:
                return UNSAFE, "a view runs with its owner's rights, past every policy"
        elif not found.get("row_security"):
            return UNSAFE, "it has no row security: whoever holds a grant sees every row"
        if found.get("grants"):
            return UNSAFE, "no migration made it, and others than the owner hold rights on it"
    if kind is Kind.UNEXPECTED_COLUMN and found.get("not_null") and not (found.get("default") or found.get("identity")):
        return BREAKS, "rows that the code writes are refused: it needs a value and has no default"
    if kind is Kind.UNEXPECTED_INDEX and found.get("unique"):
        return BREAKS, "it may refuse rows that the code writes"
    if kind is Kind.UNEXPECTED_FUNCTION and found.get("security_definer"):
        return UNSAFE, "it runs with its owner's rights, past every policy"
    if kind is Kind.UNEXPECTED_POLICY and found.get("restrictive"):
        return BREAKS, "it hides rows from those who need them"
    if kind is Kind.UNEXPECTED_POLICY and not {"public", *ROLES}.isdisjoint(found.get("roles", ())):
        return BREAKS, "policies add up: whoever acts in a role of ours sees or writes what it opens as well"
    return None


def _more(wanted: Mapping[str, str], held: Mapping[str, str]) -> bool:
    """Whether anybody but the owner holds more than they should."""
    return any(
        set(privileges.split(", ")) - set(wanted.get(role, "").split(", ")) - {"nothing"}
        for role, privileges in held.items()
        if role != "owner"
    )
