"""Short locks: a statement waits little for its lock and tries again, so that nobody queues behind it for long.

A waiting ACCESS EXCLUSIVE request stops every later reader of the table. So the wait is bounded by ``lock_timeout``,
and after a pause, longer each time and never the same for two runners, the statement is tried again. Only lock
timeouts and deadlocks are retried.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import TypeVar, cast

from django.db import DatabaseError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors, sql

from moeen.db.codes import Code
from moeen.db.converge import failures
from moeen.db.errors import FAILED, MoeenError
from moeen.db.sql import compose

T = TypeVar("T")
#: A transaction that has held its lock so long is likely to hold it on.
OCCUPIED_SECONDS = 0.1
#: When whoever a statement waits for is looked at first, and how often afterwards.
FIRST_LOOK_SECONDS, LOOK_SECONDS = 4.0, 30.0


@dataclass(frozen=True)
class Patience:
    """How long to wait for a lock and how often to try; milliseconds and seconds as the names say."""

    lock_timeout_ms: int = 500
    statement_timeout_ms: int = 30_000
    tries: int = 30
    first_pause_s: float = 0.05
    longest_pause_s: float = 10.0

    def pause(self, attempt: int) -> float:
        """Seconds before the next try: doubling, capped, and half of it by chance."""
        full: float = min(self.first_pause_s * 2.0**attempt, self.longest_pause_s)
        return full * random.uniform(0.5, 1.0)


@dataclass
class Waiting:
    """What waiting has cost so far: tries that failed, and the seconds they took with their pauses."""

    retries: int = 0
    seconds: float = 0.0
    listeners: list[Callable[[str], None]] = field(default_factory=list)


DEFAULT = Patience()
patience: ContextVar[Patience] = ContextVar("policy", default=DEFAULT)
waiting: ContextVar[Waiting | None] = ContextVar("waiting", default=None)


@dataclass(frozen=True)
class Blocker:
    """A session that holds a lock; what it runs is its own business and may hold patient data.

    ``seconds``: since when it is in its transaction; None where this role may not see that. ``tables``: those of schema
    public that it holds, where they are known. ``prepared``: no session, but a prepared transaction of this name.
    """

    pid: int
    role: str
    application: str
    seconds: float | None
    tables: str = ""
    prepared: str = ""

    def pretty(self) -> str:
        if self.prepared:
            end = compose("ROLLBACK PREPARED {n}", n=sql.Literal(self.prepared))
            return f"prepared transaction {self.prepared}, role {self.role}{self._time} ({end} ends it)"
        application = f", application {self.application}" if self.application else ""
        tables = f", which holds {self.tables}" if self.tables else ""
        return f"pid {self.pid}, role {self.role}{application}, in a transaction{self._time}{tables}"

    @property
    def _time(self) -> str:
        return "" if self.seconds is None else f" for {self.seconds:.0f} s"


class GaveUp(MoeenError):
    """The lock could not be had in all the tries; ``blockers`` held it at the last one."""

    default_code = Code.LOCK_TIMEOUT

    def __init__(self, purpose: str, tries: int, blockers: list[Blocker]) -> None:
        self.blockers = blockers
        holders = "\n".join(f"  {blocker.pretty()}" for blocker in blockers) or "  (gone by now)"
        super().__init__(
            f"No lock could be had in {tries} tries to {purpose}. It is held by:\n{holders}",
            next_step="Nothing of this step was kept; what was done before it stays. Let these sessions finish, or end "
            "one with SELECT pg_terminate_backend(PID), then run migrate again: it goes on where it stopped.",
            exit_code=FAILED,
        )


@contextmanager
def short_transaction(connection: BaseDatabaseWrapper, *, unlimited: bool = False) -> Iterator[None]:
    """A transaction under the policy's timeouts; ``unlimited`` lifts the one on statements, for VALIDATE."""
    rule = patience.get()
    with transaction.atomic(using=connection.alias):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)",
                [str(rule.lock_timeout_ms), "0" if unlimited else str(rule.statement_timeout_ms)],
            )
        yield


