"""`manage.py prune_audit_log`: entries that need not be kept any longer go; what remains stays provable."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.db import connections

from moeen.db.seals import pruning
from moeen.db.seals.anchor import FORM, Anchor
from sysadmin.management.backup_console import BackupCommand

_AGE = re.compile(r"([1-9][0-9]{0,2})y|([1-9][0-9]{0,4})d", re.ASCII)


def age(text: str) -> tuple[int, int]:
    """Years and days: `10y`, `3650d`."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no age such as 10y or 3650d")
    return int(found[1] or 0), int(found[2] or 0)


class Command(BackupCommand):
    help = (
        "Removes the entries of the audit log that are older, by whole seals, and leaves their hashes: the seals go on "
        "proving the rest. The log is proven first, and an entry and a seal say what was removed. How long "
        "entries must be kept is for the law to say."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        parser.add_argument("--older-than", type=age, required=True, metavar="AGE", help="10y, or 3650d")
        parser.add_argument("--dry-run", action="store_true", help="remove nothing, say what would go")
        words = f"where the seals are kept outside: {FORM} (AUDIT_ANCHOR)"
        parser.add_argument("--anchor", default="", metavar="FILE|URL", help=words)
        self.add_database(parser)
        self.add_database_identity(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["database_identity"]:
            self.target(options)
        place = options["anchor"] or settings.AUDIT_ANCHOR
        years, days = options["older_than"]
        with self.progress() as tell:
            done = pruning.prune(
                connections[options["database"]], years=years, days=days, anchor=Anchor(place) if place else None,
                dry_run=options["dry_run"], tell=tell,
            )  # fmt: skip
        if options["json"]:
            self.print_json(done.as_dict())
        elif not done.entries:
            self.stdout.write(f"No sealed entries from before {done.before:%Y-%m-%d} stand whole seals long.")
        else:
            what = "would be removed" if done.dry_run else "removed"
            words = f"{done.entries:,} entries from before {done.before:%Y-%m-%d} {what}: those of seals up to"
            self.stdout.write(f"{words} {done.through}.")
