"""Tables of a run in a schema of their own: what was read, which rows that are, and what is to be written.

No temporary ones: those have one session and one process, and here two sessions read, and the server's workers join.
They are unlogged, gone at the end of the run, and after a kill at the beginning of the next one. Of each table of ours:

========  ====================================================================================================
stage     the rows as they were read: a new id and public id for each, key k, digest d, old public id p, and the
          columns, wide enough for all values
changing  new id, key and digest of what may have changed since an earlier run; the first run has the stage for it
blocks    how many rows of the source are in each block of keys, and a sum of their digests; `differ`: those that differ
keys      every old key of the source and of earlier runs, its row here, and what is to be done: `verb`
refused   key, column, reason: rows that are not to be written
ready     the rows as they will stand: values in our types, references resolved
========  ====================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from moeen.db.codes import Code
from moeen.db.errors import MoeenError
from moeen.db.importing import conversions
from moeen.db.importing.made import Maker
from moeen.db.importing.selection import Selection, part_of_digest
from moeen.db.importing.source import Connection, Source
from moeen.db.sql import fragment

#: Tables of one run, until it ends. The next run clears what a killed one left: no role but the owner sees in there.
WORK = "import_work"
#: Up to this share of the rows is fetched by key; for more, everything is read.
_FEW = 0.2
Told = Callable[[int], None]


class ExpressionFailed(MoeenError):
    """Some expression of the mapping fails at some row of the source."""

    default_code = Code.MAPPING

    def __init__(self, error: psycopg.Error) -> None:
        super().__init__(
            f"An expression fails at some row of the source: {why(error)}.",
            next_step="Nothing was changed. Leave out one column after another, to see which it is.",
        )


def why(error: psycopg.Error) -> str:
    """Why an expression fails, without the value that it fails at."""
    return next((words for kind, words in _WHY if isinstance(error, kind)), type(error).__name__)


_WHY: tuple[tuple[type[psycopg.Error], str], ...] = (
    (errors.CardinalityViolation, "a SELECT in it finds several rows"),
    (errors.ReadOnlySqlTransaction, "it writes, and the source is never written"),
    (errors.DivisionByZero, "it divides by zero"),
    (errors.CharacterNotInRepertoire, "it holds bytes that are no text in UTF-8"),
    (errors.UntranslatableCharacter, "it holds a character that UTF-8 has not"),
)


@dataclass(frozen=True)
class Counts:
    """Rows of one table: read, refused, and what is to be done with the others."""

    read: int
    refused: int
    new: int
    changed: int
    gone: int
    same: int

    @property
    def has_lost_most(self) -> bool:
        """Whether most of what came before is gone from the source, and that is not few."""
        return self.gone > 100 and self.gone > self.changed + self.same


@dataclass(frozen=True)
class Sides:
    """A session of the source and one of the target, for one thread's use."""

    source: Source
    target: Connection

    def cancel(self) -> None:
        """End what another thread is asking."""
        self.source.cancel()
        with suppress(psycopg.Error):
            self.target.cancel_safe()


@contextmanager
def workplace(connection: Connection) -> Iterator[None]:
    """The schema of a run's tables; whoever makes it holds the lock of imports."""
    drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(WORK))
    connection.execute("SET client_min_messages = warning")  # of each table that goes with it, else
    connection.execute(drop)
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(WORK)))
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute(drop)


