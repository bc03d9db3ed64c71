"""`manage.py list_backups`: what there is, and what about it is worrying."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connections

from moeen.db.archiving import standing
from moeen.db.backups import retention, trust
from moeen.db.backups.origin import Origin
from sysadmin.management.backup_console import BackupCommand, Found, size


class Command(BackupCommand):
    help = (
        "Lists the backups. Exit code 3 when the newest of the database is older than BACKUP_MAX_AGE hours, unproven "
        "or suspect."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        self.add_database(parser)
        self.add_database_identity(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        found = retention.entries(self.place(options))
        identity = options["database_identity"]
        of = Origin.parse(identity) if identity else Origin.of_wrapper(connections[options["database"]])
        warnings = retention.warnings(found, of, max_age=timedelta(hours=settings.BACKUP_MAX_AGE))
        archive = standing.look(connections[options["database"]])
        warnings += [f"archive: {worry}" for worry in archive.worries]
        if options["json"]:
            entries = [entry.as_dict() for entry in found]
            self.print_json({"backups": entries, "warnings": warnings, "archive": archive.as_dict()})
        elif found:
            head = (
                "ID",
                "TIME (UTC)",
                "DATABASE",
                "SIZE",
                "ROWS",
                "ENCRYPTED",
                "SIGNED",
                "VERIFIED",
                "KEPT FOR",
                "LABEL",
            )
            self.table(head, [self._row(entry) for entry in found])
        if archive.on or archive.spans:
            self.stderr.write(f"Archive: {archive.pretty()}.")
        for warning in warnings:
            self.stderr.write(f"Warning: {warning}")
        if warnings:
            raise Found("\n".join(warnings))

    @staticmethod
    def _row(entry: retention.Entry) -> tuple[str, ...]:
        verified = "never" if entry.verified_ok is None else entry.verified_at[:16].replace("T", " ")
        verified = "FAILED" if entry.verified_ok is False else verified
        signed = {trust.SIGNED: "yes", trust.UNSIGNED: "no", trust.WRONG: "WRONG"}.get(entry.signature, "?")
        purpose = f"{entry.purpose}{', pinned' if entry.pinned else ''}"
        lock = "yes" if entry.encrypted else "no"
        rest = (size(entry.bytes), f"{entry.rows:,}", lock, signed, verified, purpose, entry.label)
        if entry.damage:
            rest = ("", "", "", "", "DAMAGED", "", entry.damage)
        return (entry.id, f"{entry.created_at:%Y-%m-%d %H:%M}", entry.database, *rest)
