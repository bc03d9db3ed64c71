"""The rows that were found good go to their tables, each with its old key, and what is gone goes.

Where new rows alone are written, an empty table is filled in one transaction, with its foreign keys and indexes set
aside: whole, or still empty. More are added in batches, each a transaction. Either way a run that was stopped goes on
with those that are missing. Where rows changed or went, all is one transaction: another state of the source is taken
over whole, or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import LiteralString

from psycopg import sql

from moeen.db.backups import digests
from moeen.db.converge import dependents
from moeen.db.importing.source import Connection
from moeen.db.importing.staging import Staging
from moeen.db.importing.target import ID, PUBLIC_ID, Target
from moeen.db.sql import fragment

BATCH = 10_000
#: Of a row that is ready, the public id that it had in the source.
_OLD_ID = sql.Identifier("r", "p")
Told = Callable[[str, int, int], None]


def write(connection: Connection, stagings: Sequence[Staging], *, told: Told) -> None:
    """In the order of references. ``told``: table, rows written, rows to write."""
    with connection.transaction():
        for staging in stagings:
            if staging.retakes:
                _forget_lost(staging)
    only_new = not any(count.changed or count.gone for count in (staging.count() for staging in stagings))
    if only_new:
        for staging in stagings:
            writer = _Writer(connection, staging, told)
            (writer.fill if writer.may_fill() else writer.insert)()
        return
    with connection.transaction():
        # Of rows by the million few changed: found by index, once the planner knows how few.
        connection.execute("SET LOCAL enable_nestloop = on")
        for staging in stagings:
            staging.run("ANALYZE {keys}, {ready}")
        writers = [_Writer(connection, staging, told) for staging in stagings]
        referred = {other for staging in stagings for other in staging.selection.target.references.values()}
        leaves = [writer for writer in writers if writer.target.name not in referred]
        inner = [writer for writer in writers if writer.target.name in referred]
        for writer in writers:
            writer.give_up_ids()
        for writer in leaves:
            writer.delete()
        for writer in inner:
            writer.vacate()
        for writer in writers:
            writer.insert(at_once=True)
            writer.update()
        for writer in reversed(inner):
            writer.delete()


def _forget_lost(staging: Staging) -> None:
    """Old keys of rows that somebody deleted here; they come again."""
    staging.run(
        """
        DELETE FROM public.legacy_keys AS l USING {keys} AS w
        WHERE l.source = {name} AND l.table_name = {table} AND l.old_key = w.k AND w.verb = 'new'
        """,
        **staging.named(),
    )


def row_hash(target: Target, columns: Sequence[str], alias: str) -> sql.Composed:
    """A number that stands for what a row holds in its key and these columns."""
    parts = [digests.hashed_form(sql.Identifier(alias, ID), "uuid")]
    parts += [digests.hashed_form(sql.Identifier(alias, name), _short(target.columns[name].type)) for name in columns]
    return sql.SQL("hash_record_extended(ROW({}), 0)").format(sql.SQL(", ").join(parts))


def _short(kind: str) -> str:
    """A type by the name that pg_type gives it."""
    known = {"character varying": "varchar", "boolean": "bool", "integer": "int4", "bigint": "int8", "smallint": "int2",
             "timestamp with time zone": "timestamptz", "timestamp without time zone": "timestamp",
             "time without time zone": "time"}  # fmt: skip
    name = kind.partition("(")[0]
    return known.get(name, name)


class _Writer:
    def __init__(self, connection: Connection, staging: Staging, told: Told) -> None:
        self.connection, self.staging, self.told = connection, staging, told
        self.target, self.selection = staging.selection.target, staging.selection
        self.columns = list(self.selection.columns)
        #: References to the same table: its rows come in no order, so they are written at once.
        self.own = [name for name, other in self.selection.references.items() if other == self.target.name]

    def may_fill(self) -> bool:
        """Whether there is much for a table that holds nothing."""
        query = "SELECT count(*) >= {n} AND NOT EXISTS (SELECT FROM {target}) FROM {ready}"
        return bool(self.staging.rows(query, n=sql.Literal(BATCH))[0][0])

    def fill(self) -> None:
        """An empty table. Its foreign keys and indexes are made when it is full, which is many times faster."""
        ((total, keys),) = self.staging.rows("SELECT count(*), (SELECT count(*) FROM public.legacy_keys) FROM {ready}")
        with self.connection.transaction(), ExitStack() as aside:
            aside.enter_context(self._without(_SPEAKING))
            aside.enter_context(self._aside(self.target.name))
            if keys < 4 * total:  # else the rows cost less in its indexes than these would, made anew
                aside.enter_context(self._aside("legacy_keys"))
            self.told(self.target.name, 0, total)
            self._insert(sql.SQL("true"))
            self._matched()
        self.told(self.target.name, total, total)

    @contextmanager
    def _aside(self, table: str) -> Iterator[None]:
        """Within it the table bears nothing that is asked of each row and can be asked of all at once."""
        found = dependents.of_rows(self.connection, table)
        for one in found:
            self.connection.execute(fragment(one.drop))
        yield
        for one in reversed(found):
            for statement in one.create:
                self.connection.execute(fragment(statement))

    def insert(self, *, at_once: bool = False) -> None:
        """In batches, each a range of the pages of what is ready; a table that refers to itself at once."""
        ((total, pages),) = self.staging.rows(
            "SELECT count(*), pg_relation_size({name}) / current_setting('block_size')::int + 1 FROM {ready}",
            name=sql.Literal(self.staging.ready.as_string(None)),
        )
        step = pages if at_once or self.own else max(1, pages * BATCH // max(total, 1))
        done = 0
        for first in range(0, pages, step):
            with self.connection.transaction():
                done += self._insert(sql.SQL("r.ctid >= {} AND r.ctid < {}").format(_page(first), _page(first + step)))
            self.told(self.target.name, done, total)
        with self.connection.transaction():
            self._matched()

    def _insert(self, part: sql.Composable) -> int:
        part = sql.SQL("r.verb = 'new' AND {}").format(part)
        names = [ID, *self.columns]
        values: list[sql.Composable] = [sql.Identifier("r", name) for name in names]
        if self.target.prefix:
            names.append(PUBLIC_ID)
            values.append(self._public_id())
        count = self.staging.run(
            "INSERT INTO {target} ({names}) SELECT {values} FROM {ready} AS r WHERE {part}",
            names=sql.SQL(", ").join(map(sql.Identifier, names)), values=sql.SQL(", ").join(values), part=part,
        )  # fmt: skip
        self._aliases(part)
        self.staging.run(
            """
            INSERT INTO public.legacy_keys (id, source, table_name, old_key, new_id, digest, row_hash)
            SELECT r.new_id, {name}, {table}, r.k, r.id, r.d, {hash} FROM {ready} AS r WHERE {part}
            """,
            part=part, hash=row_hash(self.target, self.columns, "r"), **self.staging.named(),
        )  # fmt: skip
        return count

    def _matched(self) -> None:
        """Keys of rows that stood here before: their hash is 0, and the proof does not ask what they hold."""
        self.staging.run(
            """
            INSERT INTO public.legacy_keys (source, table_name, old_key, new_id, digest, row_hash)
            SELECT {name}, {table}, w.k, w.id, w.d, 0 FROM {keys} AS w WHERE w.matched AND w.verb = 'new'
            """,
            **self.staging.named(),
        )  # fmt: skip

    def _public_id(self) -> sql.Composable:
        """The old one where it has our form, else a new one."""
        new = sql.Identifier("r", "new_public_id")
        if self.selection.public_id is None:
            return new
        return sql.SQL("CASE WHEN {} THEN r.p ELSE {} END").format(self.target.takes(_OLD_ID), new)

    def _aliases(self, part: sql.Composable) -> None:
        if self.selection.public_id is not None:
            self.staging.run(
                """
                INSERT INTO public.public_id_aliases (alias, table_name, row_id)
                SELECT r.p, {table}, r.id FROM {ready} AS r WHERE {part} AND NOT {takes}
                ON CONFLICT (alias) DO NOTHING
                """,
                part=part, takes=self.target.takes(_OLD_ID), table=sql.Literal(self.target.name),
            )  # fmt: skip

    # --- what changed, and what is gone ---------------------------------------------------------------------------

    def give_up_ids(self) -> None:
        """Public ids of rows that go may be those of others now: of one that was entered anew, under another key."""
        if self.selection.public_id is not None:
            self.staging.run(
                """
                DELETE FROM public.public_id_aliases AS a USING {keys} AS w
                WHERE a.table_name = {table} AND a.row_id = w.id AND w.verb = 'gone' AND NOT w.matched
                """,
                **self.staging.named(),
            )
            self.staging.run(
                """
                UPDATE {target} AS t SET public_id = app.generate_public_id({prefix}) FROM {keys} AS w
                WHERE t.id = w.id AND w.verb = 'gone' AND NOT w.matched
                """,
                prefix=sql.Literal(self.target.prefix),
            )

    def vacate(self) -> None:
        """Values that no two rows may have are given up by rows that go or change, for the rows that take them on."""
        names = {column for unique in self.target.uniques for column in unique.columns} & set(self.columns)
        for name in sorted(names - {PUBLIC_ID}):
            column = self.target.columns[name]
            if column.not_null and not column.type.startswith(("character varying", "text")):
                continue
            placeholder = sql.SQL("t.id::text") if column.not_null else sql.NULL
            with self._updates():
                self.staging.run(
                    """
                    UPDATE {target} AS t SET {c} = {placeholder} FROM {keys} AS w LEFT JOIN {ready} AS r ON r.k = w.k
                    WHERE w.id = t.id AND NOT w.matched AND (w.verb = 'gone' OR w.verb = 'changed'
                          AND r.{c} IS DISTINCT FROM t.{c})
                    """,
                    c=sql.Identifier(name), placeholder=placeholder,
                )  # fmt: skip

    def update(self) -> None:
        part = sql.SQL("r.verb = 'changed'")
        sets = [sql.SQL("{c} = r.{c}").format(c=sql.Identifier(name)) for name in self.columns]
        if self.selection.public_id is not None:
            self._former_ids()
            takes = self.target.takes(_OLD_ID)
            sets.append(sql.SQL("public_id = CASE WHEN {} THEN r.p ELSE t.public_id END").format(takes))
        if sets:
            with self._updates():
                self.staging.run(
                    "UPDATE {target} AS t SET {sets} FROM {ready} AS r WHERE r.id = t.id AND {part}",
                    sets=sql.SQL(", ").join(sets), part=part,
                )  # fmt: skip
        self._aliases(part)
        self.staging.run(
            """
            UPDATE public.legacy_keys AS l SET digest = r.d, row_hash = {hash} FROM {ready} AS r
            WHERE l.source = {name} AND l.table_name = {table} AND l.old_key = r.k AND {part}
            """,
            part=part, hash=row_hash(self.target, self.columns, "r"), **self.staging.named(),
        )  # fmt: skip
        self.staging.run(
            """
            UPDATE public.legacy_keys AS l SET digest = w.d FROM {keys} AS w
            WHERE l.source = {name} AND l.table_name = {table} AND l.old_key = w.k
              AND w.matched AND w.verb = 'changed'
            """,
            **self.staging.named(),
        )  # fmt: skip

    def _former_ids(self) -> None:
        self.staging.run(
            """
            INSERT INTO public.public_id_aliases (alias, table_name, row_id)
            SELECT t.public_id, {table}, t.id FROM {ready} AS r JOIN {target} AS t ON t.id = r.id
            WHERE r.verb = 'changed' AND {takes} AND r.p <> t.public_id ON CONFLICT (alias) DO NOTHING
            """,
            takes=self.target.takes(_OLD_ID), table=sql.Literal(self.target.name),
        )  # fmt: skip

    def delete(self) -> None:
        with self.connection.transaction():
            self.staging.run(
                "DELETE FROM {target} AS t USING {keys} AS w WHERE w.id = t.id AND w.verb = 'gone' AND NOT w.matched"
            )
            self.staging.run(
                """
                DELETE FROM public.legacy_keys AS l USING {keys} AS w
                WHERE l.source = {name} AND l.table_name = {table} AND l.old_key = w.k AND w.verb = 'gone'
                """,
                **self.staging.named(),
            )

    # --- small helps ----------------------------------------------------------------------------------------------

    def _updates(self) -> AbstractContextManager[None]:
        """Within it the time of the last change is the source's to say, and no trigger of ours sets it."""
        return self._without(_CLOCKS)

    @contextmanager
    def _without(self, triggers: LiteralString) -> Iterator[None]:
        """Within it, in one transaction, these triggers of the table do not fire."""
        names = [name for (name,) in self.connection.execute(triggers, [f'public."{self.target.name}"']).fetchall()]
        with self.connection.transaction():
            for name in names:
                self.staging.run("ALTER TABLE {target} DISABLE TRIGGER {name}", name=sql.Identifier(name))
            yield
            for name in names:
                self.staging.run("ALTER TABLE {target} ENABLE TRIGGER {name}", name=sql.Identifier(name))


def _page(number: int) -> sql.Composed:
    """SQL for the place before the first row of a page."""
    return sql.SQL("{}::tid").format(sql.Literal(f"({number},0)"))


_CLOCKS: LiteralString = """
    SELECT tgname::text FROM pg_trigger
    WHERE tgrelid = %s::regclass AND tgfoid = 'app.set_updated_at()'::regprocedure AND tgenabled = 'O'
"""
#: Of those that tell of rows after they were written: the audit trail is suspended for the run, and one entry tells of
#: it; before that they would have all rows kept for them.
_SPEAKING: LiteralString = """
    SELECT t.tgname::text FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
    WHERE t.tgrelid = %s::regclass AND p.pronamespace = 'app'::regnamespace AND NOT t.tgisinternal
      AND t.tgenabled = 'O' AND t.tgtype & 6 = 4 -- AFTER INSERT
"""