class Staging:
    """The tables of a run for one table of ours."""

    def __init__(self, selection: Selection, number: int | str, *, sides: Sides, name: str) -> None:
        """``name`` is the source's, as `legacy_keys` knows it."""
        self.selection, self.sides, self.name = selection, sides, name
        self.table = selection.target.name
        self.stage, self.changing, self.keys, self.refused, self.ready, self.blocks, self.differ = (
            sql.Identifier(WORK, f"{what}_{number}")
            for what in ("stage", "changing", "keys", "refused", "ready", "blocks", "differ")
        )
        #: Key and digest of what was read: of all rows, but after an earlier run of what may have changed.
        self.incoming = self.stage
        #: Rows as text, because some value is none of its column's type.
        self.raw = False
        #: No row of it came before, and none that stands here is one of its: all are new.
        self.is_first = False
        #: Rows that were changed here, or are gone from here, are taken anew.
        self.retakes = False
        self.read = 0

    @property
    def connection(self) -> Connection:
        return self.sides.target

    # --- reading ------------------------------------------------------------------------------------------------

    @contextmanager
    def at(self, sides: Sides) -> Iterator[None]:
        """Within it the work is done in these sessions: those of another thread."""
        own, self.sides = self.sides, sides
        try:
            yield
        finally:
            self.sides = own

    @property
    def is_whole(self) -> bool:
        """Whether all rows of the source were read; else some may be, once it is settled which."""
        return self.incoming is self.stage

    def fill(self, told: Told) -> None:
        """Read what is needed of the source."""
        known = self.rows(
            "SELECT FROM public.legacy_keys WHERE source = {name} AND table_name = {table} LIMIT 1", **self.named()
        )
        self.run("CREATE UNLOGGED TABLE {refused} (k text, c text, reason text)")
        self.is_first = not known and not self.selection.table.match
        if not known or self.selection.table.match:
            self._read_all(told)
        else:
            self._read_differences(told)

    def sample(self, count: int, total: int) -> None:
        """Read about so many rows, of about so many, and all of each."""
        self.run("CREATE UNLOGGED TABLE {refused} (k text, c text, reason text)")
        self.run("CREATE UNLOGGED TABLE {keys} (k text, verb text)")  # nothing is to be done with any
        self.read = self._stage(lambda: self._copy_whole(self.selection.some(count, total), lambda rows: None))

    def _read_differences(self, told: Told) -> None:
        """Keys and digests of those blocks of keys that do not stand as they did: most do, and are not sent."""
        with self.connection.transaction():
            self.run("CREATE UNLOGGED TABLE {blocks} (b text, rows bigint, digests numeric)")
            self._copy(self.selection.blocks(), self.blocks, lambda rows: None)
        self.run(
            """
            CREATE UNLOGGED TABLE {differ} AS SELECT coalesce(i.b, l.b) AS b FROM {blocks} AS i
            FULL JOIN (SELECT {block} AS b, count(*) AS rows, sum({digest}) AS digests FROM public.legacy_keys
                       WHERE source = {name} AND table_name = {table} GROUP BY 1) AS l ON l.b = i.b
            WHERE (i.rows, i.digests) IS DISTINCT FROM (l.rows, l.digests)
            """,
            block=self.selection.block(sql.Identifier("old_key")),
            digest=part_of_digest(sql.SQL("replace(digest::text, '-', '')")), **self.named(),
        )  # fmt: skip
        self.incoming = self.changing
        differ = [block for (block,) in self.rows("SELECT b FROM {differ}")]
        with self.connection.transaction():
            self.run('CREATE UNLOGGED TABLE {incoming} (new_id uuid, k text COLLATE "C", d uuid)')
            if differ:
                self._copy(self.selection.keys(differ), self.incoming, told, maker=Maker())
        self.read = int(self.rows("SELECT coalesce(sum(rows), 0) FROM {blocks}")[0][0])

    def _read_all(self, told: Told) -> None:
        self.read = self._stage(lambda: self._copy_whole(self.selection.all(), told))

    def _stage(self, copy: Callable[[], int]) -> int:
        """Into columns of our types; where some value does not go into its column, all as text, to find out which."""
        try:
            return self._staged(copy)
        except psycopg.DataError:
            self.raw = True
        return self._staged(copy)

    def _staged(self, copy: Callable[[], int]) -> int:
        with self.connection.transaction():
            self._make_stage()
            return copy()

    def _make_stage(self) -> None:
        columns: list[sql.Composable] = [sql.SQL("new_id uuid")]
        if self.selection.target.prefix:
            columns.append(sql.SQL("new_public_id text"))
        columns.append(sql.SQL('k text COLLATE "C", d uuid'))
        if self.selection.public_id is not None:
            columns.append(sql.SQL("p text"))
        for name in self.selection.columns:
            kind = "text" if self.raw else self.wide_type(name)
            columns.append(sql.SQL("{} {}").format(sql.Identifier(name), fragment(kind)))
        self.run("CREATE UNLOGGED TABLE {stage} ({columns})", columns=sql.SQL(", ").join(columns))

    def wide_type(self, name: str) -> str:
        """A type that holds what is too long or too exact for the column, too, so that it is seen and not cut."""
        if name in self.selection.references:
            return "text"
        kind = conversions.base(self.selection.target.columns[name].type)
        return "text" if kind in ("character varying", "character") else kind

    def _copy(self, query: sql.Composable, into: sql.Identifier, told: Told, *, maker: Maker | None = None) -> int:
        """Into a table that was made in the same transaction, so that its rows need no look at who else sees them."""
        rows = 0
        take = sql.SQL("COPY {} FROM STDIN (FREEZE)").format(into)
        with closing(self._leaving(query)) as leaving, self.connection.cursor().copy(take) as coming:
            for chunk in leaving:
                coming.write(maker.before(chunk) if maker else b"".join(chunk))
                rows += len(chunk)
                told(rows)
        return rows

    def _copy_whole(self, query: sql.Composable, told: Told) -> int:
        return self._copy(query, self.stage, told, maker=Maker(self.selection.target.prefix))

    def _leaving(self, query: sql.Composable) -> Generator[list[Any]]:
        """The rows of the source; what it fails with is told apart from what the target refuses."""
        try:
            with closing(self.sides.source.copied(query)) as chunks:
                yield from chunks
        except psycopg.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: psycopg.Error) -> MoeenError:
        not_its_fault = (psycopg.OperationalError, errors.InsufficientPrivilege)
        if self.sides.source.connection.closed or isinstance(error, not_its_fault):
            return self.sides.source.lost(error)
        return ExpressionFailed(error)

    # --- what is to be done ---------------------------------------------------------------------------------------

    def settle(self, parents: Mapping[str, Staging], told: Told, *, retaken: sql.Composable | None = None) -> None:
        """Say of each key what is to be done, and fetch what changed. ``parents``: those judged before.

        ``retaken``: the hash of a row of ours, ``t``; those that do not stand as they were written are taken anew.
        """
        if retaken is not None:
            self.retakes = True
            self.run(
                """
                UPDATE {keys} AS w SET verb = 'new' FROM public.legacy_keys AS l
                WHERE l.source = {name} AND l.table_name = {table} AND l.old_key = w.k AND w.verb IN ('same', 'changed')
                  AND NOT w.matched AND NOT EXISTS (SELECT FROM {target} AS t WHERE t.id = l.new_id)
                """,
                **self.named(),
            )
            self.run(
                """
                UPDATE {keys} AS w SET verb = 'changed'
                FROM public.legacy_keys AS l JOIN {target} AS t ON t.id = l.new_id
                WHERE l.source = {name} AND l.table_name = {table} AND l.old_key = w.k AND w.verb = 'same'
                  AND NOT w.matched AND l.row_hash <> {hash}
                """,
                hash=retaken, **self.named(),
            )  # fmt: skip
        if self.is_whole:
            return
        self.unmoor(parents, verb="same", becomes="changed")
        wanted = [key for (key,) in self.rows("SELECT k FROM {keys} WHERE verb IN ('new', 'changed')")]
        if len(wanted) > _FEW * max(self.read, 5_000):
            self._read_all(told)
            self.run("DELETE FROM {stage} AS s USING {keys} AS w WHERE w.k = s.k AND w.verb = 'same'")
        else:
            self._stage(lambda: self._copy_whole(self.selection.only(wanted), told) if wanted else 0)

    def know(self, *, twice: bool) -> None:
        """Each key is new, changed, same or gone. ``twice``: rows share a key."""
        once = sql.SQL("SELECT k, d, new_id FROM {} WHERE k IS NOT NULL")
        if twice:
            once = sql.SQL("SELECT DISTINCT ON (k) k, d, new_id FROM {} WHERE k IS NOT NULL ORDER BY k")
        # What no block that differs holds stands as it did.
        within: sql.Composable = sql.SQL("true")
        if not self.is_whole:
            within = sql.SQL("{} IN (SELECT b FROM {})").format(
                self.selection.block(sql.Identifier("l", "old_key")), self.differ
            )
        self.run(
            """
            CREATE UNLOGGED TABLE {keys} AS
            SELECT coalesce(i.k, l.old_key) AS k, coalesce(i.d, l.digest) AS d, coalesce(l.new_id, {new}) AS id,
                   coalesce(l.row_hash = 0, false) AS matched,
                   CASE WHEN l.old_key IS NULL THEN 'new' WHEN l.digest <> i.d THEN 'changed'
                        WHEN i.k IS NULL AND {within} THEN 'gone' ELSE 'same' END AS verb
            FROM ({once}) AS i
            FULL JOIN (SELECT old_key, new_id, digest, row_hash FROM public.legacy_keys
                       WHERE source = {name} AND table_name = {table}) AS l ON l.old_key = i.k
            """,
            new=self.new_id("i"), within=within, once=once.format(self.incoming), **self.named(),
        )  # fmt: skip
        if self.selection.table.match:
            self._match()
        self.run("ANALYZE {keys}")

    def new_id(self, alias: str) -> sql.Identifier | sql.Composed:
        """SQL for the id of a row that is new. A uuid stays the key that it is."""
        if self.selection.keeps_keys:
            return sql.SQL("{}::uuid").format(sql.Identifier(alias, "k"))
        return sql.Identifier(alias, "new_id")

    def unmoor(self, parents: Mapping[str, Staging], *, verb: str, becomes: str) -> None:
        """Rows that stand and refer to one that goes cannot stay as they are."""
        for name, other in self.selection.references.items():
            others = parents[other].keys if other in parents else self.keys
            if not self.any("{others} WHERE verb = 'gone'", others=others):
                continue
            self.run(
                """
                UPDATE {keys} AS w SET verb = {becomes} FROM {target} AS t JOIN {others} AS p ON p.id = t.{c}
                WHERE t.id = w.id AND w.verb = {verb} AND p.verb = 'gone'
                """,
                others=others, c=sql.Identifier(name),
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
        # A row may be entered for several reasons, and several rows by one key, or by none.
        ((refused,),) = self.rows(
            """SELECT coalesce(sum(most), 0)::bigint FROM (
                   SELECT max(n) AS most FROM (SELECT k, count(*) AS n FROM {refused} GROUP BY k, c, reason) AS entered
                   GROUP BY k) AS of_key"""
        )
        return Counts(self.read, refused, *(found.get(verb, 0) for verb in ("new", "changed", "gone", "same")))

    # --- small helps ----------------------------------------------------------------------------------------------

    def _parts(self, **more: sql.Composable) -> dict[str, sql.Composable]:
        return {"stage": self.stage, "keys": self.keys, "refused": self.refused, "ready": self.ready,
                "incoming": self.incoming, "blocks": self.blocks, "differ": self.differ,
                "target": self.selection.target.relation, **more}  # fmt: skip

    def named(self) -> dict[str, sql.Composable]:
        return {"name": sql.Literal(self.name), "table": sql.Literal(self.table)}

    def run(self, template: Any, **more: sql.Composable) -> int:
        return self.connection.execute(sql.SQL(template).format(**self._parts(**more))).rowcount

    def any(self, rows: str, **more: sql.Composable) -> bool:
        """Whether there are such rows. They are counted, since the server's workers join in that alone."""
        template = "SELECT count(*) FROM "
        return bool(self.rows(template + rows, **more)[0][0])

    def rows(self, template: Any, **more: sql.Composable) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql.SQL(template).format(**self._parts(**more))).fetchall()
