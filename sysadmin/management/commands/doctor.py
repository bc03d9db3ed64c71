"""doctor: one page about this installation."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from moeen.db import doctor
from moeen.db.errors import FINDINGS
from moeen.db.history import reports
from sysadmin.management.json_output import as_json


class Command(BaseCommand):
    help = (
        "One page about this installation: connection, version, rights, TLS, disk, migrations, backfills, validation, "
        "backups, who is told of failures, settings and the REST road, each with the next step. Exit code 3 when a "
        "line says fail."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="The database to look at.")
        parser.add_argument("--json", action="store_true", help="Print the page as one JSON object.")

        parser.add_argument(
            "--try-alarm",
            action="store_true",
            help="Only this: tell whom ON_FAILURE names that it is a try. Exit code 3 when that fails.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        found = doctor.try_alarm(connection) if options["try_alarm"] else doctor.examine(connection)
        if not options["try_alarm"]:
            reports.keep(connection, reports.DOCTOR, ok=found.ok, report=found.as_dict())
        self.stdout.write(as_json(found.as_dict()) if options["json"] else found.pretty())
        if not found.ok:
            sys.exit(FINDINGS)
