"""Reading from standbys: which server may answer a request that changes nothing.

A standby may where it has replayed what the person's browser last wrote, and what the primary had at most
`REPLICA_MAX_LAG` seconds ago, whoever wrote it. Both are positions in the write-ahead log, so no clock is trusted;
otherwise the primary answers. One that does not answer, or is no standby of ours, is not asked again for a while.

Identities are bound and signed there as on the primary: what they stand on is replicated. Sessions, sign-ins and
whatever is not read-only stay with the primary (`Router`).
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.engine.session import hang_up
from moeen.db.errors import ConfigurationError, MoeenError
from moeen.db.explain import explain
from moeen.db.scoped import scoped
from moeen.db.security import identity
from moeen.db.sql import compose, fragment

#: Seconds in which a standby says how far it is; a server that was frozen says nothing at all.
ANSWER_SECONDS = 1.0
#: A standby is left out for so many seconds, and twice as long each time that it fails again.
LEFT_OUT_SECONDS = (2.0, 60.0)
#: How often a process asks the primary for its position, in seconds.
_EVERY = 1.0
#: What has been replayed from the beginning of any log.
NOTHING = "0/0"
_FLUSHED = "SELECT pg_catalog.pg_current_wal_flush_lsn()::text"
# With synchronous_commit off a commit is answered before it is flushed.
_INSERTED = "SELECT pg_catalog.pg_current_wal_insert_lsn()::text"
_ASK = """
    SELECT pg_catalog.pg_is_in_recovery(),
           pg_catalog.pg_last_wal_replay_lsn() >= GREATEST(%s::pg_catalog.pg_lsn, %s::pg_catalog.pg_lsn)
"""
# The server's number and the database's name, which stay for good. A copy elsewhere knows our key, and is another.
_IDENTITY = fragment("system_identifier::text || ' ' || current_database()")
_WHOSE = compose("SELECT {whose} FROM pg_catalog.pg_control_system()", whose=_IDENTITY)
_STANDING = compose(
    "SELECT pg_current_wal_flush_lsn()::text, {whose}, pg_postmaster_start_time() FROM pg_control_system()",
    whose=_IDENTITY,
)
_BEHIND = compose(
    """
    SELECT session_user::text, pg_is_in_recovery(), {whose}, pg_postmaster_start_time(),
           pg_wal_lsn_diff(%s::pg_lsn, pg_last_wal_replay_lsn())::bigint
    FROM pg_control_system()
    """,
    whose=_IDENTITY,
)
_logger = logging.getLogger(__name__)
_chosen: ContextVar[str] = ContextVar("standby", default="")


def reading(alias: str) -> AbstractContextManager[str]:
    """The scope in which what may not write is read at this alias, "" for the primary."""
    return scoped(_chosen, alias)


def current() -> str:
    """The alias of the standby that this request reads from, "" for the primary."""
    return _chosen.get()


class Router:
    """Django's router: to the standby of the request goes who may not write; everything else to the primary."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        if _chosen.get() and identity.current().read_only:
            return _chosen.get()
        return self.db_for_write(model, **hints)

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        """The primary, also for what was read from a standby; Django decides about other databases."""
        instance = hints.get("instance")
        return DEFAULT_DB_ALIAS if instance is None or instance._state.db in settings.STANDBYS else None

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool | None:
        """The primary and its standbys are one database."""
        return True if {one._state.db, other._state.db} <= {DEFAULT_DB_ALIAS, *settings.STANDBYS} else None


@dataclass
class _Primary:
    """Where the primary's log stood lately, as this process saw it: moments by time.monotonic(), and positions.
    `whose` database it is, see `_WHOSE`."""

    seen: deque[tuple[float, str]] = field(default_factory=deque)
    lock: threading.Lock = field(default_factory=threading.Lock)
    whose: str = ""

    def least(self) -> str:
        """A position that the primary had at most REPLICA_MAX_LAG seconds ago, the oldest one known."""
        with self.lock:
            now = time.monotonic()
            while self.seen and self.seen[0][0] < now - settings.REPLICA_MAX_LAG:
                self.seen.popleft()
            self.whose = self.whose or _ask_primary(_WHOSE)
            if not self.seen or self.seen[-1][0] <= now - _EVERY:
                self.seen.append((now, _ask_primary(_FLUSHED)))
            return self.seen[0][1]


@dataclass
class _Left:
    """Standbys that are left out: alias -> until when by time.monotonic(), and for how many seconds."""

    out: dict[str, tuple[float, float]] = field(default_factory=dict)

    def is_out(self, alias: str) -> bool:
        return time.monotonic() < self.out.get(alias, (0.0, 0.0))[0]

    def leave(self, alias: str, why: str, *, level: int = logging.WARNING) -> None:
        shortest, longest = LEFT_OUT_SECONDS
        seconds = min(2 * self.out[alias][1], longest) if alias in self.out else shortest
        self.out[alias] = (time.monotonic() + seconds, seconds)
        _logger.log(level, "%s is left out for %d seconds: %s", alias, seconds, why)

    def back(self, alias: str) -> None:
        if self.out.pop(alias, None):
            _logger.warning("%s is read from again", alias)


