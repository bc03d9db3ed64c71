"""migrate: Django's, after a look at what stands, and with a word about where the database is afterwards."""

from __future__ import annotations

import time
from typing import Any

from django.apps import apps
from django.core.management.commands import migrate
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.db.models.signals import pre_migrate

from moeen.db import preflight, receipt


class Command(migrate.Command):
    help = (
        "Brings a database, empty or years old and full of rows, to the current schema. Before anything is changed it "
        "checks the rights of the role and every table that stands already; what cannot be carried over is listed and "
        "refused (exit code 3). Interrupted, it goes on where it was when run again."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        started = time.monotonic()
        receiver = self._look_first
        pre_migrate.connect(receiver, sender=apps.get_app_config("sysadmin"))
        try:
            super().handle(*args, **options)
        finally:
            pre_migrate.disconnect(receiver, sender=apps.get_app_config("sysadmin"))
        if options["verbosity"] > 0 and not (options["plan"] or options["check_unapplied"]):
            self.stdout.write(receipt.migrated(connection, seconds=time.monotonic() - started).pretty())

    def _look_first(self, *, using: str, plan: preflight.Plan, verbosity: int, **_: Any) -> None:
        """Django sends the plan just before it is carried out; an exception here stops the run."""
        if plan:
            found = preflight.survey(connections[using], plan, MigrationLoader(connections[using]))
            if found.adopting and verbosity > 0:
                tables = ", ".join(f"{name} ({rows:,} rows)" for name, rows in found.adopting.items())
                self.stdout.write(f"Adopting tables that stand already: {tables}")
