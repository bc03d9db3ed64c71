"""Reads of clinical records: seen on the wire, and entered in the audit log before anybody sees what was read.

The server says of each column of a result which table it is of. So the engine knows every row whose clinical fields
(`Model.clinical_fields`) came over a connection, whatever asked for them, and a scope of recorded() collects them. A
GET is a READ ONLY transaction: what was collected is written by a second one, committed before the answer is sent.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import psycopg
from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections

from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.roles import PREFIX
from moeen.db.scoped import scoped

from . import identity

#: Why a record is opened. What nobody says is the purpose that the role usually has.
PURPOSES = ("treatment", "payment", "operations", "own record", "emergency", "legal")
_USUAL = {"doctor": "treatment", "patient": "own record"}
#: Entries that one statement writes.
_TOGETHER = 1000

#: A row that was read, and why.
Key = tuple[str, uuid.UUID, str]


class NotRecorded(MoeenError):
    """A read of clinical fields that could not be entered in the audit log, or a purpose that there is not."""

    default_code = Code.NOT_RECORDED


@dataclass
class Reads:
    """What was read so far, and not entered yet: rows, and the columns of each."""

    found: dict[Key, set[str]] = field(default_factory=dict)

    def note(self, table: str, row: uuid.UUID, columns: set[str]) -> None:
        usual = _USUAL.get(identity.current().role.removeprefix(PREFIX), "operations")
        self.found.setdefault((table, row, _purpose.get() or usual), set()).update(columns)

    def store(self, who: identity.Identity, *, using: str = DEFAULT_DB_ALIAS) -> None:
        """Enter it in the log, committed, as `who` read it. Raises DatabaseError, and then it is not to be shown."""
        entries = [
            {"table": table, "id": str(row), "purpose": purpose, "columns": sorted(columns)}
            for (table, row, purpose), columns in self.found.items()
        ]
        with identity.bound(replace(who, read_only=False)):
            for start in range(0, len(entries), _TOGETHER):
                with connections[using].cursor() as cursor:
                    cursor.execute("SELECT app.record_reads(%s)", [json.dumps(entries[start : start + _TOGETHER])])
        self.found.clear()


_reads: ContextVar[Reads | None] = ContextVar("reads", default=None)
_purpose: ContextVar[str] = ContextVar("purpose", default="")


@contextmanager
def recorded(*, purpose: str = "") -> Iterator[Reads]:
    """A scope that collects what is read in it. Whoever opens it stores it before anybody sees anything.

    `purpose`: of PURPOSES, "" for the one that the role usually has.
    """
    with scoped(_reads, Reads()) as reads, scoped(_purpose, purpose):
        yield reads


@contextmanager
def resumed(reads: Reads) -> Iterator[Reads]:
    """The scope of recorded() once more, for what is read later."""
    with scoped(_reads, reads):
        yield reads


@contextmanager
def accessing(patient: Any, *, purpose: str, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Open a patient's record: an entry of its own, and whatever is read in the block is read for this purpose.

    `patient`: an object with `pk`; `purpose`: of PURPOSES. In a request the entries are written before the answer is
    sent. Elsewhere that of the opening is committed before the block begins, and those of its reads when it ends.
    Raises NotRecorded for another purpose, and inside a transaction, which could be taken back with its entries.
    """
    if purpose not in PURPOSES:
        raise NotRecorded(
            f"There is no purpose {purpose!r}.", next_step=f"One of: {', '.join(PURPOSES)}.", exit_code=FINDINGS
        )
    opened = (patient._meta.db_table, uuid.UUID(str(patient.pk)), set[str]())
    outer = _reads.get()
    with scoped(_purpose, purpose):
        if outer is not None:
            outer.note(*opened)
            yield
            return
        if connections[using].in_atomic_block:
            raise NotRecorded(
                "A patient's record is opened inside a transaction, which could be taken back with its entries.",
                next_step="Open the transaction inside of accessing().",
                exit_code=FINDINGS,
            )
        who = identity.current()
        with recorded() as reads:
            reads.note(*opened)
            reads.store(who, using=using)
            try:
                yield
            finally:
                reads.store(who, using=using)


