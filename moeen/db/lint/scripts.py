"""The SQL that migrations run forwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import migrations
from django.db.migrations import Migration

from moeen.db.operations import RunSQLFile
from moeen.db.statements import Statement, split_deep


@dataclass(frozen=True)
class MigrationSQL:
    """SQL that a migration runs forwards, by the name under which it is known."""

    name: str
    statements: tuple[Statement, ...]


def scripts(migration: Migration) -> Iterator[MigrationSQL]:
    """The SQL texts of a migration."""
    for operation in migration.operations:
        if isinstance(operation, RunSQLFile):
            name = f"{operation.app_label}/sql/{operation.name}.sql"
        elif isinstance(operation, migrations.RunSQL) and operation.sql != migrations.RunSQL.noop:
            name = f"{migration.app_label}.{migration.name}"
        else:
            continue
        yield MigrationSQL(name, tuple(split_deep(_joined(operation.sql))))


def _joined(texts: Any) -> str:
    """RunSQL's sql: a text, or a list of texts and (text, parameters)."""
    if isinstance(texts, str):
        return texts
    return ";\n".join(text if isinstance(text, str) else text[0] for text in texts)
