"""What was migrated, when, by whom, from which files: the tables ``migration_runs`` and ``migration_steps``.

The tables are made by a migration of their own, so a first run keeps its entries in memory until they stand. A run that
was killed stays ``running``; the next one, which holds the lock, marks it ``interrupted``.
"""

from __future__ import annotations

import getpass
import hashlib
import inspect
import json
import socket
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

from moeen.db.findings import Finding, Fix, Severity
from moeen.db.history import edits
from moeen.db.kinds import Kind
from moeen.db.operations import RunSQLFile
from moeen.db.sql import compose, fragment

Key = tuple[str, str]


@dataclass(frozen=True)
class MigrationStep:
    """One migration of a run. ``outcome``: applied, unapplied, faked, failed or accepted."""

    app: str
    name: str
    outcome: str
    started_at: datetime
    seconds: float
    retries: int
    lock_wait_seconds: float
    file_checksum: str
    sql_checksum: str
    note: str = ""


@dataclass(frozen=True)
class Written:
    """What of a run is in its tables: its row, and how many of its steps."""

    row: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 0


@dataclass
class Run:
    """One call of migrate. ``versions``: the newest migration of each app before it, as ``app.name`` words."""

    from_version: str
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    actor: str = field(default_factory=lambda: actor())
    outcome: str = "running"
    error: str = ""
    backup_id: str = ""
    no_backup_reason: str = ""
    decisions: str = ""
    own_objects: list[str] = field(default_factory=list)
    fingerprint: str = ""
    lock_wait_seconds: float = 0.0
    steps: list[MigrationStep] = field(default_factory=list)
    written: Written = field(default_factory=Written)


def actor() -> str:
    """Who runs this process, as ``user@host``."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return f"{name}@{socket.gethostname()}"[:255]


def file_checksum(migration: Migration) -> str:
    """SHA-256 of the migration's file and of the SQL files it runs."""
    digest = hashlib.sha256(Path(inspect.getfile(type(migration))).read_bytes())
    for operation in migration.operations:
        if isinstance(operation, RunSQLFile):
            for text in operation.texts:
                digest.update(text.encode())
    return digest.hexdigest()


def is_edited(migration: Migration, recorded: str) -> bool:
    """Whether the migration's file is another than the recorded one, and ``edits.toml`` does not tell of it."""
    current, path = file_checksum(migration), Path(inspect.getfile(type(migration)))
    return recorded != current and not edits.excused(path.parent, path.stem, recorded=recorded, current=current)


class SQLDigest:
    """An execute wrapper that hashes every statement that runs under it, without its parameters."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        self._digest.update(str(sql).encode())
        return execute(sql, params, many, context)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def stands(connection: BaseDatabaseWrapper) -> bool:
    """Whether the ledger's tables exist."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_STANDS}")
        (answer,) = cursor.fetchone()
    return bool(answer)


def write(connection: BaseDatabaseWrapper, run: Run) -> None:
    """Bring the tables to what the run says, if they stand; called after every step."""
    with connection.cursor() as cursor:
        # Columns of a later migration, which this run may be about to make.
        cursor.execute(f"SELECT {_STANDS}, {_RECORDED}")
        standing, decided = cursor.fetchone()
    if not standing:
        run.written = Written()
        return
    row = _row(run) | (_decided(run) if decided else {})
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if row != run.written.row:
            cursor.execute(_upsert(tuple(row)), list(row.values()))
        for step in run.steps[run.written.steps :]:
            cursor.execute(_INSERT_STEP, [run.id, *astuple(step)])
    run.written = Written(row, len(run.steps))


def _row(run: Run) -> dict[str, Any]:
    ends = None if run.outcome == "running" else run.written.row.get("finished_at") or datetime.now(UTC)
    return {
        "id": run.id,
        "started_at": run.started_at,
        "finished_at": ends,
        "actor": run.actor,
        "from_version": run.from_version,
        "outcome": run.outcome,
        "error": run.error,
        "backup_id": run.backup_id,
        "no_backup_reason": run.no_backup_reason,
        "lock_wait_seconds": run.lock_wait_seconds,
        "fingerprint": run.fingerprint,
    }


def _decided(run: Run) -> dict[str, Any]:
    return {"decisions": run.decisions, "own_objects": json.dumps(run.own_objects)}


