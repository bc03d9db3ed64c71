"""The table ``import_runs``: one row a run, with its mapping and its receipt; and the one entry in the audit log."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from moeen.db import registry
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.history import ledger
from moeen.db.importing.source import Connection

#: "moei": one import at a time. The lock belongs to the session, and goes with it however it ends.
LOCK = 0x6D6F6569
#: Seconds.
PATIENCE = 20.0


def lock(connection: Connection) -> None:
    """Raises MoeenError (3) while another import runs. One that was killed ends with its last statement."""
    deadline = time.monotonic() + PATIENCE
    while True:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
        if row and row[0]:
            return
        if time.monotonic() < deadline:
            time.sleep(0.2)
            continue
        raise MoeenError(
            "Another import into this database is running.",
            next_step="Wait for it, or end it.",
            exit_code=FINDINGS,
            code=Code.ANOTHER_RUN,
        )


def begin(connection: Connection, *, source: str, mapping: str) -> UUID:
    """A new run. Those that were killed are said to have failed."""
    with connection.transaction():
        connection.execute(
            "UPDATE import_runs SET outcome = 'failed', error = 'killed', finished_at = now() WHERE outcome = 'running'"
        )
        row = connection.execute(
            "INSERT INTO import_runs (source, actor, mapping) VALUES (%s, %s, %s) RETURNING id",
            [source, ledger.actor(), mapping],
        ).fetchone()
    assert row is not None
    return UUID(str(row[0]))


def audit(connection: Connection, run: UUID, told: dict[str, Any]) -> None:
    """The one entry, before the first row is written; an entry for each table whose rows have none meanwhile."""
    if table := registry.facts().audit_table:
        connection.execute(
            sql.SQL(
                "INSERT INTO {} (action, table_name, record_id, new_values) VALUES ('IMPORT', 'import_runs', %s, %s)"
            ).format(sql.Identifier(table)),
            [run, Jsonb(told)],
        )
        for name, counts in told["tables"].items():
            connection.execute("SELECT app.suspend_audit(%s, %s, 'IMPORT', %s)", [run, name, Jsonb(counts)])
        connection.execute("SELECT set_config('app.audit_suspended', %s, false)", [str(run)])


def end(connection: Connection, run: UUID, *, outcome: str, receipt: dict[str, Any], error: str = "") -> None:
    if registry.facts().audit_table:
        connection.execute("SELECT app.resume_audit(%s)", [run])
    connection.execute(
        "UPDATE import_runs SET outcome = %s, receipt = %s, error = %s, finished_at = now() WHERE id = %s",
        [outcome, Jsonb(receipt), error, run],
    )
