"""`manage.py seal_audit_log`: what has come to the audit log is hashed, chained to the last seal, and kept outside."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.db import connections

from moeen.db.seals import sealing
from sysadmin.management.arguments import Reason
from sysadmin.management.seal_console import SealCommand


class Command(SealCommand):
    help = (
        "Seals the entries of the audit log that have come since the last seal: whoever changes, removes or adds one "
        "later is found by verify_audit_log. Writers wait for nothing. Run it every few minutes (print_schedule): what "
        "is not sealed yet is not protected."
    )

    anchor_help = "also keep the seals outside"

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        words = "the anchor has later seals than the database, which was restored: say so, it is sealed"
        parser.add_argument("--lost", action=Reason, help=words)
        words = "why the log's triggers, or what they record, were touched, as verify_audit_log says: it is sealed"
        parser.add_argument("--explain", action=Reason, help=words)

    def handle(self, *args: Any, **options: Any) -> None:
        anchor = self.anchor(options)
        with self.progress() as tell:
            done = sealing.make(
                connections[options["database"]],
                anchor=anchor,
                lost=options["lost"],
                explain=options["explain"],
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
        if anchor is None:
            self.stderr.write("Kept in the database alone, whose owner could make all seals anew: see --anchor.")
