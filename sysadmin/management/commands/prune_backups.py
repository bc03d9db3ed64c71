"""`manage.py prune_backups`: old backups go, by days, weeks and months; the last proven one never."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from moeen.db.backups import retention
from moeen.db.errors import shown_on_a_line
from sysadmin.management.arguments import whole
from sysadmin.management.backup_console import BackupCommand, size


class Command(BackupCommand):
    help = (
        "Lists the backups that no rule keeps, and deletes them. The newest and the last verified one always stay, and "
        "so do pinned ones, the one from before the project took the database over, and for 30 days those from before "
        "a change; see pin_backup and unpin_backup."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--keep-daily", type=whole, default=7, metavar="N", help="the newest of N days (7)")
        parser.add_argument("--keep-weekly", type=whole, default=4, metavar="N", help="the newest of N weeks (4)")
        parser.add_argument("--keep-monthly", type=whole, default=12, metavar="N", help="the newest of N months (12)")
        parser.add_argument("--dry-run", action="store_true", help="delete nothing, say what would go")

    def handle(self, *args: Any, **options: Any) -> None:
        place = self.place(options)
        gone = retention.doomed(
            retention.entries(place), daily=options["keep_daily"], weekly=options["keep_weekly"],
            monthly=options["keep_monthly"],
        )  # fmt: skip
        if not options["json"]:
            for entry in gone:
                self.stdout.write(
                    f"{entry.id}  {shown_on_a_line(entry.database)}  {entry.purpose}  {size(entry.bytes)}"
                )
        if not options["dry_run"]:
            left = {entry.id for entry in gone}
            gone = retention.delete(place, gone)
            for backup_id in sorted(left - {entry.id for entry in gone}):
                self.stderr.write(f"{backup_id} is being restored or verified, and stays for now.")
        if options["json"]:
            self.print_json({"dry_run": options["dry_run"], "deleted": [entry.id for entry in gone]})
            return
        what = "would be deleted" if options["dry_run"] else "deleted"
        self.stderr.write(f"{len(gone)} backups {what}, {size(sum(entry.bytes for entry in gone))}.")