def _upsert(columns: tuple[str, ...]) -> str:
    """``columns``: the key first."""
    return compose(
        "INSERT INTO migration_runs ({names}, database_role) VALUES ({values}, current_user)"
        " ON CONFLICT (id) DO UPDATE SET ({changed}) = ROW({new})",
        names=columns,
        values=fragment(", ".join(["%s"] * len(columns))),
        changed=columns[1:],
        new=fragment(", ".join(compose("excluded.{c}", c=column) for column in columns[1:])),
    )


def records_own_objects(connection: BaseDatabaseWrapper) -> bool:
    """Whether the ledger has the columns of a later migration: what was decided, what is the clinic's own."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_RECORDED}")
        (answer,) = cursor.fetchone()
    return bool(answer)


def own_objects(cursor: Any) -> frozenset[str]:
    """What was recorded as the clinic's own, in the words of `schema.own`; nothing where it may not be read."""
    cursor.execute(f"SELECT {_RECORDED} AND {_READABLE}")
    if cursor.fetchone() != (True,):
        return frozenset()
    cursor.execute("SELECT DISTINCT jsonb_array_elements_text(own_objects) FROM public.migration_runs")
    return frozenset(words for (words,) in cursor.fetchall())


_INSERT_STEP = f"""
    INSERT INTO migration_steps (run_id, {", ".join(each.name for each in fields(MigrationStep))})
    VALUES (%s{", %s" * len(fields(MigrationStep))})
"""  # noqa: S608 - our own words
_STANDS = "pg_catalog.to_regclass('public.migration_steps') IS NOT NULL"
_RECORDED = """EXISTS (SELECT FROM pg_catalog.pg_attribute
                       WHERE attrelid = pg_catalog.to_regclass('public.migration_runs')
                         AND attname = 'own_objects' AND NOT attisdropped)"""
_READABLE = """coalesce(pg_catalog.has_table_privilege(pg_catalog.to_regclass('public.migration_runs')::oid, 'SELECT')
                        AND NOT pg_catalog.row_security_active(
                            pg_catalog.to_regclass('public.migration_runs')::oid), false)"""


def last_done(connection: BaseDatabaseWrapper) -> datetime | None:
    """When the last run ended that was not stopped; None before the first."""
    if not stands(connection):
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(finished_at) FROM migration_runs WHERE outcome = 'done'")
        (moment,) = cursor.fetchone()
    return moment  # type: ignore[no-any-return]


def mark_interrupted(connection: BaseDatabaseWrapper) -> int:
    """Runs that were killed: with the lock in our hand, nobody else is running. Returns how many there were."""
    if not stands(connection):
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE migration_runs SET outcome = 'interrupted', finished_at = now() WHERE outcome = 'running'"
        )
        return int(cursor.rowcount)


def checksums(connection: BaseDatabaseWrapper) -> dict[Key, str]:
    """The file checksum that each applied migration had when it ran, or that was accepted since."""
    if not stands(connection):
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT ON (app, name) app, name, file_checksum FROM migration_steps
            WHERE outcome IN ('applied', 'faked', 'accepted') ORDER BY app, name, started_at DESC
            """
        )
        return {(app, name): checksum for app, name, checksum in cursor}


def findings(connection: BaseDatabaseWrapper, loader: MigrationLoader, *, labels: Iterable[str]) -> list[Finding]:
    """Applied migrations that changed since, or that the code does not have: edited, removed, or of a newer version."""
    found = []
    recorded = checksums(connection)
    ours = set(labels)
    disk: Mapping[Key, Migration] = loader.disk_migrations
    for app, name in sorted(loader.applied_migrations):
        if app not in ours:
            continue
        migration = disk.get((app, name))
        if migration is None:
            newer = not any(label == app and other > name for label, other in disk)
            why = "a newer version of the project migrated this database" if newer else "its file is gone"
            fix = "deploy that version" if newer else "restore the file from version control"
            found.append(
                Finding(f"{app}.{name}", Kind.MIGRATION_UNKNOWN, "a file", f"none: {why}", fix=Fix(advice=fix))
            )
        elif (app, name) in recorded and is_edited(migration, recorded[app, name]):
            fix = f"restore the file, or: manage.py migrate --accept-changed {app}.{name} --reason '...'"
            edited = (Kind.MIGRATION_EDITED, "unchanged since", "edited", Severity.UNSAFE, Fix(advice=fix))
            found.append(Finding(f"{app}.{name}", *edited))
    return found
