"""What administrators ask for: the table `operator_requests`, over a login that owns nothing, and one worker that owns.

A page writes a row. `manage.py work` takes it up under the operator's login, does what the command of that name does,
and writes what came of it. One worker serves a database: its session holds a lock, by which everybody sees it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Connection
from psycopg.errors import UndefinedTable

from moeen.db import advisory
from moeen.db.codes import Code
from moeen.db.engine import session
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.history import ledger

#: "moeen" in ASCII, and 4 for the worker; advisory locks belong to one database.
LOCK = (0x6D6F65, 4)
BACKFILL, CANCEL, VERIFY = "backfill_public_ids", "cancel_backfill", "verify_backup"
#: What a worker does. A backfill that is to end hears of it itself.
WORK = (BACKFILL, VERIFY)
DONE, REFUSED, FAILED = "done", "refused", "failed"
LONGEST = 500
NOBODY = "nobody was at work on it"


class Busy(MoeenError):
    """Another worker serves this database."""

    default_code = Code.ANOTHER_RUN


@dataclass(frozen=True)
class Request:
    """One that was taken up."""

    id: UUID
    kind: str
    subject: str


def lives() -> tuple[str, list[int]]:
    """A condition, and its values: a worker serves this database now. Whoever asks."""
    return advisory.is_held(LOCK)


def serve(connection: BaseDatabaseWrapper) -> None:
    """Be the worker, as long as the session lasts. What one before had taken up and not ended has failed.

    Raises Busy; session.Shared where a pooler would keep the lock after this worker is gone.
    """
    session.refuse_unfit(connection, "the worker")
    if not _ask(connection, "SELECT pg_try_advisory_lock(%s, %s)", LOCK)[0][0]:
        raise Busy(
            "Another worker serves this database.",
            next_step="Nothing is to be done: it takes up what is asked for.",
            exit_code=FINDINGS,
        )
    _ask(
        connection,
        """UPDATE operator_requests SET finished_at = clock_timestamp(), outcome = %s, says = %s
           WHERE taken_at IS NOT NULL AND finished_at IS NULL RETURNING id""",
        [FAILED, "the worker was ended while it was at this"],
    )


def take(connection: BaseDatabaseWrapper, *, busy: Collection[str] = ()) -> Request | None:
    """The one that has waited longest of those kinds that are not at work already, one at a time."""
    kinds = [kind for kind in WORK if kind not in busy]
    found = _ask(
        connection,
        """UPDATE operator_requests SET taken_at = clock_timestamp(), taken_by = %s
           WHERE id = (SELECT id FROM operator_requests
                       WHERE taken_at IS NULL AND finished_at IS NULL AND kind = ANY (%s)
                       ORDER BY asked_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
           RETURNING id, kind, subject""",
        [ledger.actor(), kinds],
    )
    return Request(*found[0]) if found else None


def finish(connection: BaseDatabaseWrapper, request: Request, *, outcome: str, says: str) -> None:
    """Write what came of it."""
    _ask(
        connection,
        """UPDATE operator_requests SET finished_at = clock_timestamp(), outcome = %s, says = %s
           WHERE id = %s RETURNING id""",
        [outcome, says[:LONGEST], request.id],
    )


def end_idle_cancels(connection: BaseDatabaseWrapper, lives: tuple[str, list[Any]]) -> None:
    """Answer whoever asked for the end of a backfill that nobody is at: it had ended, or never began.

    `lives`: a condition on a row of backfill_runs, and its values.
    """
    condition, values = lives
    _ask(
        connection,
        f"""UPDATE operator_requests SET taken_at = clock_timestamp(), taken_by = %s, finished_at = clock_timestamp(),
               outcome = %s, says = %s
            WHERE kind = %s AND finished_at IS NULL AND NOT EXISTS (
                SELECT FROM backfill_runs
                WHERE table_name = subject AND backfill_runs.finished_at IS NULL AND {condition})
            RETURNING id""",  # noqa: S608
        [ledger.actor(), FAILED, NOBODY, CANCEL, *values],
    )


def end_cancel(connection: Connection[Any], table: str, *, outcome: str, says: str) -> bool:
    """Answer whoever asked for the end of a table's backfill; returns whether anybody did.

    `connection`: in autocommit mode. Nobody did where the migration that brings the table of requests is pending.
    """
    try:
        done = connection.execute(
            """UPDATE operator_requests SET taken_at = clock_timestamp(), taken_by = %s,
                   finished_at = clock_timestamp(), outcome = %s, says = %s
               WHERE kind = %s AND subject = %s AND finished_at IS NULL""",
            [ledger.actor(), outcome, says, CANCEL, table],
        )
    except UndefinedTable:
        return False
    return done.rowcount > 0


def _ask(connection: BaseDatabaseWrapper, query: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
