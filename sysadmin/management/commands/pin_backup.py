"""`manage.py pin_backup`: keeps a backup until it is unpinned, whatever prune_backups would say."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from moeen.db.backups import retention, store
from sysadmin.management.backup_console import BackupCommand


class Command(BackupCommand):
    help = "Keeps a backup until it is unpinned, whatever prune_backups would say."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("id", metavar="ID")
        parser.add_argument("--reason", default="", metavar="TEXT", help="why; it is recorded. No patient data")

    def handle(self, *args: Any, **options: Any) -> None:
        place = store.of(options["store"])
        name = place.resolve(options["id"])
        retention.pin(place, name, kept=True, reason=options["reason"])
        if options["json"]:
            self.print_json({"id": name, "pinned": True})
            return
        self.stdout.write(f"{name}  pinned")
