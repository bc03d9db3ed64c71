"""The database that rows come from: read, never written, in one snapshot.

Any PostgreSQL from 10 on. Everything is set for the one transaction alone, so that a pooler may stand between.
"""

from __future__ import annotations

import re
from collections.abc import Container, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict

from moeen.db import secret_files
from moeen.db.codes import Code
from moeen.db.errors import DATABASE_URL_FORM, USAGE, MoeenError
from moeen.db.explain import explain
from moeen.db.sql import fragment

Connection = psycopg.Connection[tuple[Any, ...]]
OLDEST = 100000
#: So many bytes of rows are handed on at once.
_CHUNK = 1 << 17
#: Values are written in one form; rows that policies would hide are an error; no limit of theirs ends the reading.
#: Blocks of keys by the hundred thousand are summed up in memory, at two thirds of the cost.
_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "row_security": "off",
    "statement_timeout": "0",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
    "work_mem": "64MB",
    "jit": "off",
}


class SourceLost(MoeenError):
    """The source went away while it was read."""

    default_code = Code.IMPORT_SOURCE


@dataclass(frozen=True)
class ForeignKey:
    """Columns that refer to those of another table of the source."""

    columns: tuple[str, ...]
    table: str
    table_columns: tuple[str, ...]


@dataclass(frozen=True)
class SourceTable:
    """A table or view of the source: column -> type as PostgreSQL writes it, enums with their labels.

    ``readable``: whether the source's role sees all of it.
    """

    schema: str
    name: str
    kind: str
    rows: int
    readable: bool
    columns: dict[str, str]
    key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)


def url_of(words: str) -> str:
    """A URL, or what `env:VARIABLE` or `file:PATH` leads to: a password in a command line is seen by everybody."""
    return secret_files.led_to(words, folder=Path.cwd()) if words.startswith(("env:", "file:")) else words


