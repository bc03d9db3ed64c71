"""`manage.py print_schedule`: entries for cron and systemd, ready to paste."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings

from moeen.db.backups.schedule import misread, schedule
from moeen.db.codes import Code
from moeen.db.errors import USAGE, MoeenError, of_file
from sysadmin.management.backup_console import BackupCommand


class Command(BackupCommand):
    help = (
        "Prints cron lines and systemd timers that back up, verify and prune every night, look at the installation "
        "every day, seal the audit log every ten minutes, and do what administrators ask for on their page. Installs "
        "nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        self.add_database(parser)
        words = "a file of settings (NAME=value) that the lines read first; keep passwords in it (mode 0600)"
        parser.add_argument("--environment-file", type=Path, metavar="FILE", help=words)
        parser.add_argument("--hour", type=int, choices=range(24), default=2, metavar="0-23")

    @staticmethod
    def _refuse_misread(environment: Path) -> None:
        """Values are secrets, and not shown."""
        try:
            numbers = misread(environment.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise MoeenError(
                f"{environment} cannot be read: {of_file(error)}.",
                next_step="Name a file that this user may read: the lines read it every night.",
                exit_code=USAGE,
            ) from error
        if numbers:
            which = ", ".join(map(str, numbers))
            raise MoeenError(
                f"Line {which} of {environment} would be read by cron's shell or by systemd as something else.",
                next_step="Write NAME='value', in single quotes, without spaces around the sign.",
                exit_code=USAGE,
            )

    def handle(self, *args: Any, **options: Any) -> None:
        options["database_identity"] = ""
        target = self.target(options)
        if not target.system:
            raise MoeenError("The database cannot be reached, so the lines could not name it.",
                             next_step="Start it, then print the schedule.", code=Code.NO_SERVER)  # fmt: skip
        environment = options["environment_file"]
        if environment is None and "DATABASE_URL" in os.environ:
            self.stderr.write(
                "Warning: DATABASE_URL comes from this shell, which cron and systemd do not have. Put it into .env, or "
                "into a file that its owner alone reads: --environment-file FILE."
            )
        if environment is not None:
            self._refuse_misread(environment)
        made = schedule(
            Path(settings.BASE_DIR), database=str(target), hour=options["hour"],
            environment=environment.absolute() if environment else None,
        )  # fmt: skip
        if options["json"]:
            self.print_json({"cron": made.cron, "systemd": made.units})
            return
        self.stdout.write(f"# --- cron: crontab -e\n{made.cron}")
        for name, text in made.units.items():
            self.stdout.write(f"# --- systemd: /etc/systemd/system/{name}\n{text}")
        self.stdout.write(
            "# then: systemctl daemon-reload && "
            "systemctl enable --now moeen-backup.timer moeen-seal.timer moeen-look.timer moeen-work.service"
        )
