"""What an operator's session relies on is said to the server; a pooler between is known by fact.

A database, a login or the environment may set any of this otherwise, and a stopped run or a wrong reading would follow.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from moeen.db.codes import Code

from ..errors import FINDINGS, MoeenError
from ..sql import set_configs

#: Parameters of PostgreSQL 14 and newer. Names lead to our tables first (an operator's temporary ones aside), values
#: are written in one form, and no limit of the clinic's own ends a run: what needs one sets it for a transaction.
#: Compiling a question to the catalog takes the server seconds, and running it milliseconds.
PINNED = {
    "search_path": "public",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "quote_all_identifiers": "off",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "check_function_bodies": "on",
    "exit_on_error": "off",
    "jit": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
#: How often two connections are compared; with one session left over a pooler shows itself at the first.
_ROUNDS = 5
_WAIT_SECONDS = 3.0


class Shared(MoeenError):
    """A pooler gives each transaction another session of the server, and `what` needs one of its own."""

    default_code = Code.POOLER

    def __init__(self, what: str) -> None:
        super().__init__(
            f"A pooler in transaction mode stands before the server: {what} needs a session of its own.",
            next_step="Nothing was changed. Let DATABASE_URL name the server itself, or a pooler in session mode; on a "
            "hosted project that is port 5432 in place of 6543.",
            exit_code=FINDINGS,
        )


class OnStandby(MoeenError):
    """The server replays another one's log and takes no writes, and `what` must write."""

    default_code = Code.READ_ONLY

    def __init__(self, what: str) -> None:
        super().__init__(
            f"The server is a standby, in recovery: {what} needs the primary.",
            next_step="Nothing was changed. Let DATABASE_URL name the primary; where it names several hosts, "
            "?target_session_attrs=read-write finds it.",
            exit_code=FINDINGS,
        )


def startup_options(given: str) -> str:
    """libpq's `options`: what is pinned, from the first moment on, and then what was given."""
    words = [f"-c {name}={value}".replace(" ", "\\ ").replace("-c\\ ", "-c ") for name, value in PINNED.items()]
    pinned = " ".join(words)
    return given if given.startswith(pinned) else f"{pinned} {given}".strip()


def is_refused_parameter(error: psycopg.OperationalError) -> bool:
    """Whether a pooler passes no such parameters on; what can be set later is."""
    return "startup parameter" in str(error)


def pin(connection: psycopg.Connection[Any]) -> None:
    """For the rest of the session, on a connection in autocommit mode that no pooler shares."""
    values = PINNED | ({"transaction_timeout": "0"} if connection.info.server_version >= 170000 else {})
    # With off, a table whose policies would hide rows raises an error: an operator is never silently blind.
    values |= {"row_security": "off"}
    with psycopg.Cursor(connection) as cursor:
        cursor.execute(set_configs(tuple(values), local=False), list(values.values()))


def is_behind_pooler(connection: psycopg.Connection[Any]) -> bool:
    """A pooler tells its clients a process of its own making, never that of the server's session."""
    return _pid(connection) != connection.info.backend_pid


def is_shared(connection: psycopg.Connection[Any], connect: Callable[[], psycopg.Connection[Any]]) -> bool:
    """Whether a pooler lets transactions of several connections meet in one session: by transaction or statement."""
    if not is_behind_pooler(connection):
        return False
    seen = set()
    with connect() as other:
        # Where sessions are not shared and none is left, the pooler lets the other one wait.
        limit = threading.Timer(_WAIT_SECONDS, hang_up, [other])
        limit.start()
        try:
            for _ in range(_ROUNDS):
                mine, theirs = _pid(connection), _pid(other)
                seen.add(mine)
                if mine == theirs or len(seen) > 1:
                    return True
        except psycopg.OperationalError:
            return False
        finally:
            limit.cancel()
    return False


def refuse_unfit(wrapper: Any, what: str) -> None:
    """Raise Shared where a pooler would take `what` apart: locks, settings and snapshots belong to a session.
    Raise OnStandby where nothing can be written.

    `wrapper`: Django's connection, of this engine; it connects.
    """
    wrapper.ensure_connection()
    if wrapper.is_pooled:
        raise Shared(what)
    refuse_standby(wrapper, what)


def refuse_standby(connection: Any, what: str) -> None:
    """Raise OnStandby; `connection` is Django's or psycopg's."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_is_in_recovery()")
        if cursor.fetchone() == (True,):
            raise OnStandby(what)


@contextmanager
def unhurried(wrapper: Any) -> Iterator[None]:
    """Meanwhile commits do not wait for the disk; the first one afterwards waits for all of them.

    A crash of the server takes back the newest, and never one without those after it. `wrapper`: Django's connection,
    of a session of its own.
    """
    with wrapper.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
    try:
        yield
    finally:
        if wrapper.is_usable():
            with wrapper.cursor() as cursor:
                cursor.execute("RESET synchronous_commit")


def _pid(connection: psycopg.Connection[Any]) -> int:
    """Of the server's process that works for this connection now, in a transaction of its own."""
    with connection.transaction(), psycopg.Cursor(connection) as cursor:
        row = cursor.execute("SELECT pg_backend_pid()").fetchone()
    return int(row[0]) if row else 0


def hang_up(connection: psycopg.Connection[Any]) -> None:
    """End a connection from another thread: whoever waits for its answer is told that it was lost."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)
