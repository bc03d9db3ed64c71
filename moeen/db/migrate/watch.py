"""What each statement of a rehearsal really did: locks that it took, tables written anew or read through, its error.

The server tells, on the twin: by pg_locks, by the file of each table, and by the count of its sequential scans. Whether
rows are looked for by an index or by reading a table through may be another thing where there are many; nothing else
of this depends on rows.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import psycopg
from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql
from psycopg.pq import TransactionStatus

from moeen.db import catalog
from moeen.db.actions import Lock, strongest
from moeen.db.converge.failures import explained
from moeen.db.sql import compose
from moeen.db.statements import split

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Touched:
    """A table that stood before a statement, and what that did to it.

    ``table``: of schema public by its name, another with its schema. ``lock``: the strongest that was held on it when
    the statement had run, by whichever statement of its transaction.
    """

    table: str
    lock: Lock
    scans: bool = False
    rewrites: bool = False

    def pretty(self) -> str:
        work = ", written anew" if self.rewrites else ", read through" if self.scans else ""
        return f"{self.lock} on {self.table}{work}"


@dataclass(frozen=True)
class Seen:
    """A statement that ran on the twin; ``error``: what the server said where it failed, and of which object."""

    migration: str
    sql: str
    touched: tuple[Touched, ...] = ()
    error: str = ""

    def joined(self, other: Seen) -> Seen:
        """What both did, of one statement that ran twice."""
        tables: dict[str, Touched] = {}
        for one in (*self.touched, *other.touched):
            known = tables.get(one.table, one)
            tables[one.table] = Touched(
                one.table,
                strongest((one.lock, known.lock)),
                one.scans or known.scans,
                one.rewrites or known.rewrites,
            )
        return replace(self, touched=tuple(tables.values()), error=self.error or other.error)

    def pretty(self) -> str:
        """Its error, or such as `ACCESS EXCLUSIVE on TABLE, read through`; "" where it locked nothing."""
        return self.error or "; ".join(one.pretty() for one in self.touched)


@dataclass(frozen=True)
class _Table:
    """As a session sees it; ``modes``: the locks on it that another or the same session holds or waits for."""

    name: str
    file: int
    scans: int
    modes: frozenset[str] = frozenset()

    @property
    def lock(self) -> Lock:
        return strongest(Lock(mode) for mode in self.modes & set(Lock))


_Tables = Mapping[int, _Table]


class Watch:
    """An execute wrapper that keeps what each statement did; of a script, what each of its statements did.

    ``keeper``: a connection to the same database, in autocommit mode, that may lock every table.
    """

    def __init__(self, keeper: Connection) -> None:
        self.seen: list[Seen] = []
        self._keeper = keeper
        self._migration = ""
        #: The tables at the end of the statement before, in the same transaction.
        self._before: _Tables | None = None
        #: The tables as the transaction before left them, where that is known to have been committed.
        self._left: _Tables | None = None

    @contextmanager
    def over(self, connection: BaseDatabaseWrapper, migration: str) -> Iterator[None]:
        """What runs meanwhile is of this migration."""
        self._migration, self._before, self._left = migration, None, None
        with connection.execute_wrapper(self):
            yield

    def __call__(self, execute: Callable[..., Any], text: Any, params: Any, many: bool, context: Any) -> Any:
        if catalog.is_looking():
            return execute(text, params, many, context)
        connection: BaseDatabaseWrapper = context["connection"]
        whole, outcome = str(text), None
        parts = [whole] if params or many else [part.text for part in split(whole)] or [whole]
        for part in parts:
            run = partial(execute, part if len(parts) > 1 else text, params, many, context)
            outcome = self._watch(connection, run, part, asks=bool(params))
        return outcome

    def _watch(self, connection: BaseDatabaseWrapper, run: Callable[[], Any], text: str, *, asks: bool) -> Any:
        session: Connection = connection.connection
        status, word = session.info.transaction_status, text.split(None, 1)[0].upper()
        if word == "ROLLBACK" or status != TransactionStatus.INTRANS:
            self._before = None
        if status == TransactionStatus.IDLE and connection.in_atomic_block:
            self._before = self._begin(connection, session)
        if word in ("ROLLBACK", *_IDLE) or status == TransactionStatus.INERROR or (asks and word == "SELECT"):
            return run()
        if not connection.in_atomic_block:
            return self._watch_alone(connection, run, text)
        before = self._before
        if before is None:
            before = {**_standing(session), **_locked(session, by=session)}
        with self._noting_errors(text):
            outcome = run()
        locked = _locked(session, by=session)
        self._before = {**before, **locked}
        self._note(text, _changes(before, locked))
        return outcome

    def _begin(self, connection: BaseDatabaseWrapper, session: Connection) -> _Tables:
        """The tables at the beginning of a transaction: as the one before left them, where that was committed."""
        left, self._left = self._left, None
        transaction.on_commit(self._keep, using=connection.alias)
        if left is None:
            return _standing(session)
        # The count is of several transactions, until the server takes it over and begins anew.
        with session.cursor() as cursor:
            scans: dict[int, int] = dict(cursor.execute(_SCANNED, [list(left)], prepare=True).fetchall())
        return {oid: replace(table, scans=scans.get(oid, 0), modes=frozenset()) for oid, table in left.items()}

    def _keep(self) -> None:
        self._left = self._before

    def _watch_alone(self, connection: BaseDatabaseWrapper, run: Callable[[], Any], text: str) -> Any:
        """In a transaction all the same, where the statement goes into one."""
        known = len(self.seen)
        try:
            with transaction.atomic(using=connection.alias):
                return self._watch(connection, run, text, asks=False)
        except DatabaseError as error:
            if not isinstance(error.__cause__, psycopg.errors.ActiveSqlTransaction):
                raise
            del self.seen[known:]
        self._left = None
        before = _standing(self._keeper)
        with self._noting_errors(text), self._held_up(connection.connection) as locked:
            outcome = run()
        after = _standing(self._keeper)
        written = {oid: replace(table, file=after[oid].file) for oid, table in locked.items() if oid in after}
        self._note(text, _changes(before, written))
        return outcome

    @contextmanager
    def _held_up(self, session: Connection) -> Iterator[_Tables]:
        """CONCURRENTLY lets its locks go before it ends: it has to wait for a writer of ours until they were seen."""
        seen: dict[int, _Table] = {}
        done = threading.Event()

        def look() -> None:
            while not seen and not done.wait(0.002):
                if self._keeper.execute(_WAITING, [session.info.backend_pid]).fetchone() is not None:
                    seen.update(_locked(self._keeper, by=session))
            self._keeper.rollback()

        self._keeper.execute("BEGIN")
        for schema, name in self._keeper.execute(_LOCKABLE).fetchall():
            self._keeper.execute(compose("LOCK TABLE ONLY {t} IN ROW EXCLUSIVE MODE", t=sql.Identifier(schema, name)))
        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        try:
            yield seen
        finally:
            done.set()
            looking.join()

    @contextmanager
    def _noting_errors(self, text: str) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            self._note(text, error=explained(error))
            raise

    def _note(self, text: str, touched: tuple[Touched, ...] = (), error: str = "") -> None:
        self.seen.append(Seen(self._migration, text, touched, error))


#: What takes no lock on a table, and makes none.
_IDLE = ("SAVEPOINT", "RELEASE", "SET", "RESET", "SHOW")
_WAITING = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
_LOCKABLE = """
    SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^(pg_|information_schema$)'
