"""What the commands that run backfills share: options, a report, exit codes."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from moeen.db import backfill
from moeen.db.errors import FINDINGS
from sysadmin.management.arguments import jobs, positive
from sysadmin.management.json_output import as_json
from sysadmin.management.operator_command import OperatorCommand
from sysadmin.management.progress import Display


class BackfillCommand(OperatorCommand):
    """A command that surveys or runs the backfills that ``items`` names."""

    finalizes = True
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Change nothing; say what would be done.")
        parser.add_argument("--table", action="append", default=[], metavar="T", help="This table; may be repeated.")
        parser.add_argument(
            "--batch-size", type=positive, default=2000, metavar="N", help="Rows in the first batch (default: 2000)."
        )
        parser.add_argument(
            "--target-ms", type=positive, default=500, metavar="MS", help="How long a batch should take (default: 500)."
        )
        parser.add_argument("--max-rows-per-second", type=positive, metavar="N", help="Go no faster than this.")
        parser.add_argument("--workers", type=jobs, default=1, metavar="N", help="Connections (default: 1).")
        parser.add_argument("--pause-file", type=Path, metavar="F", help="Wait as long as this file exists.")
        parser.add_argument("--json", action="store_true", help="Print the result as one JSON object.")
        if self.finalizes:
            parser.add_argument("--no-finalize", action="store_true", help="Fill only; leave the column nullable.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, choices=tuple(connections), help="Which database.")

    def items(self, options: dict[str, Any]) -> Sequence[backfill.Backfill]:
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        connection, items = connections[options["database"]], self.items(options)
        if options["dry_run"]:
            surveys = backfill.survey(connection, items)
            report = backfill.Report(dry_run=True, tables=tuple(survey.report for survey in surveys))
            lines = [line for survey in surveys for line in survey.lines()]
        else:
            with Display(self.stderr) as display:
                report = backfill.run(connection, items, self._options(display, options))
            lines = [line for table in report.tables for line in table.lines()]
        # The result goes to stdout, what it means for people to stderr.
        self.stdout.write(as_json(report.as_dict()) if options["json"] else "\n".join(lines))
        if options["json"] and not report.complete and not report.dry_run:
            self.stderr.write("\n".join(lines))
        if not report.complete and not report.dry_run:
            raise SystemExit(FINDINGS)

    def _options(self, display: Display, options: dict[str, Any]) -> backfill.Options:
        quiet = options["verbosity"] == 0
        return backfill.Options(
            batch_size=options["batch_size"],
            target_ms=options["target_ms"],
            max_rows_per_second=options["max_rows_per_second"],
            workers=options["workers"],
            pause_file=options["pause_file"],
            finalize=not options.get("no_finalize", False),
            tell=(lambda line: None) if quiet else display.tell,
            progress=lambda now: None if quiet else display.show(now.table, now.filled, now.missing, words=_words(now)),
        )


def _words(now: backfill.Progress) -> str:
    """Rate and time left, or why it waits."""
    if now.note:
        return f"waiting: {now.note}"
    left = "" if now.eta is None else f", {int(now.eta) // 60}:{int(now.eta) % 60:02d} left"
    return f"{now.rate:,.0f} rows/s{left}"