def patiently(
    connection: BaseDatabaseWrapper, action: Callable[[], T], *, purpose: str, table: str = "", of: str = ""
) -> T:
    """Run ``action``, a transaction of its own, until it gets its locks. Raises GaveUp when the tries run out.

    With ``table``, the first half of the tries does not even queue while somebody sits on it: clients queue behind a
    waiting request, and an autovacuum gives way only after deadlock_timeout (1 s), longer than ours ever waits.
    ``of``: the table that a failure is told of, where it is not waited for so.
    Inside a transaction there is nothing to retry: the error passes through to whoever opened it.
    """
    if failures.are_collected():
        return cast("T", failures.attempt(connection, action, purpose=purpose, table=table or of))
    if connection.in_atomic_block:
        return action()
    rule, spent = patience.get(), waiting.get()
    begun, look_at = time.monotonic(), FIRST_LOOK_SECONDS
    for attempt in range(rule.tries):
        started = time.monotonic()
        try:
            if not (table and 2 * attempt < rule.tries - 1 and is_occupied(connection, table)):
                return action()
        except OperationalError as error:
            if not isinstance(error.__cause__, errors.LockNotAvailable | errors.DeadlockDetected):
                raise
            if attempt + 1 == rule.tries:
                raise GaveUp(purpose, rule.tries, find_blockers(connection)) from error
        pause = rule.pause(attempt)
        if spent is not None:
            spent.retries += 1
            lines = [f"waiting for a lock to {purpose} (try {attempt + 2} of {rule.tries})"]
            if spent.listeners and time.monotonic() - begun + pause > look_at:
                look_at = time.monotonic() - begun + LOOK_SECONDS
                lines += [f"waiting to {purpose} for {blocker.pretty()}" for blocker in find_blockers(connection)]
            for tell in spent.listeners:
                for line in lines:
                    tell(line)
        time.sleep(pause)
        if spent is not None:
            spent.seconds += time.monotonic() - started
    raise AssertionError("unreachable: the last try returns or raises")


def is_occupied(connection: BaseDatabaseWrapper, table: str) -> bool:
    """Whether another session has held a lock on the table for some time: a long transaction, or an autovacuum."""
    with connections[connection.alias].cursor() as cursor:
        cursor.execute(
            """
            SELECT EXISTS (
                SELECT FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
                WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
                  AND l.relation = to_regclass(%s)
                  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                  AND clock_timestamp() - a.xact_start > make_interval(secs => %s)
            )
            """,
            [f'public."{table}"', OCCUPIED_SECONDS],
        )
        (answer,) = cursor.fetchone()
    return bool(answer)


def find_blockers(connection: BaseDatabaseWrapper) -> list[Blocker]:
    """Other sessions that hold locks on tables of this database inside a transaction, the oldest first."""
    with connections[connection.alias].cursor() as cursor:
        # Since when a session of another role is in its transaction is not seen: xact_start is NULL.
        cursor.execute(
            """
            SELECT a.pid, a.usename, a.application_name, extract(epoch FROM statement_timestamp() - a.xact_start),
                   string_agg(DISTINCT c.relname::text, ', ' ORDER BY c.relname::text)
            FROM pg_locks l
            JOIN pg_stat_activity a ON a.pid = l.pid
            JOIN pg_class c ON c.oid = l.relation
            WHERE l.granted AND l.locktype = 'relation' AND l.pid <> pg_backend_pid()
              AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
            GROUP BY a.pid, a.usename, a.application_name, a.xact_start
            ORDER BY 4 DESC NULLS LAST LIMIT 5
            """
        )
        found = [
            Blocker(pid, role or "?", program or "", _seconds(age), tables)
            for pid, role, program, age, tables in cursor
        ]
    return [*found, *_prepared(connections[connection.alias])]


def _seconds(age: object) -> float | None:
    return None if age is None else float(cast("float", age))


def _prepared(connection: BaseDatabaseWrapper) -> list[Blocker]:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT gid, owner, extract(epoch FROM clock_timestamp() - prepared) FROM pg_prepared_xacts
               WHERE database = current_database() ORDER BY prepared"""
        )
        return [Blocker(0, owner, "", float(age), prepared=gid) for gid, owner, age in cursor]


@contextmanager
def telling_of_waits(connection: BaseDatabaseWrapper, purpose: str) -> Iterator[None]:
    """Meanwhile whoever a statement waits for is told of, by a look from another session now and then."""
    spent = waiting.get()
    if spent is None or not spent.listeners:
        yield
        return
    connection.ensure_connection()
    done, context, pid = threading.Event(), copy_context(), connection.connection.info.backend_pid
    words = (connection, pid, purpose, spent.listeners, done)
    thread = threading.Thread(target=context.run, args=(_look_on, *words), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _look_on(
    waits: BaseDatabaseWrapper, pid: int, purpose: str, listeners: list[Callable[[str], None]], done: threading.Event
) -> None:
    looking, pause = waits.copy(), FIRST_LOOK_SECONDS  # a connection belongs to the thread that makes it
    while not done.wait(pause):
        pause = LOOK_SECONDS
        try:
            for blocker in _waited_for(looking, pid):
                for tell in listeners:
                    tell(f"waiting to {purpose} for {blocker.pretty()}")
        except DatabaseError:
            pass  # the run goes on, whether or not anybody could look
        finally:
            looking.close()


def _waited_for(connection: BaseDatabaseWrapper, pid: int) -> list[Blocker]:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT b.pid, a.usename, a.application_name, extract(epoch FROM clock_timestamp() - a.xact_start)
               FROM unnest(pg_blocking_pids(%s)) AS b (pid) LEFT JOIN pg_stat_activity AS a ON a.pid = b.pid""",
            [pid],
        )
        rows = cursor.fetchall()
    found = [Blocker(by, role or "?", program or "", _seconds(age)) for by, role, program, age in rows if by]
    # A prepared transaction has no session: its pid is 0.
    return [*found, *(_prepared(connection) if len(found) < len(rows) else [])]
