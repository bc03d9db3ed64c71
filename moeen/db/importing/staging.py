"""Temporary tables of one session of the target: what was read, which rows that are, and what is to be written.

They go with the session, so nothing is left of them however a run ends. Of each table of ours:

========  ====================================================================================================
stage     the rows as they were read: key k, digest d, old public id p, and the columns, wide enough for all values
keys      every old key of the source and of earlier runs, its row here, and what is to be done: `verb`
refused   key, column, reason: rows that are not to be written
ready     the rows as they will stand: values in our types, references resolved
========  ====================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from moeen.db.codes import Code
from moeen.db.errors import MoeenError
from moeen.db.importing import conversions
from moeen.db.importing.selection import Selection
from moeen.db.importing.source import Connection, Source
from moeen.db.sql import fragment

#: A message of COPY is a row; so many bytes of them are handed on at once.
_CHUNK = 1 << 17
#: Up to this share of the rows is fetched by key; for more, everything is read.
_FEW = 0.2
Told = Callable[[int], None]


class ExpressionFailed(MoeenError):
    """Some expression of the mapping fails at some row of the source."""

    default_code = Code.MAPPING

    def __init__(self, error: psycopg.Error) -> None:
        super().__init__(
            f"An expression fails at some row: {type(error).__name__}.",
            next_step="`manage.py import_database --check` names its line in the mapping, and a query for such rows.",
        )
        self.kind = type(error).__name__


@dataclass(frozen=True)
class Counts:
    """Rows of one table: read, refused, and what is to be done with the others."""

    read: int
    refused: int
    new: int
    changed: int
    gone: int
    same: int


class Staging:
    """The temporary tables for one table of ours."""

    def __init__(self, selection: Selection, number: int, *, source: Source, target: Connection, name: str) -> None:
        """``name`` is the source's, as `legacy_keys` knows it."""
        self.selection, self.source, self.connection, self.name = selection, source, target, name
        self.table = selection.target.name
        self.stage, self.keys, self.refused, self.ready = (
            sql.Identifier("pg_temp", f"import_{number}_{what}") for what in ("stage", "keys", "refused", "ready")
        )
        self.incoming = sql.Identifier("pg_temp", f"import_{number}_incoming")
        #: Rows as text, because some value is none of its column's type.
        self.raw = False
        self.read = 0

    # --- reading ------------------------------------------------------------------------------------------------

    def fill(self, told: Told, parents: Mapping[str, Staging]) -> None:
        """Read what is needed of the source into stage, and settle the keys. ``parents``: those judged before."""
        known = self._number(
            "SELECT count(*) FROM public.legacy_keys WHERE source = %s AND table_name = %s", [self.name, self.table]
        )
        self.run("CREATE TEMP TABLE {refused} (k text, c text, reason text)")
        if not known or self.selection.table.match:
            self._read_all(told)
            self._settle(self.stage)
            return
        self.run("CREATE TEMP TABLE {incoming} (k text, d uuid)")
        self.read = self._copy(self.selection.keys(), self.incoming, told)
        self._settle(self.incoming)
        self.unmoor(parents, verb="same", becomes="changed")
        wanted = [key for (key,) in self.rows("SELECT k FROM {keys} WHERE verb IN ('new', 'changed')")]
        if len(wanted) > _FEW * max(self.read, 5_000):
            self._read_all(told)
            self.run("DELETE FROM {stage} AS s USING {keys} AS w WHERE w.k = s.k AND w.verb = 'same'")
        else:
            self._stage(lambda: self._copy(self.selection.only(wanted), self.stage, told) if wanted else 0)

    def _read_all(self, told: Told) -> None:
        self.read = self._stage(lambda: self._copy(self.selection.all(), self.stage, told))

    def _stage(self, copy: Callable[[], int]) -> int:
        """Into columns of our types; where some value does not go into its column, all as text, to find out which."""
        self._make_stage()
        try:
            with self.connection.transaction():
                return copy()
        except psycopg.DataError:
            self.raw = True
        self.run("DROP TABLE {stage}")
        self._make_stage()
        with self.connection.transaction():
            return copy()

    def _make_stage(self) -> None:
        columns: list[sql.Composable] = [sql.SQL("k text, d uuid")]
        if self.selection.public_id is not None:
            columns.append(sql.SQL("p text"))
        for name in self.selection.columns:
            kind = "text" if self.raw else self.wide_type(name)
            columns.append(sql.SQL("{} {}").format(sql.Identifier(name), fragment(kind)))
        self.run("CREATE TEMP TABLE {stage} ({columns})", columns=sql.SQL(", ").join(columns))

    def wide_type(self, name: str) -> str:
        """A type that holds what is too long or too exact for the column, too, so that it is seen and not cut."""
        if name in self.selection.references:
            return "text"
        kind = conversions.base(self.selection.target.columns[name].type)
        return "text" if kind in ("character varying", "character") else kind

    def _copy(self, query: sql.Composable, into: sql.Identifier, told: Told) -> int:
        chunk: list[bytes] = []
        rows = size = 0
        out = sql.SQL("COPY ({}) TO STDOUT").format(query)
        take = sql.SQL("COPY {} FROM STDIN").format(into)
        # A savepoint: when the target refuses a row, the source's statement is cancelled, and its snapshot must stay.
        with (
            self.source.connection.transaction(),
            self.source.connection.cursor().copy(out) as leaving,
            self.connection.cursor().copy(take) as coming,
        ):
            for row in self._leaving(leaving):
                chunk.append(row)
                size += len(row)
                rows += 1
                if size > _CHUNK:
                    coming.write(b"".join(chunk))
                    chunk, size = [], 0
                    told(rows)
            coming.write(b"".join(chunk))
        told(rows)
        return rows

    def _leaving(self, rows: Iterable[Any]) -> Iterator[Any]:
        """The rows of the source; what it fails with is told apart from what the target refuses."""
        try:
            yield from rows
        except psycopg.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: psycopg.Error) -> MoeenError:
        if self.source.connection.closed or not isinstance(error, psycopg.DataError):
            return self.source.lost(error)
        return ExpressionFailed(error)

    def _settle(self, incoming: sql.Identifier) -> None:
        """What is to be done with each key: new, changed, same or gone. A uuid stays the key that it is."""
        made = "i.k::uuid" if self.selection.keeps_keys else "gen_random_uuid()"
        self.run(
            """
            CREATE TEMP TABLE {keys} AS
            SELECT coalesce(i.k, l.old_key) AS k, i.d, coalesce(l.new_id, {made}) AS id, coalesce(l.row_hash = 0, false)
                   AS matched,
                   CASE WHEN l.old_key IS NULL THEN 'new' WHEN i.k IS NULL THEN 'gone' WHEN l.digest <> i.d
                        THEN 'changed' ELSE 'same' END AS verb
            FROM (SELECT DISTINCT ON (k) k, d FROM {incoming} WHERE k IS NOT NULL ORDER BY k) AS i
            FULL JOIN (SELECT old_key, new_id, digest, row_hash FROM public.legacy_keys
                       WHERE source = {name} AND table_name = {table}) AS l ON l.old_key = i.k
            """,
            incoming=incoming, made=fragment(made), name=sql.Literal(self.name), table=sql.Literal(self.table),
        )  # fmt: skip
        if self.selection.table.match:
            self._match()
        self.run("ANALYZE {keys}")

    def unmoor(self, parents: Mapping[str, Staging], *, verb: str, becomes: str) -> None:
        """Rows that stand and refer to one that goes cannot stay as they are."""
        for name, other in self.selection.references.items():
            self.run(
                """
                UPDATE {keys} AS w SET verb = {becomes} FROM {target} AS t JOIN {others} AS p ON p.id = t.{c}
                WHERE t.id = w.id AND w.verb = {verb} AND p.verb = 'gone'
                """,
                others=parents[other].keys if other in parents else self.keys, c=sql.Identifier(name),
                verb=sql.Literal(verb), becomes=sql.Literal(becomes),
            )  # fmt: skip

    def _match(self) -> None:
        """Rows whose value stands here already are those."""
        self.run(
            """
            UPDATE {keys} AS w SET id = t.id, matched = true FROM {stage} AS s JOIN {target} AS t
            ON t.{column} = s.{column} WHERE s.k = w.k AND w.verb = 'new'
            """,
            column=sql.Identifier(self.selection.table.match),
        )

    def count(self) -> Counts:
        """Of the keys, once they are judged."""
        found = dict(self.rows("SELECT verb, count(*) FROM {keys} GROUP BY 1"))
        (refused,) = self.rows("SELECT count(DISTINCT coalesce(k, '')) FROM {refused}")[0]
        return Counts(self.read, refused, *(found.get(verb, 0) for verb in ("new", "changed", "gone", "same")))

    # --- small helps ----------------------------------------------------------------------------------------------

    def _parts(self, **more: sql.Composable) -> dict[str, sql.Composable]:
        return {"stage": self.stage, "keys": self.keys, "refused": self.refused, "ready": self.ready,
                "incoming": self.incoming, "target": self.selection.target.relation, **more}  # fmt: skip

    def run(self, template: Any, **more: sql.Composable) -> int:
        return self.connection.execute(sql.SQL(template).format(**self._parts(**more))).rowcount

    def rows(self, template: Any, **more: sql.Composable) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql.SQL(template).format(**self._parts(**more))).fetchall()

    def _number(self, query: Any, parameters: list[Any]) -> int:
        row = self.connection.execute(query, parameters).fetchone()
        assert row is not None
        return int(row[0])
