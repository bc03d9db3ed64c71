"""The table ``backfill_runs``: how far every backfill has come. Batches write it in their own transactions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from moeen.db import registry, requests
from moeen.db.backfill.definition import Backfill
from moeen.db.backfill.notes import Note
from moeen.db.backfill.reports import Failure


@dataclass(frozen=True)
class Run:
    """An unfinished run as it stands: pages below ``position`` are done in this ``sweep``, which ends at ``bound``."""

    id: UUID
    sweep: int
    position: int
    bound: int
    rows_missing: int
    rows_filled: int
    seconds: float


#: "moef", and the table by its hash: one run a table.
LOCK = 0x6D6F6566


def lives() -> tuple[str, list[Any]]:
    """A condition on a row of backfill_runs, and its values: a session holds the lock of this run. Whoever asks."""
    return _LIVES, [LOCK]


# Of every session pg_locks tells everybody. An oid has no sign, hashtext has one.
_LIVES = """(EXISTS (
    SELECT FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = %s
      AND (l.objid::bigint << 32 >> 32) = hashtext(backfill_runs.name || ' ' || backfill_runs.table_name)
      AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())))"""


def begin(connection: Connection[Any], item: Backfill, *, total: int, missing: int, pages: int) -> Run:
    """The unfinished run of this backfill, or a new one; its entry in the audit log stands for its rows."""
    requests.end_cancel(connection, item.table, outcome=requests.FAILED, says=requests.NOBODY)
    with connection.transaction(), connection.cursor(row_factory=class_row(Run)) as cursor:
        cursor.execute(
            """
            UPDATE backfill_runs SET status = 'running', note = '', failures = '[]', heartbeat_at = now(),
                sweep = CASE WHEN position < bound THEN sweep ELSE sweep + 1 END,
                bound = CASE WHEN position < bound THEN bound ELSE %(pages)s END,
                position = CASE WHEN position < bound THEN position ELSE 0 END
            WHERE name = %(name)s AND table_name = %(table)s AND finished_at IS NULL
            RETURNING id, sweep, position, bound, rows_missing, rows_filled, seconds
            """,
            {"name": item.name, "table": item.table, "pages": pages},
        )
        run = cursor.fetchone()
        if run is None:
            cursor.execute(
                """
                INSERT INTO backfill_runs (name, table_name, bound, rows_total, rows_missing)
                VALUES (%s, %s, %s, %s, %s)
                RETURNING id, sweep, position, bound, rows_missing, rows_filled, seconds
                """,
                [item.name, item.table, pages, total, missing],
            )
            run = cursor.fetchone()
        assert run is not None
        if registry.facts().audit_table:
            told = {"backfill": item.name, "columns": list(item.columns), "rows": missing}
            cursor.execute("SELECT app.suspend_audit(%s, %s, 'BACKFILL', %s)", [run.id, item.table, json.dumps(told)])
        return run


def next_sweep(connection: Connection[Any], run: Run, *, pages: int) -> None:
    connection.execute(
        "UPDATE backfill_runs SET sweep = sweep + 1, position = 0, bound = %s, heartbeat_at = now() WHERE id = %s",
        [pages, run.id],
    )


#: Part of each batch's transaction: what it did is known exactly if and only if it was done.
ADVANCE = """
    UPDATE backfill_runs SET position = greatest(position, %(position)s), rows_filled = rows_filled + %(rows)s,
        batches = batches + 1, seconds = seconds + %(seconds)s, heartbeat_at = clock_timestamp()
    WHERE id = %(run)s
"""


def sign_of_life(connection: Connection[Any], run: Run, note: Note | None) -> bool:
    """Say that the run lives, and what it waits for; returns whether somebody asked for a pause."""
    row = connection.execute(
        """
        UPDATE backfill_runs SET heartbeat_at = now(), note = %(note)s::text,
            status = CASE WHEN %(note)s::text = '' THEN 'running' ELSE 'paused' END
        WHERE id = %(run)s RETURNING pause_requested
        """,
        {"note": note.kept() if note else "", "run": run.id},
    ).fetchone()
    return bool(row and row[0])


def is_cancelled(connection: Connection[Any], table: str) -> bool:
    """Whether somebody asked for its end, who is answered hereby."""
    return requests.end_cancel(connection, table, outcome=requests.DONE, says="what is filled stays")


def end(
    connection: Connection[Any], run: Run, status: str, *, failures: Iterable[Failure] = (), note: Note | str = ""
) -> None:
    """Record how a call ended. Only ``finished`` closes the run; with any other status the next call goes on."""
    if registry.facts().audit_table:
        connection.execute("SELECT app.resume_audit(%s)", [run.id])
    connection.execute(
        """
        UPDATE backfill_runs SET status = %(status)s::text, note = %(note)s::text, failures = %(failures)s,
            heartbeat_at = now(), finished_at = CASE WHEN %(status)s::text = 'finished' THEN now() END
        WHERE id = %(run)s
        """,
        {
            "status": status,
            "note": note.kept() if isinstance(note, Note) else note,
            "failures": json.dumps([{"row": f.row, "reason": f.reason} for f in failures]),
            "run": run.id,
        },
    )
