"""One migration at a time: an advisory lock of the database, polled and never waited on.

A session that waits for an advisory lock holds a snapshot, and CREATE INDEX CONCURRENTLY waits for every older
snapshot: the two would deadlock (tried), and leave an invalid index behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db import advisory
from moeen.db.codes import Code
from moeen.db.errors import FAILED, MoeenError
from moeen.db.sql import compose, fragment

#: "moeen" in ASCII, and 1 for migrate; advisory locks belong to one database.
LOCK = (0x6D6F65, 1)
#: Who holds it in this database, no row when nobody does; LOCK is the parameter.
HOLDER = compose(
    """
    SELECT a.pid, a.usename, a.application_name, extract(epoch FROM clock_timestamp() - a.backend_start)
    FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid WHERE {held}
    """,
    held=fragment(advisory.HELD),
)
POLL_SECONDS = 0.5
TELL_SECONDS = 10.0


def lives() -> tuple[str, list[int]]:
    """A condition, and its values: somebody migrates this database now. Whoever asks."""
    return advisory.is_held(LOCK)


class Busy(MoeenError):
    """Another migration runs, longer than we were told to wait."""

    default_code = Code.ANOTHER_RUN


@contextmanager
def held(connection: BaseDatabaseWrapper, *, wait_seconds: float, tell: Callable[[str], None]) -> Iterator[float]:
    """Hold the lock; gives the seconds waited for it. Raises Busy, naming the holder, when the wait is over."""
    started = time.monotonic()
    told = -TELL_SECONDS
    while not _try(connection):
        waited = time.monotonic() - started
        holder = _holder(connection)
        if waited >= wait_seconds:
            raise Busy(
                f"Another migration is running: {holder}.",
                next_step="Wait for it, then run migrate again; --lock-wait SECONDS waits longer.",
                exit_code=FAILED,
            )
        if waited - told >= TELL_SECONDS:
            told = waited
            tell(f"Waiting for another migration: {holder}.")
        time.sleep(min(POLL_SECONDS, max(wait_seconds - waited, 0.01)))
    try:
        yield time.monotonic() - started
    finally:
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", LOCK)


def _try(connection: BaseDatabaseWrapper) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", LOCK)
        (got,) = cursor.fetchone()
    return bool(got)


def _holder(connection: BaseDatabaseWrapper) -> str:
    with connection.cursor() as cursor:
        cursor.execute(HOLDER, LOCK)
        row = cursor.fetchone()
    if row is None:
        return "it ends just now"
    pid, role, application, age = row
    return f"pid {pid}, role {role}, application {application or '?'}, connected for {float(age):.0f} s"
