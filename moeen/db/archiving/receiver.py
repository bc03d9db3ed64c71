"""pg_receivewal: the WAL of a server, received into a folder of its own.

A replication slot has the server keep what was not received yet, up to a bound: beyond it the server lets the slot go
and works on. An archive that fails thus costs moments, and never the server.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
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
#: How long one go may take; what came until then stays.
WAIT_SECONDS = 60.0
HELD, MADE, LOST = "held", "made", "lost"

Connection = psycopg.Connection[tuple[Any, ...]]


def receive(login: Login, programs: Tools, folder: Path, *, slot: str, until: int) -> None:
    """Receive into `folder` what the server has written before this position. Raises MoeenError, with what was said.

    In one go every some seconds: a receiver that follows each commit has the server wake a process for each.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    last = until - 1  # it stops behind this byte; at the very end of what is written it would wait for more
    command = [programs.program("pg_receivewal"), "--no-password", "--no-loop", f"--directory={folder}",
               f"--slot={slot}", f"--endpos={last >> 32:X}/{last & 0xFFFFFFFF:X}"]  # fmt: skip
    environment = {**login.environment(application=APPLICATION), **programs.environment}
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise MoeenError(
            "The server writes more than is received.",
            next_step="Is the disk of the archive fast enough, and the way to the server?",
            code=Code.ARCHIVE,
        ) from None
    if done.returncode:
        raise program_errors.failure("pg_receivewal", done.stderr.decode("utf-8", "replace"), done.returncode)


def pieces(folder: Path) -> Iterator[tuple[str, Path, bool]]:
    """Name, file and whether it is whole, of each piece that was received, in the order of the WAL."""
    for path in sorted(folder.iterdir()):
        name, _, end = path.name.partition(".")
        if len(name) == 24 and end in ("", "partial"):
            yield name, path, not end


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
