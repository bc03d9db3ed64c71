"""`manage.py remint_public_ids --form dated`: new public ids in place of those that can be guessed."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from moeen.db import backfill, registry
from sysadmin.management.backfills import BackfillCommand


class Command(BackfillCommand):
    help = (
        "Gives rows with public ids of an older, guessable form new ones. The old ids are kept as aliases, so that old "
        "links still resolve. The audit log is append-only: its entries keep theirs. Try --dry-run first. Stopped or "
        "killed, it goes on where it was when run again."
    )
    finalizes = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--form", required=True, choices=["dated", "legacy"], help="The form to be replaced.")
        super().add_arguments(parser)

    def items(self, options: dict[str, Any]) -> Sequence[backfill.Backfill]:
        found = backfill.remint_backfills(options["form"], options["table"])
        if not options["table"] and options["verbosity"]:
            for table in sorted(registry.facts().append_only):
                self.stderr.write(backfill.kept_words(table))
        return found