_primary, _left = _Primary(), _Left()


def forget() -> None:
    """Begin anew, as a process that has just started."""
    _primary.seen.clear()
    _primary.whose = ""
    _left.out.clear()


def position() -> str:
    """A position that the primary's log has passed with all that was committed so far."""
    return _ask_primary(_INSERTED)


@dataclass(frozen=True)
class Standing:
    """How far a standby is. `login`: who asked, as the server knows them.

    `role`: "standby" of this primary, the "primary" itself, or "another" server or database. `seconds`: what it took
    to replay what the primary had when it was asked, or so long was waited; `behind`: bytes of the log that it still
    lacked then.
    """

    login: str
    role: str
    seconds: float = 0.0
    behind: int = 0


def look(primary: BaseDatabaseWrapper, alias: str) -> Standing:
    """Ask a standby; at most REPLICA_MAX_LAG seconds are waited. For operators."""
    with primary.cursor() as cursor:
        cursor.execute(_STANDING)
        position, whose, started = cursor.fetchone()
    began = time.monotonic()
    try:
        with connections[alias].cursor() as cursor:
            while True:
                cursor.execute(_BEHIND, [position])
                login, recovering, other, since, behind = cursor.fetchone()
                if other != whose or not recovering:
                    return Standing(login, "primary" if (other, since) == (whose, started) else "another")
                seconds = time.monotonic() - began
                if behind <= 0 or seconds > settings.REPLICA_MAX_LAG:
                    return Standing(login, "standby", seconds, max(behind, 0))
                time.sleep(0.05)
    finally:
        connections[alias].close()


def begin(person: str, *, written: str = NOTHING) -> str:
    """Choose a standby, and open the transaction in which this thread reads there; "" where the primary must answer.

    `person`: the same one always reads from the same standby, as long as that is fit; so no page goes back in time.
    `written`: position() after what they wrote last.
    """
    aliases = list(settings.STANDBYS)
    first = zlib.crc32(person.encode()) % len(aliases)
    try:
        least = _primary.least()
    except Error:
        return ""
    for alias in aliases[first:] + aliases[:first]:
        if not _left.is_out(alias) and _may_answer(alias, least=least, written=written):
            connections[alias].set_autocommit(False)
            return alias
    return ""


def end(alias: str) -> None:
    """End what begin() opened. A connection that was lost meanwhile leaves the standby out."""
    connection = connections[alias]
    try:
        connection.rollback()  # nothing was written
        connection.set_autocommit(True)
    except Error as error:
        connection.close()
        _left.leave(alias, _why(error))


def _may_answer(alias: str, *, least: str, written: str) -> bool:
    connection = connections[alias]
    known = connection.connection is not None
    began = time.monotonic()
    try:
        is_standby, has_replayed = _ask(alias, least, written)
    except (Error, MoeenError) as error:
        connection.close()
        if known and time.monotonic() - began < ANSWER_SECONDS / 2:
            return _may_answer(alias, least=least, written=written)  # it may have started anew meanwhile
        _left.leave(alias, _why(error))
        return False
    if not is_standby:
        connection.close()
        # Where every node is named, one of them always is the primary.
        _left.leave(alias, "it is no standby", level=logging.INFO)
        return False
    _left.back(alias)
    return has_replayed


def _ask(alias: str, least: str, written: str) -> tuple[bool, bool]:
    """Whether it is a standby, and has replayed both positions."""
    connection = connections[alias]
    if connection.connection is None:
        connection.ensure_connection()
        with _answering(connection), identity.bound(identity.ANONYMOUS), connection.cursor() as cursor:
            cursor.execute("SELECT app.is_bound()")  # the engine refuses a database that does not know our key
        with _answering(connection), identity.acting_as_operator(), connection.cursor() as cursor:
            cursor.execute(_WHOSE)
            if cursor.fetchone()[0] != _primary.whose:
                raise ConfigurationError(
                    "It holds another database than the primary.", next_step="Correct DATABASE_REPLICA_URLS."
                )
    # Before the transaction: its first statement may already fix what it sees.
    with _answering(connection), identity.acting_as_operator(), connection.cursor() as cursor:
        cursor.execute(_ASK, [least, written])
        row = cursor.fetchone()
    return bool(row[0]), bool(row[1])


@contextmanager
def _answering(connection: Any) -> Iterator[None]:
    """Within it, a server that says nothing for ANSWER_SECONDS is hung up on."""
    limit = threading.Timer(ANSWER_SECONDS, hang_up, [connection.connection])
    limit.daemon = True
    limit.start()
    try:
        yield
    finally:
        limit.cancel()


def _ask_primary(query: str) -> str:
    with identity.acting_as_operator(), connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(query)
        return str(cursor.fetchone()[0])


def _why(error: Exception) -> str:
    known = explain(error)
    return known.cause if known else type(error).__name__
