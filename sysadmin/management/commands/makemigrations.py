"""`makemigrations` that writes our converging operations, and never starts the embedded server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.core.management.commands import makemigrations
from django.db import connections

from moeen.db.errors import USAGE, MoeenError
from moeen.db.lint import authoring
from moeen.db.server import project


class Command(makemigrations.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        for label in args:
            try:
                apps.get_app_config(label)
            except LookupError as error:  # Django would end by itself, in words of its own
                raise MoeenError(str(error).partition(" Did")[0], exit_code=USAGE) from error
        with stopped_servers_left_alone(), authoring.our_writer(makemigrations):
            super().handle(*args, **options)

    def write_migration_files(self, changes: Any, *args: Any, **options: Any) -> None:
        authoring.converge(changes)
        super().write_migration_files(changes, *args, **options)
        if self.dry_run:
            return
        for migration in (migration for found in changes.values() for migration in found):
            for path in authoring.write_sql(migration):
                self.log(f"  {self.style.MIGRATE_LABEL(self.get_relative_path(str(path)))}")
                if self.scriptable:
                    self.stdout.write(self.get_relative_path(str(path)))
        authoring.tidy(self.written_files)  # type: ignore[attr-defined]


@contextmanager
def stopped_servers_left_alone() -> Iterator[None]:
    """Skip the check of the applied migrations where the server would have to be started for it.

    Django compares the record in the database with the files, but passes over a database of the dummy engine.
    """
    stopped = [
        wrapper
        for wrapper in connections.all()
        if wrapper.settings_dict.get("EMBEDDED") and not project.configured_status().running
    ]
    engines = [wrapper.settings_dict["ENGINE"] for wrapper in stopped]
    for wrapper in stopped:
        wrapper.settings_dict["ENGINE"] = "django.db.backends.dummy"
    try:
        yield
    finally:
        for wrapper, engine in zip(stopped, engines, strict=True):
            wrapper.settings_dict["ENGINE"] = engine
