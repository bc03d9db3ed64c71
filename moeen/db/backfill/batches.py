"""One worker's batches: each a short transaction that fills a part of the table and saves the cursor beside it.

What can go wrong is told apart: a lock that cannot be had and a row that refuses its value make the part be halved,
until the row is alone and is set down as a failure; a lost connection is made anew and the part tried again; anything
else, a full disk for one, ends the run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from psycopg import errors, sql

from moeen.db.backfill import runs
from moeen.db.backfill.definition import Backfill
from moeen.db.backfill.parts import Pages, Part, Rows
from moeen.db.backfill.reports import Failure
from moeen.db.sql import fragment

T = TypeVar("T")

#: For a whole batch, and for the parts of one in which somebody holds a row locked.
LOCK_TIMEOUT_MS, SHORT_LOCK_TIMEOUT_MS = 500, 50
#: How long a worker waits in all, in the last sweeps, for rows that other sessions hold locked.
LOCK_PATIENCE = 30.0
RECONNECT_PATIENCE = 120.0
MOST_DEADLOCKS = 5
#: More refusals than this are no odd rows but a mistake: the run over this table ends.
MOST_FAILURES = 100

# In the order of the columns: an operator's look must never be narrowed without a word; short waits; one entry in the
# audit log for the whole run; the audit's transition tables, a batch of rows twice over, in memory.
_SETTINGS = """
    SELECT set_config('row_security', 'off', true), set_config('lock_timeout', %s, true),
           set_config('app.audit_suspended', %s, true), set_config('work_mem', '64MB', true),
           set_config('statement_timeout', '0', true), set_config('TimeZone', 'UTC', true)
