"""What the commands about seals of the audit log share: the database, and where the seals are kept outside of it."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from moeen.db.seals.anchor import FORM, Anchor
from sysadmin.management.backup_console import BackupCommand


class SealCommand(BackupCommand):
    """`anchor_help` says what the place is for."""

    anchor_help = "where the seals are kept outside"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        words = f"{self.anchor_help}: {FORM} (AUDIT_ANCHOR)"
        parser.add_argument("--anchor", default="", metavar="FILE|URL", help=words)
        self.add_database(parser)
        self.add_database_identity(parser)

    def anchor(self, options: Mapping[str, Any]) -> Anchor | None:
        """Where the seals are kept outside, None for nowhere; refused where --database-identity names another."""
        if options["database_identity"]:
            self.target(options)
        place = options["anchor"] or settings.AUDIT_ANCHOR
        return Anchor(place) if place else None
