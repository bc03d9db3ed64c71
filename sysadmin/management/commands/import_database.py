"""`manage.py import_database`: rows of a database of another shape, by a mapping that people can read."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from moeen.db import backups, importing
from moeen.db.errors import FINDINGS, USAGE, MoeenError, of_file
from moeen.db.importing import Check, Receipt
from sysadmin.management.arguments import whole
from sysadmin.management.json_output import as_json
from sysadmin.management.operator_command import OperatorCommand
from sysadmin.management.progress import Display


class Command(OperatorCommand):
    help = (
        "Carries the rows of another PostgreSQL database over into this one, which is migrated and empty or holds an "
        "earlier run of the same import. Where each table and column comes from says a mapping, a TOML file: --propose "
        "writes a first one, --check tries it; docs/import.md tells how to get from a first look to the switch. The "
        "other database is read in one snapshot and never written. Run again, it carries over what changed since. Exit "
        "code 0: done and proven; 2: the mapping or the command line is wrong; 3: rows or columns are open to decide, "
        "and nothing was changed."
    )
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        words = "the other database: env:VARIABLE or file:PATH that holds its URL, or the URL, which everybody sees"
        parser.add_argument("--from", dest="url", required=True, metavar="URL", help=words)
        words = "the mapping; with --propose where to write it, or - to print it"
        parser.add_argument("--map", required=True, type=Path, metavar="FILE", help=words)
        one_of = parser.add_mutually_exclusive_group()
        words = "write a first mapping, with how sure each line is and what is to be decided"
        one_of.add_argument("--propose", action="store_true", help=words)
        words = "with --propose: the schema of the other database (default: public)"
        parser.add_argument("--schema", metavar="NAME", help=words)
        words = "write nothing; say what would come over, what would be refused, and what the mapping does not tell of"
        one_of.add_argument("--check", action="store_true", help=words)
        words = "go on although so many rows are refused (default: 0); they are in the file of --rejects"
        parser.add_argument("--max-rejects", type=whole, default=0, metavar="N", help=words)
        words = "go on although so many rows that came before are gone where a table has lost most (default: 0)"
        parser.add_argument("--max-gone", type=whole, default=0, metavar="N", help=words)
        words = "take rows anew that were changed or deleted here since they came"
        parser.add_argument("--retake", action="store_true", help=words)
        words = "where refused rows are written, encrypted where backups are (default: in .moeen/imports)"
        parser.add_argument("--rejects", type=Path, metavar="FILE", help=words)
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        parser.add_argument(
            "--database", default=DEFAULT_DB_ALIAS, choices=tuple(connections), help="into which database"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        connection, url = connections[options["database"]], importing.url_of(options["url"])
        if options["propose"]:
            self._propose(connection, url, options)
            return
        if options["schema"] is not None:
            step = f'Write it into {options["map"].name}: schema = "{options["schema"]}".'
            raise MoeenError("--schema belongs to --propose.", next_step=step, exit_code=USAGE)
        with Display(self.stderr) as display:
            told = display.show if options["verbosity"] else lambda stage, done, total: None
            if options["check"]:
                found = importing.check(
                    connection, url, options["map"], told=told, retake=options["retake"], max_gone=options["max_gone"]
                )
                lines, ok, document = _of_check(found), not found.findings, found.as_dict()
            else:
                wanted = importing.Options(
                    rejects=options["rejects"] or _rejects_file(), max_rejects=options["max_rejects"],
                    max_gone=options["max_gone"], retake=options["retake"],
                    recipients=backups.default_recipients(), told=told,
                )  # fmt: skip
                done = importing.run(connection, url, options["map"], wanted)
                lines, ok, document = _of_receipt(done), done.ok, done.as_dict()
        self.stdout.write(as_json(document) if options["json"] else "\n".join(lines))
        if not ok:
            raise SystemExit(FINDINGS)

    def _propose(self, connection: Any, url: str, options: dict[str, Any]) -> None:
        words = importing.Words.load(Path(settings.BASE_DIR) / "moeen" / "synonyms.toml")
        made, text = importing.propose(
            connection, url, words, schema=options["schema"] or "public", zone=settings.TIME_ZONE
        )
        if str(options["map"]) == "-":
            self.stdout.write(text, ending="")
            return
        try:
            with options["map"].open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError as error:
            step = "Name another file, or remove this one: what people decided in it would be lost."
            raise MoeenError(f"{options['map']} is there already.", next_step=step, exit_code=USAGE) from error
        except OSError as error:
            step = "Name a file in a folder that this user may write."
            cause = f"{options['map']} cannot be written: {of_file(error)}."
            raise MoeenError(cause, next_step=step, exit_code=USAGE) from error
        document = {"map": str(options["map"]), "placed": made.placed, "open": made.open}
        told = f"{options['map']}: {made.placed} columns have a place, {made.open} lines are to be decided"
        self.stdout.write(as_json(document) if options["json"] else told)


def _rejects_file() -> Path:
    return Path(settings.BASE_DIR) / ".moeen" / "imports" / f"rejects-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl"


def _of_check(found: Check) -> list[str]:
    lines = [finding.pretty() for finding in found.findings]
    for one in found.tables:
        counts = one.counts
        writes = f"{counts.new:,} new, {counts.changed:,} changed, {counts.gone:,} gone, {counts.same:,} the same"
        lines.append(f"{one.table}: {counts.read:,} rows in; {writes}; {counts.refused:,} refused")
    open_ones = f"{len(found.findings)} things are open" if found.findings else "nothing is open"
    if found.is_sample:
        open_ones += " in some rows of each table; all rows are looked at when none of it is open"
    return [*lines, f"{found.source}: {open_ones}; nothing was written ({found.seconds:.1f} s)"]


def _of_receipt(done: Receipt) -> list[str]:
    lines = [finding.pretty() for finding in done.findings]
    for one in done.tables:
        counts = one.counts
        verdict = "proven" if one.ok else "NOT AS IT WAS READ"
        if one.unresolved:
            verdict += f"; {one.unresolved:,} old keys or public ids lead to no row: it was deleted here"
        if one.altered:
            more = ", ..." if one.altered > len(one.altered_keys) else ""
            verdict += f"; {one.altered:,} changed here since they came, old keys {', '.join(one.altered_keys)}{more}"
        if one.unresolved or one.altered:
            verdict += " (--retake takes them anew)"
        lines.append(
            f"{one.table}: {counts.read:,} rows in; {counts.new:,} new, {counts.changed:,} changed, "
            f"{counts.gone:,} gone, {counts.refused:,} refused; {one.standing.rows:,} stand, "
            f"digest {one.standing.sum}: {verdict}"
        )
    phases = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in done.phases.items())
    if done.rejects:
        lines.append(f"Refused rows: {done.rejects}")
    verdict = "imported and proven" if done.ok else "imported, NOT PROVEN"
    lines.append(f"Run again before the switch: at most some {done.again:.0f} s, and what changed meanwhile")
    return [*lines, f"{done.source}: {verdict} in {done.seconds:.1f} s ({phases}); receipt {done.id} in import_runs"]
