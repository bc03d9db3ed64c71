"""`manage.py seal_audit_log`: what has come to the audit log is hashed, chained to the last seal, and kept outside."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.db import connections

from moeen.db.seals import sealing
from moeen.db.seals.anchor import FORM, Anchor
from sysadmin.management.backup_console import BackupCommand


class Command(BackupCommand):
    help = (
        "Seals the entries of the audit log that have come since the last seal: whoever changes, removes or adds one "
        "later is found by verify_audit_log. Writers wait for nothing. Run it every few minutes (print_schedule): what "
        "is not sealed yet is not protected."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        words = f"also keep the seals outside: {FORM} (AUDIT_ANCHOR)"
        parser.add_argument("--anchor", default="", metavar="FILE|URL", help=words)
        words = "the anchor has later seals than the database, which was restored: say so, it is sealed"
        parser.add_argument("--lost", default="", metavar="REASON", help=words)
        self.add_database(parser)
        self.add_database_identity(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["database_identity"]:
            self.target(options)
        place = options["anchor"] or settings.AUDIT_ANCHOR
        with self.progress() as tell:
            done = sealing.make(
                connections[options["database"]],
                anchor=Anchor(place) if place else None,
                lost=options["lost"],
                tell=tell,
            )
        if options["json"]:
            self.print_json(done.as_dict())
            return
        if done.newest is None:
            self.stdout.write("Nothing to seal: the audit log is empty.")
            return
        what = f"{done.entries:,} entries sealed" if done.seals else "Nothing new to seal"
        newest = done.newest
        self.stdout.write(f"{what}. Seal {newest.number} of {newest.sealed_at:%Y-%m-%d %H:%M:%S} UTC  {newest.hash}")
        if done.waiting:
            self.stderr.write(f"{done.waiting:,} newer entries wait for transactions that still run.")
        if not done.signed:
            self.stderr.write("Not signed, since there is no key: manage.py make_backup_keys.")
        if not place:
            self.stderr.write("Kept in the database alone, whose owner could make all seals anew: see --anchor.")
