"""`manage.py backup_database`: a consistent dump with a manifest to prove it by."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.db import connections

from moeen.db import backups
from moeen.db.backups import dump, store
from sysadmin.management.arguments import jobs
from sysadmin.management.backup_console import BackupCommand, size


class Command(BackupCommand):
    help = "Backs up the database with a manifest: counts, digests and every object, from the dump's own snapshot."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        parser.add_argument("--jobs", type=jobs, metavar="N", help="dump with so many parallel jobs (by size)")
        parser.add_argument("--label", default="", metavar="TEXT", help="a word on what it is for; no patient data")
        parser.add_argument("--encrypt-to", action="append", metavar="AGE_RECIPIENT",
                            help="encrypt to this recipient; repeat for several (BACKUP_RECIPIENTS)")  # fmt: skip
        self.add_store(parser, "--to")
        self.add_database(parser)
        self.add_database_identity(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["database_identity"]:
            self.target(options)
        recipients = options["encrypt_to"] or backups.default_recipients()
        with self.progress() as tell:
            done = dump.take(
                connections[options["database"]], store=store.of(options["store"]), jobs=options["jobs"],
                label=options["label"], recipients=recipients, tell=tell,
            )  # fmt: skip
        if done.left_out:
            self.stderr.write(f"Left out, as they belong to another role: schema {', '.join(done.left_out)}.")
        if options["json"]:
            self.print_json(done.as_dict())
            return
        lock = ", encrypted" if done.encrypted else ""
        self.stdout.write(f"{done.id}  {done.rows:,} rows, {size(done.bytes)}{lock}, {done.seconds:.1f} s")
        self.stdout.write(f"in {done.path}")
        self.stderr.write(f"Next: manage.py verify_backup {done.id}")