def seen(connection: Any, statement: Any, results: list[Any]) -> None:
    """Of the engine: note the clinical rows in these results of libpq's.

    Raises NotRecorded where clinical columns came without the id of their row, or went into an expression: whose they
    are could not be said.
    """
    reads = _reads.get()
    if reads is None or not identity.current().role:
        return
    known = _known(connection)
    hidden = _named(statement)
    for result in results:
        columns = [(result.ftable(i), result.ftablecol(i)) for i in range(result.nfields)]
        for oid in {table for table, _ in columns if table in known}:
            table, names, key = known[oid]
            read = {names[number] for of, number in columns if of == oid and number in names}
            hidden -= {(table, name) for name in read}
            if not read or not result.ntuples:
                continue
            places = [i for i, column in enumerate(columns) if column == (oid, key)]
            if not places:
                raise _unnamed(table, read)
            for row in _keys(result, places):
                reads.note(table, row, read)
    if hidden and any(result.nfields and result.ntuples for result in results):
        table, name = min(hidden)
        raise _unnamed(table, {name})


def told(table: str, row: uuid.UUID | None, columns: Iterable[str]) -> None:
    """Note what an entry of the audit log tells of a row: clinical values before and after are read there as well."""
    reads = _reads.get()
    names = set(columns) & set(_clinical().get(table, ()))
    if reads is not None and identity.current().role and row is not None and names:
        reads.note(table, row, names)


def refuse(what: str) -> None:
    """Of the engine: where results have no columns that the server names, nothing is read in a scope of recorded()."""
    if _reads.get() is not None and identity.current().role:
        raise NotRecorded(f"{what} could read records that nobody would enter in the audit log.", exit_code=FINDINGS)


@cache
def _clinical() -> dict[str, tuple[str, ...]]:
    """Table -> its clinical columns."""
    return {
        model._meta.db_table: tuple(str(model._meta.get_field(name).attname) for name in names)  # type: ignore[union-attr]
        for model in apps.get_models()
        if (names := getattr(model, "clinical_fields", ()))
    }


@cache
def _pattern() -> re.Pattern[str]:
    """A clinical column as Django's queries name it, by its table or by an alias; a table with an alias."""
    columns = "|".join(sorted({name for names in _clinical().values() for name in names}))
    tables = "|".join(_clinical())
    return re.compile(
        rf'(?P<of>"?\w+"?)\."(?P<column>{columns})"|"(?P<table>{tables})" (?P<alias>[A-Z]+[0-9]+)\b'
        if tables
        else "(?!)"
    )


def _named(statement: Any) -> set[tuple[str, str]]:
    """The clinical columns that a query names anywhere; what is written is no read.

    Django calls a table T4 that a query joins once more, and U0 within a subquery. What stands there comes out as an
    expression at most: it is named so as well, and never among the columns that a result shows.
    """
    text = statement.lstrip("( ") if isinstance(statement, str) else ""
    if not text.startswith("SELECT"):
        return set()
    found = list(_pattern().finditer(text))
    aliases = {one["alias"]: one["table"] for one in found if one["alias"]}
    names = set()
    for one in found:
        of = (one["of"] or "").strip('"')
        table = aliases.get(of, of)
        if one["column"] in _clinical().get(table, ()):
            names.add((f"{table} ({of})" if of in aliases and not of.startswith("T") else table, one["column"]))
    return names


def _known(connection: Any) -> dict[int, tuple[str, dict[int, str], int]]:
    """Of this database: a table's OID -> its name, its clinical columns by number, the number of its id."""
    known: dict[int, tuple[str, dict[int, str], int]] | None = getattr(connection, "moeen_clinical", None)
    if known is None:
        known = {}
        with psycopg.Cursor(connection) as cursor:
            cursor.execute(
                "SELECT c.oid::bigint, c.relname::text, a.attname::text, a.attnum FROM pg_catalog.pg_class AS c "
                "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_catalog.pg_attribute AS a "
                "ON a.attrelid = c.oid WHERE n.nspname = 'public' AND c.relname = ANY (%s) AND a.attnum > 0",
                [list(_clinical())],
            )
            for oid, table, name, number in cursor.fetchall():
                _, columns, key = known.get(oid, (table, {}, 0))
                if name in _clinical()[table]:
                    columns[number] = name
                known[oid] = (table, columns, number if name == "id" else key)
        connection.moeen_clinical = known
    return known


def _keys(result: Any, places: list[int]) -> Iterator[uuid.UUID]:
    for place in places:
        for number in range(result.ntuples):
            value = result.get_value(number, place)
            if value is not None:
                yield uuid.UUID(bytes=bytes(value)) if result.fformat(place) else uuid.UUID(bytes(value).decode())


def _unnamed(table: str, columns: set[str]) -> NotRecorded:
    return NotRecorded(
        f"{', '.join(sorted(columns))} of {table} are read, and whose they are does not come with them.",
        next_step=f"Let the query select the id of {table} and these columns themselves.",
        exit_code=FINDINGS,
    )
