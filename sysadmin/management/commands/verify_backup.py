"""`manage.py verify_backup`: a backup is restored into a throwaway server and compared with its manifest."""

from __future__ import annotations

from argparse import ArgumentParser
from contextlib import suppress
from typing import Any

from django.db import connections

from moeen.db import backups
from moeen.db.backups import origin, verify
from moeen.db.backups.manifest import Damaged
from moeen.db.errors import shown
from sysadmin.management.arguments import jobs
from sysadmin.management.backup_console import BackupCommand, Found, summary


class Command(BackupCommand):
    help = "Restores a backup into a throwaway server and compares every count, digest, policy, grant and index."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("id", metavar="ID|latest")
        parser.add_argument("--against-live", action="store_true", help="compare with the database as it is now, too")
        parser.add_argument("--jobs", type=jobs, metavar="N", help="restore with so many parallel jobs")
        self.add_identity(parser)
        self.add_unsigned(parser)
        self.add_database(parser)
        self.add_of(parser)
        self.add_database_identity(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        place = self.place(options)
        live = connections[options["database"]] if options["against_live"] else None
        name = options["id"]
        if name == origin.LATEST or options["database_identity"]:
            target = self.target(options)
            name = origin.chosen(place, name, target=target, of=options["of"])
            if options["database_identity"]:
                with suppress(Damaged):  # whose it is nobody can tell; the proof says that it is damaged
                    origin.refuse_another(place.manifest(name), target, of=options["of"])
        else:
            name = place.resolve(name)
        identity = options["identity"] or backups.default_identity()
        with self.progress() as tell:
            report = verify.prove(
                place, name, identity=identity, live=live, jobs=options["jobs"],
                unsigned=options["unsigned"], tell=tell,
            )  # fmt: skip
        if options["json"]:
            self.print_json(report.as_dict())
        else:
            for finding in report.findings:
                self.stdout.write(shown(finding.pretty()))
            for note in report.notes:
                self.stderr.write(shown(note))
            counts = ", ".join(f"{number:,} {kind}" for kind, number in report.checked.items() if number)
            self.stdout.write(f"{report.id}  {'verified' if report.ok else 'NOT VERIFIED'}  ({report.seconds:.1f} s)")
            self.stdout.write(f"checked: {counts}")
        if not report.ok:
            raise Found(summary(f"{report.id} is NOT VERIFIED", report.findings))
