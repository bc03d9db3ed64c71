"""Which lock a statement takes, on which tables, and what it does meanwhile, told from its form.

Lock levels are those of PostgreSQL's manual ("Explicit Locking") and of AlterTableGetLockLevel() in its source. A
statement of several actions takes the strongest lock of them and holds it through the work of all. What is not known
here counts as the worst: whoever wrote it looks it up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from moeen.db.actions import AddColumn, AddConstraint, ChangeType, Deed, Lock, strongest
from moeen.db.actions.tables import GENTLE_PARAMETERS
from moeen.db.statements import PATH, Statement, actions, parts_of, without_brackets

_, ROW_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE, SHARE, SHARE_ROW_EXCLUSIVE, ACCESS_EXCLUSIVE = Lock


@dataclass(frozen=True)
class Effect:
    """A lock and the work done while it is held: the table read through, or written anew; and how to do without."""

    lock: Lock
    scans: bool = False
    rewrites: bool = False
    advice: str = ""

    @property
    def weight(self) -> tuple[bool, bool, int]:
        return self.rewrites, self.scans, self.lock.strength


@dataclass(frozen=True)
class _Rule:
    pattern: re.Pattern[str]
    effect: Effect


def _rule(pattern: str, lock: Lock, *, scans: bool = False, rewrites: bool = False, advice: str = "") -> _Rule:
    return _Rule(re.compile(f"^(?:{pattern})", re.IGNORECASE), Effect(lock, scans or rewrites, rewrites, advice))


#: A name in a shape: quoted or not, with its schema or without.
_NAME = r'(?:"\.\.\."|[^\W\d][\w$]*)(?: ?\. ?(?:"\.\.\."|[^\W\d][\w$]*))*'
_OPTIONAL_NAME = rf"(?:CONSTRAINT {_NAME} )?"
_COLUMN = rf"(?:COLUMN )?(?!COLUMN ){_NAME}"
_ONLINE_CHECK = "add it NOT VALID, then VALIDATE CONSTRAINT in another transaction"
_ONLINE_NOT_NULL = (
    "first CHECK (column IS NOT NULL) NOT VALID, then VALIDATE CONSTRAINT; SET NOT NULL need not scan then"
)
_UNKNOWN = Effect(
    ACCESS_EXCLUSIVE, scans=True, rewrites=True, advice="what this action does is not known here: look it up, allow it"
)

#: Statements, by their shape. The first that matches counts.
_STATEMENTS: tuple[_Rule, ...] = (
    _rule(r"(?:CREATE (?:UNIQUE )?INDEX|DROP INDEX|REINDEX \w+|REFRESH .*?) CONCURRENTLY\b", SHARE_UPDATE_EXCLUSIVE),
    _rule(r"REINDEX \([^)]*CONCURRENTLY", SHARE_UPDATE_EXCLUSIVE),
    _rule(
        r"CREATE (?:UNIQUE )?INDEX\b",
        SHARE,
        scans=True,
        advice="build it CONCURRENTLY: moeen.db.operations.RunIndexFile",
    ),
    _rule(r"REINDEX\b", ACCESS_EXCLUSIVE, scans=True, advice="REINDEX ... CONCURRENTLY, outside a migration"),
    _rule(
        r"CLUSTER\b|VACUUM (?:\([^)]*)?FULL\b",
        ACCESS_EXCLUSIVE,
        rewrites=True,
        advice="a tool that rewrites tables online, outside a migration",
    ),
    _rule(r"LOCK\b", ACCESS_EXCLUSIVE, scans=True, advice="leave it out: each statement takes what it needs"),
    _rule(
        r"ALTER (?:INDEX|SEQUENCE)\b|DROP (?:TABLE|INDEX|TRIGGER|POLICY|RULE)\b|(?:CREATE|ALTER) POLICY\b|TRUNCATE\b"
        r"|CREATE (?:OR REPLACE )?RULE\b",
        ACCESS_EXCLUSIVE,
    ),
    _rule(r"(?:SELECT|PERFORM) app\.(?:allow|lock_away)\b", ACCESS_EXCLUSIVE),
    _rule(r"CREATE (?:OR REPLACE )?(?:CONSTRAINT )?TRIGGER\b", SHARE_ROW_EXCLUSIVE),
    _rule(r"COMMENT ON (?:TABLE|COLUMN)\b", SHARE_UPDATE_EXCLUSIVE),
    _rule(r"(?:UPDATE|INSERT|DELETE|MERGE)\b", ROW_EXCLUSIVE, scans=True),
)
#: Actions of ALTER TABLE, by their shape with the contents of brackets left out. The first that matches counts.
_ACTIONS: tuple[_Rule, ...] = (
    _rule(
        r"VALIDATE CONSTRAINT\b",
        SHARE_UPDATE_EXCLUSIVE,
        scans=True,
        advice="VALIDATE CONSTRAINT in a statement and a transaction of its own",
    ),
    _rule(rf"ADD {_OPTIONAL_NAME}FOREIGN KEY\b.* NOT (?:VALID|ENFORCED)\b", SHARE_ROW_EXCLUSIVE),
    _rule(rf"ADD {_OPTIONAL_NAME}FOREIGN KEY\b", SHARE_ROW_EXCLUSIVE, scans=True, advice=_ONLINE_CHECK),
    _rule(rf"ADD {_OPTIONAL_NAME}(?:CHECK|NOT NULL)\b.* NOT (?:VALID|ENFORCED)\b", ACCESS_EXCLUSIVE),
    _rule(rf"ADD {_OPTIONAL_NAME}(?:CHECK|NOT NULL)\b", ACCESS_EXCLUSIVE, scans=True, advice=_ONLINE_CHECK),
    _rule(rf"ADD {_OPTIONAL_NAME}UNIQUE USING INDEX\b", ACCESS_EXCLUSIVE),
    _rule(
        rf"ADD {_OPTIONAL_NAME}PRIMARY KEY USING INDEX\b",  # it makes the columns NOT NULL
        ACCESS_EXCLUSIVE,
        scans=True,
        advice=f"make its columns NOT NULL before: {_ONLINE_NOT_NULL}; then allow this statement",
    ),
    _rule(
        rf"ADD {_OPTIONAL_NAME}(?:UNIQUE|PRIMARY KEY|EXCLUDE)\b",
        ACCESS_EXCLUSIVE,
        scans=True,
        advice=AddConstraint.advice,
    ),
    _rule(
        rf"ALTER {_COLUMN} (?:SET DATA )?TYPE\b",
        ACCESS_EXCLUSIVE,
        rewrites=True,
        advice=ChangeType.advice,
    ),
    _rule(rf"ALTER {_COLUMN} SET NOT NULL\b", ACCESS_EXCLUSIVE, scans=True, advice=_ONLINE_NOT_NULL),
    _rule(rf"ALTER {_COLUMN} SET EXPRESSION\b", ACCESS_EXCLUSIVE, rewrites=True, advice=AddColumn.advice),
    _rule(rf"ALTER (?:COLUMN )?(?:{_NAME}|\d+) SET STATISTICS\b", SHARE_UPDATE_EXCLUSIVE),
    _rule(rf"ALTER {_COLUMN} (?:SET|RESET) \(", SHARE_UPDATE_EXCLUSIVE),
    _rule(
        rf"ALTER {_COLUMN} (?:(?:SET|DROP) DEFAULT|DROP NOT NULL|SET (?:STORAGE|COMPRESSION|GENERATED)|ADD GENERATED"
        r"|DROP (?:IDENTITY|EXPRESSION)|(?:SET )?(?:RESTART|START|INCREMENT|MINVALUE|MAXVALUE|CACHE|(?:NO )?CYCLE))\b",
        ACCESS_EXCLUSIVE,
    ),
    _rule(rf"ALTER CONSTRAINT {_NAME}(?: (?:NOT )?DEFERRABLE| INITIALLY \w+| NOT ENFORCED)*$", ACCESS_EXCLUSIVE),
    _rule(
        r"SET (?:UNLOGGED|LOGGED|TABLESPACE|ACCESS METHOD)\b",
        ACCESS_EXCLUSIVE,
        rewrites=True,
        advice="at a quiet hour: the whole table is written anew",
    ),
    _rule(r"(?:CLUSTER ON|SET WITHOUT CLUSTER)\b", SHARE_UPDATE_EXCLUSIVE),
    _rule(r"(?:ENABLE (?:ALWAYS |REPLICA )?|DISABLE )TRIGGER\b", SHARE_ROW_EXCLUSIVE),
    _rule(
        r"DROP\b|RENAME\b|OWNER TO\b|SET SCHEMA\b|SET WITHOUT OIDS\b|(?:ENABLE|DISABLE|FORCE|NO FORCE) ROW LEVEL\b"
        r"|(?:ENABLE (?:ALWAYS |REPLICA )?|DISABLE )RULE\b|REPLICA IDENTITY\b|(?:NO )?INHERIT\b|OF\b|NOT OF\b",
        ACCESS_EXCLUSIVE,
    ),
)
_PARAMETERS = re.compile(r"^(?:RE)?SET \((.*)\)$", re.IGNORECASE)
_ADD_COLUMN = re.compile(rf"^ADD (?:COLUMN )?(?:IF NOT EXISTS )?{_NAME} (?P<type>{_NAME})(?P<rest>.*)$", re.IGNORECASE)
_DEFAULT = re.compile(
    r"\bDEFAULT\b(.*?)(?:\b(?:UNIQUE|PRIMARY KEY|CHECK|REFERENCES|CONSTRAINT|GENERATED)\b|$)", re.IGNORECASE
)
_CALL = re.compile(rf"({_NAME}) ?\(")
#: What may be called in the default of a new column without a value for each row: PostgreSQL's own that are stable or
#: immutable, and types with their size. Any other function may be volatile, and a volatile one rewrites the table.
_STEADY = frozenset(
    """
    now current_timestamp localtimestamp current_time localtime transaction_timestamp statement_timestamp date_trunc
    lower upper concat coalesce nullif greatest least cast md5 sha256 abs round char character varchar varying
    bpchar numeric decimal bit timestamp timestamptz time timetz interval array jsonb_build_object
    jsonb_build_array json_build_object json_build_array
    """.split()  # noqa: SIM905 - read as prose
)
#: The first word of the types that PostgreSQL brings. Another's may be a domain, which is checked for every row.
_TYPES = frozenset(
    """
    bigint bit bool boolean box bpchar bytea char character cidr circle date daterange datemultirange decimal double
    float float4 float8 inet int int2 int4 int4multirange int4range int8 int8multirange int8range integer interval json
    jsonb jsonpath line lseg macaddr macaddr8 money name national numeric nummultirange numrange oid path pg_lsn
    pg_snapshot point polygon real regclass smallint text time timestamp timestamptz timetz tsmultirange tsquery tsrange
    tstzmultirange tstzrange tsvector uuid varbit varchar xml
    """.split()  # noqa: SIM905 - read as prose
)
_CONSTRAINTS = re.compile(r"\b(?:UNIQUE|PRIMARY KEY|CHECK|REFERENCES)\b", re.IGNORECASE)
_ALTER_TABLE = re.compile(
    rf"^ALTER (?:FOREIGN )?TABLE (?:IF EXISTS )?(?:ONLY )?{_NAME}(?: ?\*)? (?P<actions>.*)$", re.IGNORECASE
)
#: What stands before the tables that a statement locks.
_HEADS = (
    r"ALTER (?:FOREIGN )?TABLE(?: IF EXISTS)?(?: ONLY)?",
    r"UPDATE(?: ONLY)?",
    r"INSERT INTO",
    r"DELETE FROM(?: ONLY)?",
    r"MERGE INTO(?: ONLY)?",
    r"DROP TABLE(?: IF EXISTS)?",
    r"TRUNCATE(?: TABLE)?(?: ONLY)?",
    r"COMMENT ON (?:TABLE|COLUMN)",
    r"LOCK(?: TABLE)?(?: ONLY)?",
    r"CLUSTER(?: VERBOSE| \([^)]*\))?",
    r"VACUUM (?:FULL|\([^)]*\))(?: VERBOSE| ANALYZE)*",
    r"REINDEX (?:\([^)]*\) )?TABLE(?: CONCURRENTLY)?",
    rf"CREATE (?:OR REPLACE )?RULE {PATH} AS ON \w+ TO",
)
_TABLES = re.compile(
    rf"^(?:{'|'.join(_HEADS)}) (?!ALL IN TABLESPACE\b)(?P<tables>{PATH}(?: ?\*)?(?: ?, ?(?:ONLY )?{PATH}(?: ?\*)?)*)",
    re.IGNORECASE,
)
_ON_TABLE = re.compile(rf'^(?:"(?:[^"]|"")*"|[^"])*? ON (?:ONLY )?(?P<table>{PATH})', re.IGNORECASE)
_OF_OURS = re.compile(r"^(?:SELECT|PERFORM) app\.(?:allow|lock_away) ?\(", re.IGNORECASE)
#: What a statement does to what stands; the first that matches counts.
_DEEDS = (
    (Deed.DROP, re.compile(r"^DROP |\bDROP (CONSTRAINT|COLUMN|DEFAULT)\b", re.IGNORECASE)),
    (Deed.CONVERT, re.compile(r"\bALTER COLUMN .* TYPE |^UPDATE |SET (NOT NULL|DEFAULT)|\bRENAME\b", re.IGNORECASE)),
    (Deed.ADD, re.compile(r"\bADD (COLUMN|CONSTRAINT)\b|^CREATE |ENABLE ROW LEVEL SECURITY", re.IGNORECASE)),
)
#: Statements that lock no table that clients use.
_HARMLESS = re.compile(
    r"^(SELECT|SET|RESET|SHOW|GRANT|REVOKE|ANALYZE|BEGIN|COMMIT|DO\b"
    r"|(CREATE|ALTER|DROP|COMMENT ON) (OR REPLACE )?(FUNCTION|PROCEDURE|SCHEMA|TYPE|DOMAIN|ROLE|EXTENSION|SEQUENCE"
    r"|TEMP|VIEW|(UNLOGGED )?TABLE|INDEX|TRIGGER|POLICY|CONSTRAINT|DEFAULT PRIVILEGES)\b|COMMENT ON\b)",
    re.IGNORECASE,
)


def effect_of(statement: Statement) -> Effect | None:
    """What the statement does to the tables it names; None where no rule is known for it."""
    if altered := _ALTER_TABLE.match(statement.shape):
        return worst(_action_effect(action) for action in actions(altered["actions"]))
    if statement.matches(r"^ALTER (?:FOREIGN )?TABLE\b"):
        return _UNKNOWN  # ALL IN TABLESPACE, and what a later PostgreSQL brings
    return next((rule.effect for rule in _STATEMENTS if rule.pattern.search(statement.shape)), None)


def worst(effects: Iterable[Effect]) -> Effect:
    """One effect for several that happen at once: the strongest lock, all the work, and the heaviest's advice."""
    known = list(effects)
    heaviest = max(known, key=lambda effect: effect.weight)
    return replace(
        heaviest,
        lock=strongest(effect.lock for effect in known),
        scans=any(effect.scans for effect in known),
        rewrites=any(effect.rewrites for effect in known),
    )


