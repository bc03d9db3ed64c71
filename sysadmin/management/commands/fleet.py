"""`manage.py fleet status`: many clinics, each a database of its own."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings

from moeen.db.backups import store
from moeen.db.fleet import clinics, status
from moeen.db.fleet.memory import Memory
from sysadmin.management import fleet_console
from sysadmin.management.backup_console import BackupCommand, Found


class Command(BackupCommand):
    help = (
        "Looks after many clinics, which a file names (docs/fleet.md). status: how each stands, those out of step "
        "first: version, migrations to go, drift, newest backup and its proof, last failure. Exit code 3 when a clinic "
        "is out of step, unreachable, or cannot be looked at."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=("status",))
        words = "only clinics with this tag or name; may be repeated"
        parser.add_argument("--where", action="append", default=[], metavar="TAG", help=words)
        words = "the file that names the clinics (FLEET_FILE; fleet.toml in the project)"
        parser.add_argument("--fleet", type=Path, metavar="FILE", help=words)
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        self.add_store(parser, "--from")

    def handle(self, *args: Any, **options: Any) -> None:
        fleet = clinics.read(options["fleet"] or settings.FLEET_FILE).where(options["where"])
        getattr(self, options["action"])(fleet, options)

    def status(self, fleet: clinics.Fleet, options: dict[str, Any]) -> None:
        memory = Memory(Path(settings.BASE_DIR) / ".moeen" / "fleet.json")
        report = status.look(fleet, store=store.of(options["store"]), memory=memory)
        if options["json"]:
            self.print_json(report.as_dict())
        else:
            self.table(fleet_console.STATUS, [fleet_console.status_row(one) for one in report.clinics])
        for warning in report.warnings:
            self.stderr.write(f"Warning: {warning}")
        self.stderr.write(report.pretty())
        if not report.ok:
            raise Found(report.pretty())