class Source:
    """An open snapshot of a database. Not for two threads at once: `beside` opens another of the same."""

    def __init__(self, connection: Connection, url: str, schema: str) -> None:
        self.connection, self.url, self.schema = connection, url, schema
        self._tables: dict[str, dict[str, SourceTable]] = {}

    @classmethod
    @contextmanager
    def opened(cls, url: str, *, schema: str, snapshot: str = "") -> Iterator[Source]:
        """Connect and begin; raises MoeenError where the server or the database cannot be had.

        ``snapshot``: one that another session exported, to see what it sees.
        """
        try:
            conninfo_to_dict(url)
        except psycopg.Error as error:
            raise MoeenError(
                "The URL of the source is malformed.",
                next_step=f"The wanted form: {DATABASE_URL_FORM}",
                exit_code=USAGE,
            ) from error
        try:
            connection = psycopg.connect(
                url, autocommit=True, connect_timeout=10, application_name="moeen import", client_encoding="UTF8",
                prepare_threshold=None,
            )  # fmt: skip
        except psycopg.Error as error:
            known = explain(error, named="--from")
            cause = known.cause if known else type(error).__name__
            step = known.next_step if known else ""
            raise MoeenError(f"The source: {cause}", next_step=step, code=Code.IMPORT_SOURCE) from error
        with closing(connection):  # never committed: not even a large object that an expression makes stays
            yield cls._begun(connection, url, schema, snapshot)

    @contextmanager
    def beside(self) -> Iterator[Source]:
        """Another session that sees the same snapshot."""
        ((snapshot,),) = self.connection.execute("SELECT pg_export_snapshot()").fetchall()
        with Source.opened(self.url, schema=self.schema, snapshot=snapshot) as other:
            yield other

    @classmethod
    def _begun(cls, connection: Connection, url: str, schema: str, snapshot: str) -> Source:
        if connection.info.server_version < OLDEST:
            raise MoeenError(
                "The source is older than PostgreSQL 10.",
                next_step="Upgrade it, or a copy of it, first.",
                code=Code.OLD_SERVER,
            )
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if snapshot:
            connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot))
        # As it is where nobody says otherwise: what the schema holds does not stand before what PostgreSQL calls so.
        connection.execute(sql.SQL("SET LOCAL search_path = {}").format(sql.Identifier(schema)))
        known = {name for (name,) in connection.execute("SELECT name FROM pg_settings").fetchall()}
        for name, value in _SETTINGS.items():
            if name in known:
                connection.execute("SELECT set_config(%s, %s, true)", [name, value])
        return cls(connection, url, schema)

    def described(self, query: sql.Composable) -> list[tuple[str, str]]:
        """(name, type) of what a query gives. Raises psycopg's error for what is no query, or more than one, or asks
        for what its role may not read."""
        with self.connection.transaction():
            found = self._parsed(query)
            self.connection.execute(sql.SQL("SELECT FROM ({}\n) AS s LIMIT 0").format(query))
            return [(name, self._type(oid, modifier)) for name, oid, modifier in found]

    def _parsed(self, query: sql.Composable) -> list[tuple[str, int, int]]:
        """(name, type, modifier) of what it gives; it is not run. What is sent this way can be one statement alone."""
        connection, text = self.connection.pgconn, query.as_bytes(self.connection)
        for result in (connection.prepare(b"", text), connection.describe_prepared(b"")):
            if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
                raise errors.error_from_result(result)
        return [((result.fname(n) or b"").decode(), result.ftype(n), result.fmod(n)) for n in range(result.nfields)]

    def given(self, query: sql.Composable, table: SourceTable, columns: Iterable[str]) -> list[str] | None:
        """The columns that a query would give where the table had these alone; None where it would be no query."""
        shadow = sql.SQL("WITH {name} AS (SELECT {columns} FROM {table}) SELECT * FROM ({query}\n) AS q").format(
            name=sql.Identifier(table.name), columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
            table=sql.Identifier(table.schema, table.name), query=query,
        )  # fmt: skip
        try:
            with self.connection.transaction():
                return [name for name, *_ in self._parsed(shadow)]
        except psycopg.Error:
            return None

    def _type(self, oid: int, modifier: int) -> str:
        row = self.connection.execute("SELECT format_type(%s::oid, %s)", [oid, modifier]).fetchone()
        assert row is not None
        return str(row[0])

    def copied(self, query: sql.Composable) -> Generator[list[Any]]:
        """What COPY gives of a query, some rows at a time, each as its bytes."""
        more = True
        # A savepoint: when whoever takes the rows refuses one, the statement is cancelled, and the snapshot must stay.
        with (
            self.connection.transaction(),
            self.connection.cursor().copy(sql.SQL("COPY ({}) TO STDOUT").format(query)) as leaving,
        ):
            while more:
                chunk, more = self._chunk(leaving)
                yield chunk

    def _chunk(self, leaving: psycopg.Copy) -> tuple[list[Any], bool]:
        """Rows, each a message of COPY, and whether more may follow.

        psycopg waits for one; those that came with it are taken from libpq, at a tenth of the cost.
        """
        chunk, size, connection = list[Any](), 0, self.connection.pgconn
        while size < _CHUNK:
            row = leaving.read()
            if not row:
                return chunk, False
            length = len(row)
            while length > 0:
                chunk.append(row)
                size += length
                length, row = connection.get_copy_data(1)
            if length < 0:
                result = connection.get_result()
                while connection.get_result():
                    pass
                if result and result.status != psycopg.pq.ExecStatus.COMMAND_OK:
                    raise errors.error_from_result(result)
                return chunk, False
        return chunk, True

    def rows(self, query: sql.SQL | sql.Composed) -> list[tuple[Any, ...]]:
        """All rows of a query; it may fail and leaves the snapshot as it is."""
        try:
            with self.connection.transaction():
                return self.connection.execute(query).fetchall()
        except (psycopg.OperationalError, errors.InsufficientPrivilege) as error:
            raise self.lost(error) from error

    def has_schema(self) -> bool:
        query = sql.SQL("SELECT to_regnamespace(quote_ident({})) IS NOT NULL").format(sql.Literal(self.schema))
        return bool(self.rows(query)[0][0])

    def knows_zone(self, name: str) -> bool:
        try:
            return bool(self.rows(sql.SQL("SELECT now() AT TIME ZONE {}").format(sql.Literal(name))))
        except psycopg.DataError:
            return False

    def cancel(self) -> None:
        """End what another thread is asking."""
        with suppress(psycopg.Error):
            self.connection.cancel_safe()

    def lost(self, error: psycopg.Error) -> MoeenError:
        """What to say of an error of this connection."""
        if self.connection.closed or isinstance(error, errors.AdminShutdown | errors.CrashShutdown):
            return SourceLost(
                "The source went away while it was read.",
                next_step="Run the command again; what was written stays, and is not written twice.",
            )
        if isinstance(error, errors.InsufficientPrivilege):
            return self.denied(error)
        known = explain(error, named="--from")
        return MoeenError(
            f"The source: {known.cause if known else type(error).__name__}",
            next_step=known.next_step if known else "Look into its server's log, then run the command again.",
            code=Code.IMPORT_SOURCE,
        )

    def denied(self, error: psycopg.Error) -> MoeenError:
        """What the source's role may not read."""
        return MoeenError(
            f"The source does not show this to its role {self.connection.info.user}: {error.diag.message_primary}.",
            next_step="Grant it SELECT on all tables, and USAGE on their schema; of tables with row security, take "
            "their owner or a role with BYPASSRLS.",
            code=Code.IMPORT_SOURCE,
        )

    def identifier(self, name: str) -> str:
        """A name as it stands in SQL for people: quoted only where it must be."""
        plain = re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in self._reserved
        return name if plain else sql.Identifier(name).as_string(None)

    def written(self, template: LiteralString, **names: str) -> str:
        """SQL for people, with these names in it."""
        parts = {word: fragment(self.identifier(name)) for word, name in names.items()}
        return sql.SQL(template).format(**parts).as_string(None)

    @cached_property
    def _reserved(self) -> frozenset[str]:
        query = "SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')"
        return frozenset(word for (word,) in self.connection.execute(query).fetchall())

    def shown_by_views(self) -> dict[str, set[str]]:
        """View -> the tables of the same schema that it reads."""
        found: dict[str, set[str]] = {}
        for view, table in self.connection.execute(_SHOWN, [self.schema]).fetchall():
            found.setdefault(view, set()).add(table)
        return found

    def tables(self, schema: str = "") -> dict[str, SourceTable]:
        """The tables and views of a schema, by name."""
        wanted = schema or self.schema
        if wanted not in self._tables:
            self._tables[wanted] = self._read_tables(wanted)
        return self._tables[wanted]

    def elsewhere(self, left_out: Container[str] = ()) -> dict[str, list[str]]:
        """Schema -> its tables that hold rows or may do, for schemas of people's own besides the one that is read, and
        those that are ``left_out`` as a whole: of these nothing is asked, since they may be the target's own."""
        found: dict[str, list[str]] = {}
        for (schema,) in self.connection.execute(_SCHEMAS, [self.schema]).fetchall():
            if f"{schema}.*" in left_out:
                continue
            tables = [one for one in self.tables(schema).values() if one.kind in ("r", "p")]
            if holding := [one.name for one in tables if not one.readable or self.holds_rows(one)]:
                found[schema] = holding
        return found

    def holds_rows(self, table: SourceTable) -> bool:
        relation = sql.Identifier(table.schema, table.name)
        return bool(self.rows(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(relation))[0][0])

    def _read_tables(self, wanted: str) -> dict[str, SourceTable]:
        found: dict[str, SourceTable] = {}
        for name, kind, rows, readable, names, types in self.connection.execute(_TABLES, [wanted]).fetchall():
            columns = dict(zip(names, types, strict=True))
            found[name] = SourceTable(wanted, name, kind, max(rows, 0), readable, columns)
        for name, key in self.connection.execute(_KEYS, [wanted]).fetchall():
            found[name] = replace(found[name], key=tuple(key))
        for name, columns, other, others in self.connection.execute(_FOREIGN_KEYS, [wanted]).fetchall():
            more = ForeignKey(tuple(columns), other, tuple(others))
            found[name] = replace(found[name], foreign_keys=(*found[name].foreign_keys, more))
        for name, column, labels in self.connection.execute(_LABELS, [wanted]).fetchall():
            found[name] = replace(found[name], labels={**found[name].labels, column: tuple(labels)})
        return found


