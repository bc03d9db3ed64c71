"""`manage.py work`: does what administrators ask for on the page of operations, which itself may do none of it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.db import connections

from moeen.db import requests
from sysadmin.management import worker
from sysadmin.management.backup_console import BackupCommand


class Command(BackupCommand):
    help = (
        "Takes up what administrators ask for on the page of operations (a backfill, the proof of a backup), has the "
        "command of that name do it under this login, and writes there what came of it. Runs until it is ended. "
        "Exit code 3: another worker serves the database."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        words = "Do what waits now, and end; nothing, and no word of it, where another worker is there. For cron."
        parser.add_argument("--once", action="store_true", help=words)
        self.add_database(parser)
        self.add_database_identity(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        alias, once = options["database"], options["once"]
        identity = str(self.target(options))
        if not once:
            self.stderr.write("Waits for what is asked for on the page of operations. Ctrl-C ends it.")
        try:
            worker.serve(connections[alias], database=alias, identity=identity, tell=self.stdout.write, once=once)
        except requests.Busy:
            if not once:
                raise
