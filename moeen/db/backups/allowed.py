"""What of a dump may run: every entry is held against what pg_dump writes for its kind, before anything runs.

A dump is a program. pg_restore carries out whatever stands in it with the powers of the connected role, so a kind or a
statement that is not listed here is refused. A body of a function is no statement: it runs with the rights of who
calls it, and therefore restores go without power (see `scratch`). What only a superuser could make, and no restore
needs from the dump, is left out: extensions are made beforehand, from a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from moeen.db import statements
from moeen.db.backups.archive import Entry
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.statements import Token

#: Their code can reach neither files nor other servers: PostgreSQL's own trusted ones, and some that platforms offer.
EXTENSIONS = frozenset(
    (
        "plpgsql", "btree_gin", "btree_gist", "citext", "cube", "dict_int", "earthdistance", "fuzzystrmatch", "hstore",
        "intarray", "isn", "ltree", "pg_stat_statements", "pg_trgm", "pgcrypto", "pgjwt", "seg", "tablefunc", "tcn",
        "tsm_system_rows", "tsm_system_time", "unaccent", "uuid-ossp", "vector",
    )
)  # fmt: skip
#: Those in which a function of a dump may be written: PostgreSQL lets anybody use them.
_LANGUAGES = frozenset(("sql", "plpgsql"))

_NAME = r'(?:"\.\.\."|[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)'
_PATH = rf"{_NAME}(?: ?\. ?{_NAME})*"
_PRIVILEGE = (
    r"(?:ALL|SELECT|INSERT|UPDATE|DELETE|TRUNCATE|REFERENCES|TRIGGER|MAINTAIN|USAGE|EXECUTE|CREATE)(?: PRIVILEGES)?"
    r"(?: ?\([^()]*\))?"
)
_PRIVILEGES = rf"{_PRIVILEGE}(?: ?, ?{_PRIVILEGE})*"
_GRANTS = (
    rf"GRANT {_PRIVILEGES} ON (?:{{objects}}).* TO (?:GROUP )?{_NAME}(?: WITH GRANT OPTION)?",
    rf"REVOKE (?:GRANT OPTION FOR )?{_PRIVILEGES} ON (?:{{objects}}).* FROM (?:GROUP )?{_NAME}",
)
_HOLDING = r"(?:TABLE|SEQUENCE|FUNCTION|PROCEDURE|ROUTINE|SCHEMA|TYPE|DOMAIN|LARGE OBJECT) "
_DESCRIBED = (
    r"TABLE|COLUMN|VIEW|MATERIALIZED VIEW|SEQUENCE|INDEX|CONSTRAINT|TRIGGER|RULE|POLICY|FUNCTION|PROCEDURE|AGGREGATE"
    r"|TYPE|DOMAIN|SCHEMA|COLLATION|STATISTICS|OPERATOR|CAST|LARGE OBJECT|TEXT SEARCH (?:CONFIGURATION|DICTIONARY)"
    r"|PUBLICATION"
)
_ALTER = rf"ALTER TABLE (?:ONLY )?{_PATH}"
#: Kind -> the shapes of its statements; where several stand in one entry, each has one of them.
_SHAPES: dict[str, tuple[str, ...]] = {
    "SCHEMA": (rf"CREATE SCHEMA {_NAME}",),
    "TABLE": (
        rf"CREATE (?:UNLOGGED )?TABLE {_PATH} .*",
        rf"{_ALTER} (?:ALTER COLUMN .*|FORCE ROW LEVEL SECURITY|REPLICA IDENTITY .*|ADD CONSTRAINT .*)",
    ),
    "TABLE ATTACH": (rf"{_ALTER} ATTACH PARTITION {_PATH} .*",),
    "TABLE DATA": (),
    "VIEW": (rf"CREATE (?:OR REPLACE )?VIEW {_PATH} .*", rf"{_ALTER} ALTER COLUMN .*"),
    "MATERIALIZED VIEW": (
        rf"CREATE MATERIALIZED VIEW {_PATH} .* WITH NO DATA",
        rf"{_ALTER} (?:ALTER COLUMN .*|CLUSTER ON {_NAME})",
    ),
    "MATERIALIZED VIEW DATA": (rf"REFRESH MATERIALIZED VIEW {_PATH}",),
    "SEQUENCE": (rf"CREATE (?:UNLOGGED )?SEQUENCE {_PATH}.*", rf"{_ALTER} ALTER COLUMN {_NAME} ADD GENERATED .*"),
    "SEQUENCE OWNED BY": (rf"ALTER SEQUENCE {_PATH} OWNED BY {_PATH}",),
    "SEQUENCE SET": (r"SELECT pg_catalog\.setval\('\.\.\.', -?[0-9]+, (?:true|false)\)",),
    "DEFAULT": (rf"{_ALTER} ALTER COLUMN {_NAME} SET DEFAULT .*",),
    "CONSTRAINT": (
        rf"{_ALTER} (?:ADD CONSTRAINT .*|CLUSTER ON {_NAME}|REPLICA IDENTITY USING INDEX {_NAME})",
        rf"ALTER INDEX {_PATH} ALTER COLUMN [0-9]+ SET STATISTICS [0-9]+",
    ),
    "CHECK CONSTRAINT": (rf"{_ALTER} ADD CONSTRAINT .*", rf"ALTER DOMAIN {_PATH} ADD CONSTRAINT .*"),
    "FK CONSTRAINT": (rf"{_ALTER} ADD CONSTRAINT .*",),
    "INDEX": (
        rf"CREATE (?:UNIQUE )?INDEX {_PATH} ON .*",
        rf"{_ALTER} (?:CLUSTER ON {_NAME}|REPLICA IDENTITY USING INDEX {_NAME})",
        rf"ALTER INDEX {_PATH} ALTER COLUMN [0-9]+ SET STATISTICS [0-9]+",
    ),
    "INDEX ATTACH": (rf"ALTER INDEX {_PATH} ATTACH PARTITION {_PATH}",),
    "STATISTICS": (rf"CREATE STATISTICS {_PATH} .*", rf"ALTER STATISTICS {_PATH} SET STATISTICS [0-9]+"),
    "TRIGGER": (
        r"CREATE (?:CONSTRAINT )?TRIGGER .* ON .* EXECUTE (?:FUNCTION|PROCEDURE) .*",
        rf"{_ALTER} (?:DISABLE|ENABLE(?: ALWAYS| REPLICA)?) TRIGGER {_NAME}",
    ),
    "RULE": (
        rf"CREATE (?:OR REPLACE )?(?:RULE|VIEW) {_PATH} .*",
        rf"{_ALTER} (?:DISABLE|ENABLE(?: ALWAYS| REPLICA)?) RULE {_NAME}",
    ),
    "POLICY": (rf"CREATE POLICY {_NAME} ON {_PATH}.*",),
    "ROW SECURITY": (rf"{_ALTER} ENABLE ROW LEVEL SECURITY",),
    "FUNCTION": (rf"CREATE FUNCTION {_PATH} ?\(.*",),
    "PROCEDURE": (rf"CREATE PROCEDURE {_PATH} ?\(.*",),
    "AGGREGATE": (rf"CREATE AGGREGATE {_PATH} ?\(.*",),
    "OPERATOR": (r"CREATE OPERATOR [^\s()]+ \(.*\)",),
    "CAST": (rf"CREATE CAST \(.*\) WITH (?:INOUT|FUNCTION {_PATH}\(.*\))(?: AS (?:ASSIGNMENT|IMPLICIT))?",),
    "TYPE": (rf"CREATE TYPE {_PATH} AS (?:ENUM |RANGE )?\(.*\)",),
    "SHELL TYPE": (rf"CREATE TYPE {_PATH}",),
    "DOMAIN": (rf"CREATE DOMAIN {_PATH} AS .*",),
    "COLLATION": (rf"CREATE COLLATION {_PATH} \(.*\)",),
    "TEXT SEARCH DICTIONARY": (rf"CREATE TEXT SEARCH DICTIONARY {_PATH} \(.*\)",),
    "TEXT SEARCH CONFIGURATION": (
        rf"CREATE TEXT SEARCH CONFIGURATION {_PATH} \(.*\)",
        rf"ALTER TEXT SEARCH CONFIGURATION {_PATH} ADD MAPPING FOR {_NAME} WITH .*",
    ),
    "COMMENT": (rf"COMMENT ON (?:{_DESCRIBED}) .* IS (?:'\.\.\.'|NULL)",),
    "ACL": (
        *(shape.format(objects=_HOLDING) for shape in _GRANTS),
        rf"SET SESSION AUTHORIZATION {_NAME}",
        r"RESET SESSION AUTHORIZATION",
    ),
    "DEFAULT ACL": tuple(
        rf"ALTER DEFAULT PRIVILEGES FOR ROLE {_NAME}(?: IN SCHEMA {_NAME})? "
        + shape.format(objects="TABLES|SEQUENCES|FUNCTIONS|ROUTINES|TYPES|SCHEMAS|LARGE OBJECTS")
        for shape in _GRANTS
    ),
    "BLOB": (r"SELECT pg_catalog\.lo_create\('\.\.\.'\)",),
    "BLOB METADATA": (r"[0-9]+(?: [0-9]+)*",),
    "BLOBS": (),
    "PUBLICATION": (rf"CREATE PUBLICATION {_NAME}.*",),
    "PUBLICATION TABLE": (rf"ALTER PUBLICATION {_NAME} ADD TABLE ONLY .*",),
    "PUBLICATION TABLES IN SCHEMA": (rf"ALTER PUBLICATION {_NAME} ADD TABLES IN SCHEMA {_NAME}",),
}
#: pg_restore sends these whatever is chosen: they are exactly these.
_ALWAYS_SENT = {
    "ENCODING": "SET client_encoding = 'UTF8'",
    "STDSTRINGS": "SET standard_conforming_strings = 'on'",
    "SEARCHPATH": "SELECT pg_catalog.set_config('search_path', '', false)",
}
#: Never sent. They belong to the server or to a superuser, or are made by us.
_NEVER_SENT = frozenset(
    ("DATABASE", "DATABASE PROPERTIES", "EXTENSION", "EVENT TRIGGER", "STATISTICS DATA", "PROCEDURAL LANGUAGE")
)
#: Comments on such things and grants of them are never sent either; the name of the entry says it.
_NEVER_SENT_ON = ("DATABASE ", "EXTENSION ", "EVENT TRIGGER ", "LANGUAGE ", "PROCEDURAL LANGUAGE ")
# pg_restore makes ALTER ... OWNER TO of their DROP (pg_backup_archiver.c: _getObjectDescription).
_OWNED_BY_DROP = ("FUNCTION", "PROCEDURE", "AGGREGATE", "OPERATOR")
_WITH_DATA = frozenset(("TABLE DATA", "BLOBS"))
#: Kinds that only a superuser makes.
_PUBLICATIONS = frozenset(("PUBLICATION", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA"))
#: Rows that go into the table above, since they lie in other partitions elsewhere: an enum's hash is of its OID.
_BY_ROOT = re.compile(rf"-- load via partition root ({statements.PATH})")
_DATA_FILE = re.compile(r"[0-9]+\.dat")
_BLOBS_FILE = re.compile(r"blobs(?:_[0-9]+)?\.toc")
_BLOB_LINE = re.compile(r"[0-9]+ blob_[0-9]+\.dat")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# What a BEGIN ATOMIC body may consist of (gram.y: routine_body_stmt); PostgreSQL runs none of it when it is made.
_IN_A_BODY = re.compile(r"(?:SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES|TABLE|RETURN)\b|\(")
_COMPILED = {kind: [re.compile(shape, re.DOTALL) for shape in shapes] for kind, shapes in _SHAPES.items()}
# pg_dump says so where the schema is public, and nothing else in a comment.
_NOT_CREATING = re.compile(r"-- \*not\* creating schema, since initdb creates it")
_BUILT_IN = ("information_schema", "pg_catalog")


class Refused(MoeenError):
    """A dump holds what pg_dump does not write or a restore does not need; nothing of it was run."""

    default_code = Code.NOT_TRUSTED

    def __init__(self, file: str, found: Sequence[str], *, next_step: str = "") -> None:
        lines = "\n".join(f"  {line}" for line in found[:20])
        more = f"\n  and {len(found) - 20} more" if len(found) > 20 else ""
        super().__init__(
            f"{file} holds what no restore may run. Nothing of it was run.\n{lines}{more}",
            next_step=next_step
            or "If you know where it comes from, look at it with `pg_restore -f - FILE`. A backup that was "
            "tampered with tells of somebody who can write to the folder: look for them, and use another copy.",
            exit_code=FINDINGS,
        )
        self.file = file
        self.found = tuple(found)


@dataclass(frozen=True)
class Chosen:
    """The entries that may run, in the dump's order, and why others are left out: entry -> reason.

    `lost`: those of them that stood in the database, and that a restore cannot bring back.
    """

    run: tuple[Entry, ...]
    left_out: dict[Entry, str]
    lost: dict[Entry, str]

    def refuse_lost(self, *, file: str) -> None:
        """Raise Refused where a restore of these would not be whole."""
        if self.lost:
            step = "manage.py restore_database --salvage brings back everything else, with a bill of what is missing."
            raise Refused(file, _reasons(self.lost), next_step=step)


def choose(entries: Iterable[Entry], *, file: str, losing: bool = False) -> Chosen:
    """Raises Refused, naming every entry that is not allowed. `file` is what the dump is called.

    `losing`: nobody has tampered with it, so what is not allowed stood in the database; it is left out like the rest.
    """
    entries = list(entries)
    known = {(entry.schema, entry.name) for entry in entries if entry.kind == "TABLE"}
    extended = any(entry.kind == "EXTENSION" for entry in entries)
    refused: list[str] = []
    run: list[Entry] = []
    lost: dict[Entry, str] = {}
    left_out: dict[Entry, str] = {}
    for entry in entries:
        if entry.kind in _ALWAYS_SENT:
            if entry.create.strip().rstrip(";") != _ALWAYS_SENT[entry.kind] or entry.has_data or entry.copy:
                refused.append(f"{_shown(entry)}: it says something else than pg_dump does")
            continue
        reason = _reason_to_leave_out(entry)
        if extended and entry.kind == "TABLE DATA" and (entry.schema, entry.name) not in known:
            reason = "it is an extension's"
        if reason:
            left_out[entry] = reason
            continue
        why = _objection(entry, known)
        if why:
            lost[entry] = why
        else:
            run.append(entry)
    if refused or (lost and not losing):
        raise Refused(file, [*refused, *_reasons(lost)])
    return Chosen(tuple(run), left_out, lost)


def is_of_publication(entry: Entry) -> bool:
    """Whether only a superuser makes it: a publication, what belongs to it, a comment on it."""
    return entry.kind in _PUBLICATIONS or (entry.kind == "COMMENT" and entry.name.startswith("PUBLICATION "))


def check_blobs(folder: Path, entries: Iterable[Entry], *, file: str) -> None:
    """In the folder form a file lists those of the large objects; raises Refused where it names others."""
    for entry in entries:
        if entry.kind == "BLOBS" and entry.file:
            try:
                lines = (folder / entry.file).read_text(encoding="ascii").splitlines()
            except (OSError, UnicodeDecodeError):
                lines = [""]
            if any(not _BLOB_LINE.fullmatch(line) for line in lines):
                raise Refused(f"{file}/{entry.file}", ["it names files that are no large object's"])


def _reasons(entries: Mapping[Entry, str]) -> list[str]:
    return [f"{_shown(entry)}: {why}" for entry, why in entries.items()]


def _shown(entry: Entry) -> str:
    return _CONTROL.sub("?", entry.pretty())[:200]


def _reason_to_leave_out(entry: Entry) -> str:
    if entry.kind in _NEVER_SENT:
        return "it is the server's"
    if entry.kind in ("COMMENT", "ACL") and entry.name.startswith(_NEVER_SENT_ON):
        return "it is the server's"
    if entry.kind == "ACL" and entry.schema in _BUILT_IN:
        return "it is of PostgreSQL's own"
    return ""


def _objection(entry: Entry, known: set[tuple[str, str]]) -> str:
    """Why the entry may not run, "" where it may."""
    if entry.kind not in _SHAPES:
        return "a restore makes nothing of this kind"
    if any(_CONTROL.search(word) for word in (entry.kind, entry.schema, entry.name, entry.owner)):
        return "a name with a control character"
    if entry.schema in _BUILT_IN or entry.schema.startswith("pg_"):
        return "a schema of PostgreSQL's own"
    if entry.kind in _WITH_DATA:
        return _objection_to_data(entry, known)
    if entry.has_data or entry.copy or entry.file:
        return "it brings data, which pg_restore would run as SQL"
    if entry.kind == "BLOB" and not re.fullmatch(r"SELECT pg_catalog\.lo_create\('[0-9]+'\);\n", entry.create):
        return "a large object has a number"
    if entry.kind == "BLOB" and not re.fullmatch("[0-9]+", entry.name):
        return "a large object has a number"
    if entry.kind == "BLOB METADATA" and not re.fullmatch(r"(?:[0-9]+\n)+", entry.create):
        return "a large object has a number"
    if entry.kind in _OWNED_BY_DROP:
        pieces = list(_pieces(entry.drop, brackets=False))
        if entry.drop and (len(pieces) != 1 or not re.fullmatch(rf"DROP {entry.kind} .*", pieces[0], re.DOTALL)):
            return "its DROP, of which pg_restore makes the owner, is none"
    return _objection_to_statements(entry)


def _objection_to_data(entry: Entry, known: set[tuple[str, str]]) -> str:
    root = None if _CONTROL.search(entry.create) else _BY_ROOT.fullmatch(entry.create)
    if entry.create and root is None:
        return "rows are no statement"
    if entry.kind == "BLOBS":
        return "large objects are not copied" if entry.copy or not _named(entry.file, _BLOBS_FILE) else ""
    if not entry.has_data and not entry.copy:
        return ""
    pieces = list(_pieces(entry.copy, brackets=False))
    path = re.match(rf"COPY ({statements.PATH})", entry.copy)
    if len(pieces) != 1 or not re.fullmatch(rf"COPY {_PATH} ?(?:\([^()]*\) )?FROM stdin", pieces[0]) or not path:
        return f"rows come by COPY ... FROM stdin alone, not by {_first_words(entry.copy)}"
    goal = statements.parts_of(root[1]) if root else (entry.schema, entry.name)
    if statements.parts_of(path[1]) != goal or goal not in known:
        return "its rows go into a table that the dump does not make"
    return "" if _named(entry.file, _DATA_FILE) else "its file is another than pg_dump names"


def _named(file: str, form: re.Pattern[str]) -> bool:
    return not file or form.fullmatch(file) is not None


def _objection_to_statements(entry: Entry) -> str:
    text = entry.create
    if entry.kind == "SCHEMA" and _NOT_CREATING.fullmatch(text.strip()):
        return ""
    if any(token.kind == "comment" for token in statements.tokens(text)):
        return "a comment, which stands in no statement of pg_dump's"
    pieces = list(_pieces(text, brackets=entry.kind == "RULE"))
    if entry.kind in ("FUNCTION", "PROCEDURE"):
        return _objection_to_routine(entry, pieces)
    for piece in pieces:
        if not any(shape.fullmatch(piece) for shape in _COMPILED[entry.kind]):
            return f"a restore does not run {_first_words(piece)}"
        outside = statements.without_brackets(piece)
        if entry.kind == "TABLE" and piece.startswith("CREATE") and re.search(r"\b(?:AS|EXECUTE)\b", outside, re.I):
            return "a table is made of columns, not of a query"
        if entry.kind == "AGGREGATE" and re.search(r"\bINTERNAL\b", piece, re.I):
            return "an aggregate over the server's own memory"
    return ""


def _objection_to_routine(entry: Entry, pieces: list[str]) -> str:
    if not pieces or not any(shape.fullmatch(pieces[0]) for shape in _COMPILED[entry.kind]):
        return f"a restore does not run {_first_words(pieces[0] if pieces else '')}"
    head = statements.without_brackets(pieces[0])
    head, atomic, first = head.partition(" BEGIN ATOMIC ")
    languages = re.findall(r"\bLANGUAGE (\S+)", head, re.I)
    if len(languages) != 1 or languages[0] not in _LANGUAGES:
        return f"its language is none of {', '.join(sorted(_LANGUAGES))}"
    if not atomic:
        return "more than one statement" if len(pieces) > 1 else ""
    body = [first, *pieces[1:-1]]
    if pieces[-1] != "END" or not all(_IN_A_BODY.match(piece) for piece in body):
        return "more than one statement"
    return ""


def _pieces(text: str, *, brackets: bool) -> Iterable[str]:
    """What stands between the semicolons, in the form of `Statement.shape`; `brackets`: only those in no bracket end.

    Simpler than `statements.split`, and stricter: no word opens a block.
    """
    piece: list[str] = []
    depth = 0
    for token in statements.tokens(text):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.kind == "end" and (depth <= 0 or not brackets):
            if shape := _shape(piece):
                yield shape
            piece = []
        else:
            piece.append(_masked(token))
    if shape := _shape(piece):
        yield shape


def _masked(token: Token) -> str:
    masks = {"text": "'...'", "body": "$...$", "name": '"..."', "space": " "}
    return masks.get(token.kind, token.text)


def _shape(piece: list[str]) -> str:
    return re.sub(" {2,}", " ", "".join(piece)).strip()


def _first_words(text: str) -> str:
    """Enough to know it by, and no value: a literal is masked."""
    shape = _shape([_masked(token) for token in statements.tokens(text[:2000])])
    words = _CONTROL.sub("?", " ".join(shape.split(" ")[:5]))[:60]
    return f"{words!r}" if words else "nothing"
