"""`manage.py print_schedule`: entries for cron and systemd, ready to paste."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings

from moeen.db.backups.schedule import schedule
from sysadmin.management.backup_console import BackupCommand


class Command(BackupCommand):
    help = "Prints cron lines and a systemd timer that back up, verify and prune every night. Installs nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        parser.add_argument("--hour", type=int, choices=range(24), default=2, metavar="0-23")

    def handle(self, *args: Any, **options: Any) -> None:
        made = schedule(Path(settings.BASE_DIR), hour=options["hour"])
        if options["json"]:
            self.print_json({"cron": made.cron, "systemd": made.units})
            return
        self.stdout.write(f"# --- cron: crontab -e\n{made.cron}")
        for name, text in made.units.items():
            self.stdout.write(f"# --- systemd: /etc/systemd/system/{name}\n{text}")
        self.stdout.write("# then: systemctl daemon-reload && systemctl enable --now moeen-backup.timer")