"""


class Stopped(Exception):
    """Somebody asked the run to end: between two batches, or in one, which was then undone."""


class TooManyFailures(Exception):
    """So many rows refuse that looking for each of them makes no sense."""


class Refused(Exception):
    """Rows are seen to be missing and yet not changed, without an error."""


@dataclass(frozen=True)
class Key:
    """How a row is named in reports: its key where that is a number or a uuid; else its place in the heap."""

    expression: sql.Composable

    @classmethod
    def of(cls, connection: psycopg.Connection[Any], table: str) -> Key:
        rows = connection.execute(
            """
            SELECT a.attname, a.atttypid = ANY ('{int2,int4,int8,uuid}'::regtype[]) FROM pg_index i
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
            WHERE i.indrelid = %s::regclass AND i.indisprimary ORDER BY array_position(i.indkey, a.attnum)
            """,
            [f'public."{table}"'],
        ).fetchall()
        if not rows or not all(speakable for _, speakable in rows):
            return cls(sql.SQL("'at ' || ctid"))  # a text key may name a person
        columns = [sql.SQL("{} || '=' || {}").format(sql.Literal(name), sql.Identifier(name)) for name, _ in rows]
        return cls(sql.SQL("concat_ws(', ', {})").format(sql.SQL(", ").join(columns)))


class Batches:
    """Fills parts of one table over a connection of its own. Not for use by two threads at once."""

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        item: Backfill,
        run: UUID,
        *,
        stop: threading.Event,
        done: Callable[[int, int, float], None],
        failures: dict[str, Failure],
        patient: bool,
    ) -> None:
        """``done(rows, pages, seconds)`` is told of every batch; ``failures``, by row, is shared by all workers.

        Unless ``patient``, pages with a row that another session holds locked are left to a later sweep.
        """
        self._connect = connect
        self._item = item
        self._run = run
        self._stop = stop
        self._done = done
        self._failures = failures
        self._patience = LOCK_PATIENCE if patient else 0.0
        self._parameters: Mapping[str, Any] = item.parameters()
        self.connection = connect()
        self._key = Key.of(self.connection, item.table)

    @property
    def pid(self) -> int:
        return 0 if self.connection.closed else self.connection.info.backend_pid

    def cancel(self) -> None:
        """From another thread: end the statement that is running, if one is."""
        if not self.connection.closed:
            self.connection.cancel_safe(timeout=5.0)

    def close(self) -> None:
        self.connection.close()

    def fill(self, pages: Pages, *, before: Callable[[], int]) -> None:
        """Fill these pages. ``before()``: the page below which everything is done, once these are.

        Raises Stopped, TooManyFailures, or the database's error when it is neither the rows' nor passing.
        """
        if self._whole(pages, position=before()):
            return
        pieces: list[Part] = list(reversed(self._smaller(pages)))
        while pieces:
            piece = pieces.pop()
            settled = self._whole(piece, position=0, within=True)
            if settled is None:
                pieces.insert(0, piece)  # all others first
            elif not settled:
                pieces += reversed(self._smaller(piece))
        self._safely(lambda: self._advance(before(), 0, 0.0))

    def _whole(self, part: Part, *, position: int, within: bool = False) -> bool | None:
        """Fill the part at once; False when it had better be tried in smaller ones; None: again later.

        A single row that refuses is set down as a failure. ``within`` a batch that failed.
        """
        deadlocks = 0
        lock_timeout = SHORT_LOCK_TIMEOUT_MS if within else LOCK_TIMEOUT_MS
        while True:
            if self._stop.is_set():
                raise Stopped
            try:
                self._safely(lambda: self._transaction(part, position, lock_timeout))
            except errors.LockNotAvailable:
                if isinstance(part, Pages) and part.halves():
                    return False
                if self._patience <= 0:
                    return True  # the next sweep comes back; the last one says what is left
                if self._divisible(part):
                    return False
                self._stop.wait(0.2)
                self._patience -= 0.25
                if self._patience <= 0:
                    self._fail(part, "another session holds it locked")
                    return True
                return None
            except (errors.DeadlockDetected, errors.SerializationFailure):
                deadlocks += 1
                if deadlocks > MOST_DEADLOCKS:
                    raise
            except errors.QueryCanceled as error:
                if self._stop.is_set():
                    raise Stopped from error
                raise
            except (errors.DataError, errors.IntegrityError, errors.ProgramLimitExceeded, Refused) as error:
                if self._divisible(part):
                    return False
                self._fail(part, _why(error))
                return True
            except psycopg.Error as error:
                # A trigger's own refusal: RAISE EXCEPTION, or a condition that PL/pgSQL knows (class P0).
                if not (error.sqlstate or "").startswith("P0"):
                    raise
                if self._divisible(part):
                    return False
                self._fail(part, _why(error))
                return True
            else:
                return True

    def _divisible(self, part: Part) -> bool:
        return isinstance(part, Pages) or len(part.places) > 1

    def _smaller(self, part: Part) -> list[Part]:
        halves = part.halves()
        if halves or isinstance(part, Rows):
            return list(halves)
        places = self._safely(lambda: self._places(part))
        return [Rows(places)] if places else []

    def _places(self, part: Part) -> tuple[str, ...]:
        query = sql.SQL("SELECT ctid::text FROM {} WHERE {} AND {} ORDER BY ctid").format(
            self._item.relation, part.condition, self._item.condition
        )
        return tuple(place for (place,) in self.connection.execute(query, self._parameters))

    def _transaction(self, part: Part, position: int, lock_timeout: int) -> None:
        started = time.monotonic()
        item, cursor = self._item, self.connection.cursor()
        names = {"table": item.relation, "part": part.condition, "missing": item.condition}
        count = sql.SQL("SELECT count(*) FROM {table} WHERE {part} AND {missing}").format(**names)
        with self.connection.transaction():
            cursor.execute(_SETTINGS, [str(lock_timeout), str(self._run)])
            seen = self._number(cursor, count)
            changed = 0
            if seen:
                first = item.beforehand(part.condition)
                if first is not None:
                    cursor.execute(first, self._parameters)
                cursor.execute(
                    sql.SQL("UPDATE {table} SET {assignment} WHERE {part} AND {missing}").format(
                        assignment=fragment(item.assignment),
                        **names,
                    ),
                    self._parameters,
                )
                changed = cursor.rowcount
                # Others may have filled or deleted rows in between. What must not be: rows that are still missing.
                if changed != seen and self._number(cursor, count):
                    raise Refused
            seconds = time.monotonic() - started
            self._advance(position, changed, seconds)
        pages = part.end - part.first if isinstance(part, Pages) else 0
        self._done(changed, pages, time.monotonic() - started)

    def _number(self, cursor: psycopg.Cursor[Any], query: sql.Composed) -> int:
        row = cursor.execute(query, self._parameters).fetchone()
        assert row is not None
        return int(row[0])

    def _advance(self, position: int, rows: int, seconds: float) -> None:
        self.connection.execute(
            runs.ADVANCE, {"position": position, "rows": rows, "seconds": seconds, "run": self._run}
        )

    def _safely(self, action: Callable[[], T]) -> T:
        """Run the action, over a new connection when the old one breaks. The action is safe to repeat."""
        deadline = time.monotonic() + RECONNECT_PATIENCE
        pause = 0.25
        while True:
            try:
                if self.connection.closed:
                    self.connection = self._connect()
                return action()
            except psycopg.OperationalError as error:
                if not is_lost(error, self.connection) or time.monotonic() > deadline:
                    raise
                self.connection.close()
            if self._stop.wait(pause):
                raise Stopped
            pause = min(pause * 2, 5.0)

    def _fail(self, part: Part, reason: str) -> None:
        assert isinstance(part, Rows)
        query = sql.SQL("SELECT {key} FROM {table} WHERE {part} AND {missing}").format(
            key=self._key.expression,
            table=self._item.relation,
            part=part.condition,
            missing=self._item.condition,
        )
        for (row,) in self._safely(lambda: self.connection.execute(query, self._parameters).fetchall()):
            self._failures[row] = Failure(row, reason)
        if len(self._failures) >= MOST_FAILURES:
            raise TooManyFailures


def is_lost(error: psycopg.OperationalError, connection: psycopg.Connection[Any]) -> bool:
    """Whether the connection broke or could not be made for now, rather than the statement being refused."""
    state = error.sqlstate
    return connection.closed or state is None or state[:2] in ("08",) or state in ("57P01", "57P02", "57P03", "53300")


def _why(error: Exception) -> str:
    """The reason in words that hold nothing of the row."""
    if isinstance(error, Refused):
        return "it stays as it was: a trigger seems to undo the change"
    assert isinstance(error, psycopg.Error)
    named = error.diag.constraint_name
    words = {"23502": "a value is missing", "23505": "a value occurs twice", "23514": "a check is broken"}
    what = words.get(error.sqlstate or "", "the database refuses it")
    return f"{what} ({named}, SQLSTATE {error.sqlstate})" if named else f"{what} (SQLSTATE {error.sqlstate})"
