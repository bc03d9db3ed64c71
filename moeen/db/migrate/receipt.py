"""What a finished migration has to say: where the database is, what it holds, what is left to do."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db import public_ids
from moeen.db.history.ledger import Run
from moeen.db.schema import Validation
from moeen.db.server import project
from moeen.db.sql import compose


@dataclass(frozen=True)
class Receipt:
    """``applied``: what this run did; ``lacking``: table -> rows without a public id; ``people``: is there any user."""

    server: str
    place: str
    tables: int
    seconds: float
    applied: tuple[str, ...]
    backup: str
    retries: int
    lacking: dict[str, int]
    people: bool
    fingerprint: str = ""
    findings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def pretty(self) -> str:
        lines = [
            f"Database: {self.place}, PostgreSQL {self.server}, {self.tables} tables. Done in {self.seconds:.1f} s.",
        ]
        if self.findings:
            lines.append(f"The schema has {len(self.findings)} differences; manage.py validate_schema tells more:")
            lines += [f"  {finding}" for finding in self.findings[:5]]
        elif self.fingerprint:
            lines.append(f"The schema is as expected (fingerprint {self.fingerprint[:12]}).")
        if self.lacking:
            rows = ", ".join(f"{table} {count:,}" for table, count in self.lacking.items())
            lines.append(f"Rows without a public id: {rows}.")
            lines.append(f"Next: {manage()} backfill_public_ids --dry-run, then without --dry-run.")
        elif not self.people:
            lines.append(f"Next: {manage()} createsuperuser, then make run for the admin; {manage()} dbshell for SQL.")
        else:
            lines.append(f"Next: make run for the admin; {manage()} dbshell for SQL.")
        return "\n".join(lines)


def manage() -> str:
    """How this process was started, short enough to copy: ``.venv/bin/python manage.py`` within the project."""
    program = os.path.relpath(sys.executable)
    return "manage.py" if program.startswith("..") else f"{program} manage.py"


def migrated(
    connection: BaseDatabaseWrapper, *, run: Run | None, validation: Validation | None, seconds: float
) -> Receipt:
    """Read what the receipt says."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT current_setting('server_version'), count(*),
                   coalesce(array_agg(a.attrelid::regclass::text) FILTER (WHERE NOT a.attnotnull), '{}')
            FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'public_id'
            WHERE c.relkind IN ('r', 'p') AND c.relnamespace = to_regnamespace('public')
            """
        )
        server, tables, nullable = cursor.fetchone()
        lacking = {}
        ours = {model._meta.db_table for model in public_ids.PREFIXES.values()}
        for table in sorted(ours & set(nullable)):
            cursor.execute(compose("SELECT count(*) FROM {t} WHERE public_id IS NULL", t=sql.Identifier(table)))
            (lacking[table],) = cursor.fetchone()
        users = sql.Identifier("public", get_user_model()._meta.db_table)
        cursor.execute(compose("SELECT to_regclass({t}) IS NOT NULL", t=sql.Literal(users.as_string(None))))
        (people,) = cursor.fetchone()
        if people:
            cursor.execute(compose("SELECT EXISTS (SELECT FROM {t})", t=users))
            (people,) = cursor.fetchone()
    return Receipt(
        server=server.split()[0],
        place=_place(connection),
        tables=tables,
        seconds=round(seconds, 3),
        applied=tuple(f"{step.app}.{step.name}" for step in run.steps) if run else (),
        backup=run.backup_id if run else "",
        retries=sum(step.retries for step in run.steps) if run else 0,
        lacking=lacking,
        people=people,
        fingerprint=validation.fingerprint if validation else "",
        findings=tuple(f"{f.object}: {f.kind}" for f in validation.unexpected) if validation else (),
    )


def _place(connection: BaseDatabaseWrapper) -> str:
    """Where the database is, in words that hold no password."""
    settings = connection.settings_dict
    if settings.get("EMBEDDED"):
        return f"{settings['NAME']} on the embedded server in {project.configured_server().data_dir}"
    with connection.cursor() as cursor:
        info = cursor.connection.info
        return f"{info.dbname} at {info.host}:{info.port} as {info.user}"
