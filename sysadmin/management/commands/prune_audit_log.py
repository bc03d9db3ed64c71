"""`manage.py prune_audit_log`: entries that need not be kept any longer go; what remains stays provable."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.db import connections

from moeen.db.seals import pruning
from sysadmin.management.seal_console import SealCommand

_AGE = re.compile(r"([1-9][0-9]{0,2})y|([1-9][0-9]{0,4})d", re.ASCII)


def age(text: str) -> tuple[int, int]:
    """Years and days: `10y`, `3650d`."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no age such as 10y or 3650d")
    return int(found[1] or 0), int(found[2] or 0)


class Command(SealCommand):
    help = (
        "Removes the entries of the audit log that are older, by whole seals, and leaves their hashes: the seals go on "
        "proving the rest. The log is proven first, and an entry and a seal say what was removed. How long "
        "entries must be kept is for the law to say."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--older-than", type=age, required=True, metavar="AGE", help="10y, or 3650d")
        parser.add_argument("--dry-run", action="store_true", help="remove nothing, say what would go")

    def handle(self, *args: Any, **options: Any) -> None:
        anchor = self.anchor(options)
        years, days = options["older_than"]
        with self.progress() as tell:
            done = pruning.prune(
                connections[options["database"]], years=years, days=days, anchor=anchor,
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
