"""What the commands share that look entries of the audit log up: options, and entries as a table, JSON or CSV."""

from __future__ import annotations

import csv
import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from moeen.db import public_ids
from moeen.db.errors import USAGE, MoeenError
from sysadmin.management import tables
from sysadmin.management.arguments import positive
from sysadmin.management.json_output import as_json
from sysadmin.management.operator_command import OperatorCommand
from sysadmin.trail import Entry


def moment(text: str) -> datetime:
    """`2026-11-22` or `2026-11-22T10:30`, in the clinic's time zone where it says none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no date or time such as 2026-11-22 or 2026-11-22T10:30") from error
    return found if found.tzinfo else timezone.make_aware(found)


class TrailCommand(OperatorCommand):
    """Entries on stdout, newest first; everything else on stderr. Exit code 2 for a row that nobody knows."""

    #: Heading of a column of the table -> what stands in it.
    columns: Mapping[str, Any] = {}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", type=moment, metavar="TIME", help="from this day or time on: 2026-11-22")
        parser.add_argument("--until", type=moment, metavar="TIME", help="before this day or time")
        parser.add_argument("--limit", type=positive, metavar="N", help="so many of the newest")
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help="print one JSON document")
        form.add_argument("--csv", action="store_true", help="print comma-separated values, times in UTC")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="the alias of the database (DATABASES)")

    def row_id(self, words: str, using: str) -> UUID:
        """The key of a row, by public id (a former one too) or uuid."""
        try:
            return UUID(words)
        except ValueError:
            pass
        try:
            return UUID(str(public_ids.look_up(words, using=using).pk))
        except ObjectDoesNotExist as error:
            raise MoeenError(
                f"No row bears {words!r}.",
                next_step="Say its uuid, if it is gone.",
                exit_code=USAGE,
            ) from error

    def show(self, entries: Sequence[Entry], options: Mapping[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(as_json({"entries": [entry.as_dict() for entry in entries]}))
            return
        if options["csv"]:
            names = list(entries[0].as_dict()) if entries else ["id", "at"]
            writer = csv.DictWriter(self.stdout, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows({name: _cell(value) for name, value in entry.as_dict().items()} for entry in entries)
            return
        rows = [[_word(tell(entry)) for tell in self.columns.values()] for entry in entries]
        for line in tables.lines(list(self.columns), rows, width=tables.width_of(self.stdout)) if rows else ():
            self.stdout.write(line)
        limit = options["limit"]
        more = f" (the newest {limit}: --limit)" if limit is not None and len(entries) == limit else ""
        self.stderr.write(f"{len(entries)} entries{more}.")


def local(entry: Entry) -> str:
    return f"{timezone.localtime(entry.at):%Y-%m-%d %H:%M:%S}"


def _word(value: Any) -> str:
    """On one line: what people wrote must not be able to look like another entry."""
    return " ".join(str(value or "-").split())


def _cell(value: Any) -> str:
    """A text that a spreadsheet would take for a formula is one no more; before and after are JSON."""
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
