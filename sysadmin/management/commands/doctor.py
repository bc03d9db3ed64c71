"""doctor: one page about this installation."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from moeen.db import doctor
from moeen.db.errors import FINDINGS, USAGE, MoeenError
from moeen.db.history import reports
from sysadmin.management import metrics_file
from sysadmin.management.json_output import as_json
from sysadmin.management.operator_command import OperatorCommand
from sysadmin.management.tables import folded, width_of


class Command(OperatorCommand):
    help = (
        "One page about this installation: connection, version, rights, TLS, disk, migrations, backfills, validation, "
        "backups, who is told of failures, settings and the REST road, each with the next step. Exit code 3 when a "
        "line says fail."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="The database to look at.")
        parser.add_argument("--json", action="store_true", help="Print the page as one JSON object.")
        words = "Besides, write what was found to a file as Prometheus reads it (METRICS_FILE)."
        parser.add_argument("--metrics", type=Path, metavar="FILE", help=words)
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
        if options["metrics"]:
            self._write(options["metrics"], found)
        self.stdout.write(
            as_json(found.as_dict())
            if options["json"]
            else folded(found.pretty(), width=width_of(self.stdout), indent=doctor.INDENT)
        )
        if not found.ok:
            sys.exit(FINDINGS)

    @staticmethod
    def _write(path: Path, found: doctor.Diagnosis) -> None:
        try:
            metrics_file.write(path, found, now=time.time())
        except OSError as error:
            raise MoeenError(
                f"{path} cannot be written: {error.strerror}.",
                next_step="Name a file in a folder that this user may write.",
                exit_code=USAGE,
            ) from None
