"""pg_receivewal: the WAL of a server, received as it is written, into a folder of its own.

A replication slot has the server keep what was not received yet, up to a bound: beyond it the server lets the slot go
and works on. An archive that fails thus costs moments, and never the server.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from moeen.db.backups import program_errors
from moeen.db.backups.login import Login
from moeen.db.backups.tools import Tools
from moeen.db.codes import Code
from moeen.db.errors import MoeenError

APPLICATION = "moeen archive"
#: What the server keeps for us at most.
KEPT_MB = 1024
_WAIT_SECONDS = 10.0
HELD, MADE, LOST = "held", "made", "lost"

Connection = psycopg.Connection[tuple[Any, ...]]


class Receiver:
    """One run of pg_receivewal into `folder`."""

    def __init__(self, login: Login, programs: Tools, folder: Path, *, slot: str) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        command = [programs.program("pg_receivewal"), "--no-password", "--no-loop", f"--directory={folder}",
                   f"--slot={slot}", "--status-interval=1"]  # fmt: skip
        environment = {**login.environment(application=APPLICATION), **programs.environment}
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._said
        )

    def check(self) -> None:
        """Raises MoeenError, with what it said, once it has ended."""
        code = self._process.poll()
        if code is not None:
            self._said.seek(0)
            raise program_errors.failure("pg_receivewal", self._said.read().decode("utf-8", "replace"), code or 1)

    def wait_for(self, connection: Connection, lsn: str) -> None:
        """Until it has received that much. Raises MoeenError when it does not within some seconds."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            row = connection.execute(
                "SELECT bool_or(write_lsn >= %s::pg_lsn) FROM pg_stat_replication WHERE application_name = %s",
                [lsn, APPLICATION],
            ).fetchone()
            if row and row[0]:
                return
            self.check()
            if time.monotonic() > deadline:
                raise MoeenError(
                    "What the server writes is not received: pg_receivewal is behind, or the role may not see how far "
                    "it is.",
                    next_step="Does the role have pg_monitor? Is the disk of the archive fast enough?",
                    code=Code.ARCHIVE,
                )
            time.sleep(0.1)

    def pieces(self) -> Iterator[tuple[str, Path, bool]]:
        """Name, file and whether it is whole, of each piece that was received, in the order of the WAL."""
        for path in sorted(self.folder.iterdir()):
            name, _, end = path.name.partition(".")
            if len(name) == 24 and end in ("", "partial"):
                yield name, path, not end

    def end(self) -> None:
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            self._process.wait(_WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()


@contextmanager
def receiving(login: Login, programs: Tools, folder: Path, *, slot: str) -> Iterator[Receiver]:
    """A running Receiver, which ends with the block."""
    receiver = Receiver(login, programs, folder, slot=slot)
    try:
        yield receiver
    finally:
        receiver.end()


def hold(connection: Connection, slot: str) -> str:
    """Have the server keep its WAL for us; HELD: it has done so since the last time, MADE: from now on, LOST: it could
    keep no more, and does so anew from now on.

    Raises MoeenError, and asks nothing of the server, where it would keep it without a bound.
    """
    _bound(connection)
    row = connection.execute(
        "SELECT wal_status IS DISTINCT FROM 'lost' FROM pg_replication_slots WHERE slot_name = %s", [slot]
    ).fetchone()
    # A pg_receivewal of an archivist that was killed may still run.
    _free(connection, slot)
    if row and row[0]:
        return HELD
    if row:
        release(connection, slot)
    connection.execute("SELECT pg_create_physical_replication_slot(%s, true)", [slot])
    return LOST if row else MADE


def release(connection: Connection, slot: str) -> None:
    """Let the server keep nothing for us. What was not received is lost to the archive."""
    _free(connection, slot)
    connection.execute(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", [slot]
    )


def _free(connection: Connection, slot: str) -> None:
    """Until nobody receives by it."""
    for _ in range(100):
        row = connection.execute(
            """SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
               WHERE slot_name = %s AND active_pid IS NOT NULL""",
            [slot],
        ).fetchone()
        if row is None:
            return
        time.sleep(0.1)


def summarizes(connection: Connection) -> bool:
    """Whether the server notes which blocks change (from 17 on), so that a base can be an increment.

    It is asked to, if we may.
    """
    row = connection.execute(
        """SELECT setting::bool, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
           FROM pg_settings WHERE name = 'summarize_wal'"""
    ).fetchone()
    if row and not row[0] and row[1]:
        connection.execute("ALTER SYSTEM SET summarize_wal = on")
        connection.execute("SELECT pg_reload_conf()")
        return True
    return bool(row and row[0])


def _bound(connection: Connection) -> None:
    ((megabytes, level, may),) = connection.execute(
        """SELECT current_setting('max_slot_wal_keep_size'), current_setting('wal_level'),
                  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"""
    ).fetchall()
    if level == "minimal":
        raise MoeenError("The server writes too little WAL to be archived (wal_level = minimal).",
                         next_step="ALTER SYSTEM SET wal_level = replica; and start the server anew.",
                         code=Code.ARCHIVE)  # fmt: skip
    if megabytes != "-1":
        return
    statement = f"ALTER SYSTEM SET max_slot_wal_keep_size = '{KEPT_MB}MB'"
    if not may:
        raise MoeenError(
            "The server would keep WAL for the archive without a bound, and stop when its disk is full. Nothing was "
            "asked of it.",
            next_step=f"As an administrator: {statement}; SELECT pg_reload_conf();",
            code=Code.ARCHIVE,
        )
    connection.execute(statement.encode())
    connection.execute("SELECT pg_reload_conf()")