def tables_of(statement: Statement) -> tuple[str, ...]:
    """The tables that it locks, as far as its form tells: those of schema public by name, others with their schema."""
    if found := _TABLES.search(statement.words):
        paths = [path for path in re.findall(PATH, found["tables"]) if path.upper() != "ONLY"]
        if statement.matches(r"^COMMENT ON COLUMN\b"):
            paths = [path.rpartition(".")[0] for path in paths]
        return tuple(_table(path) for path in paths)
    if _OF_OURS.search(statement.words):
        return tuple(statement.literals[0].split()) if statement.literals else ()
    on = _ON_TABLE.search(statement.words)
    return (_table(on["table"]),) if on else ()


def deed_of(statement: Statement) -> Deed | None:
    """What the statement does to what stands; None where it is none of these."""
    return next((deed for deed, pattern in _DEEDS if pattern.search(statement.shape)), None)


def is_harmless(statement: Statement) -> bool:
    """Whether a statement without a rule is known to lock no table."""
    return bool(_HARMLESS.search(statement.shape))


def _table(path: str) -> str:
    return ".".join(parts_of(path)).removeprefix("public.")


def _action_effect(action: str) -> Effect:
    outer = without_brackets(action)
    if parameters := _PARAMETERS.match(action):
        names = [entry.partition("=")[0].strip() for entry in actions(parameters[1])]
        gentle = all(GENTLE_PARAMETERS.fullmatch(name) for name in names)
        return Effect(SHARE_UPDATE_EXCLUSIVE if gentle else ACCESS_EXCLUSIVE)
    known = next((rule.effect for rule in _ACTIONS if rule.pattern.search(outer)), None)
    if known is None and (column := _ADD_COLUMN.match(action)):
        return worst(_column_effects(column["type"], column["rest"]))
    return known or _UNKNOWN


def _column_effects(type_name: str, rest: str) -> Iterator[Effect]:
    """What adding a column does; ``rest`` is what follows the type's first word."""
    outer = without_brackets(rest)
    yield Effect(ACCESS_EXCLUSIVE)
    default = _DEFAULT.search(rest)
    calls = _CALL.findall(default[1]) if default else []
    if any(name.lower().removeprefix("pg_catalog.") not in _STEADY for name in calls):
        yield Effect(ACCESS_EXCLUSIVE, scans=True, rewrites=True, advice=AddColumn.advice)
    if type_name.lower().removeprefix("pg_catalog.") not in _TYPES or re.search(r"\bGENERATED\b", outer, re.I):
        yield Effect(ACCESS_EXCLUSIVE, scans=True, rewrites=True, advice=AddColumn.advice)
    if _CONSTRAINTS.search(outer) or (default is None and re.search(r"\bNOT NULL\b", outer, re.I)):
        yield Effect(ACCESS_EXCLUSIVE, scans=True, advice="add the column first, then its constraint online")