"""
_STANDING = """
    SELECT c.oid, n.nspname, c.relname, c.relfilenode, coalesce(pg_stat_get_xact_numscans(c.oid), 0)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^(pg_|information_schema$)'
"""
_SCANNED = """
    SELECT oid, pg_stat_get_xact_numscans(oid) FROM unnest(%s::oid[]) AS oid WHERE pg_stat_get_xact_numscans(oid) > 0
"""
_LOCKED = """
    SELECT c.oid, n.nspname, c.relname, c.relfilenode, coalesce(pg_stat_get_xact_numscans(c.oid), 0), array_agg(l.mode)
    FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE l.locktype = 'relation' AND l.pid = %s
      AND c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^(pg_|information_schema$)'
    GROUP BY c.oid, n.nspname
"""


def _standing(session: Connection) -> _Tables:
    with session.cursor() as cursor:
        rows = cursor.execute(_STANDING, prepare=True).fetchall()
    return {oid: _Table(_told(schema, name), file, scans) for oid, schema, name, file, scans in rows}


def _locked(looking: Connection, *, by: Connection) -> _Tables:
    """The tables that a session holds locks on, or waits for one: whoever comes later queues behind it."""
    with looking.cursor() as cursor:
        rows = cursor.execute(_LOCKED, [by.info.backend_pid], prepare=True).fetchall()
    return {
        oid: _Table(_told(schema, name), file, scans, frozenset(map(_mode, modes)))
        for oid, schema, name, file, scans, modes in rows
    }


def _told(schema: str, name: str) -> str:
    return name if schema == "public" else f"{schema}.{name}"


def _mode(word: str) -> str:
    """Such as ROW EXCLUSIVE for RowExclusiveLock."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", word.removesuffix("Lock")).upper()


def _changes(before: _Tables, locked: _Tables) -> tuple[Touched, ...]:
    """What became of the tables that stood before."""
    found = []
    for oid, now in locked.items():
        was = before.get(oid)
        if was is None or not now.lock:
            continue
        scans, rewrites = now.scans > was.scans, now.file != was.file
        if now.modes - was.modes or scans or rewrites:
            found.append(Touched(was.name, now.lock, scans or rewrites, rewrites))
    return tuple(sorted(found, key=lambda one: one.table))
