"""Which apps are the project's own: what they applied is recorded, and must stay as it was."""

from __future__ import annotations

from django.db.migrations.loader import MigrationLoader

from moeen.db.operations import Ours


def own_apps(loader: MigrationLoader) -> frozenset[str]:
    """The labels of the apps whose migrations use an operation of ours, wherever that operation is defined."""
    return frozenset(
        app
        for (app, _), migration in loader.disk_migrations.items()
        if any(isinstance(operation, Ours) for operation in migration.operations)
    )