_TABLES = """
    SELECT c.relname::text, c.relkind::text, c.reltuples::bigint,
           has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
           AND NOT row_security_active(c.oid),
           array_agg(a.attname::text ORDER BY a.attnum),
           array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
    GROUP BY 1, 2, 3, 4 ORDER BY 1
"""
_SCHEMAS = """
    SELECT nspname::text FROM pg_namespace AS n
    WHERE nspname <> %s AND nspname !~ '^pg_' AND nspname <> 'information_schema' AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = 'pg_namespace'::regclass AND objid = n.oid AND deptype = 'e')
    ORDER BY 1
"""
_KEYS = """
    SELECT c.relname::text, array_agg(a.attname::text ORDER BY k.place)
    FROM pg_constraint AS p JOIN pg_class AS c ON c.oid = p.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL unnest(p.conkey) WITH ORDINALITY AS k (number, place)
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.number
    WHERE n.nspname = %s AND p.contype = 'p' AND NOT c.relispartition GROUP BY 1
"""
_FOREIGN_KEYS = """
    SELECT c.relname::text,
           ARRAY(SELECT a.attname::text FROM unnest(p.conkey) WITH ORDINALITY AS k (number, place)
                 JOIN pg_attribute AS a ON a.attrelid = p.conrelid AND a.attnum = k.number ORDER BY k.place),
           CASE WHEN f.relnamespace = n.oid THEN '' ELSE fn.nspname || '.' END || f.relname,
           ARRAY(SELECT a.attname::text FROM unnest(p.confkey) WITH ORDINALITY AS k (number, place)
                 JOIN pg_attribute AS a ON a.attrelid = p.confrelid AND a.attnum = k.number ORDER BY k.place)
    FROM pg_constraint AS p JOIN pg_class AS c ON c.oid = p.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_class AS f ON f.oid = p.confrelid JOIN pg_namespace AS fn ON fn.oid = f.relnamespace
    WHERE n.nspname = %s AND p.contype = 'f' AND NOT c.relispartition ORDER BY 1, p.conname
"""
_SHOWN = """
    SELECT DISTINCT v.relname::text, t.relname::text
    FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid JOIN pg_class AS v ON v.oid = r.ev_class
    JOIN pg_namespace AS n ON n.oid = v.relnamespace JOIN pg_class AS t ON t.oid = d.refobjid AND t.relnamespace = n.oid
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND v.oid <> t.oid
      AND n.nspname = %s
"""
_LABELS = """
    SELECT c.relname::text, a.attname::text, array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_enum AS e ON e.enumtypid = a.atttypid
    WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition GROUP BY 1, 2
"""
