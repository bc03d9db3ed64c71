"""What the backup commands have in common: options, output as text or JSON."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

from moeen.db.backups import retention, store
from moeen.db.backups.login import Login
from moeen.db.backups.origin import Origin, refuse_unless
from moeen.db.backups.progress import Tell
from moeen.db.errors import FINDINGS, USAGE, MoeenError
from moeen.db.findings import Finding
from sysadmin.management import tables
from sysadmin.management.arguments import Reason
from sysadmin.management.json_output import as_json
from sysadmin.management.operator_command import OperatorCommand
from sysadmin.management.progress import Display

#: What the stages count, where it is not rows.
UNITS = {
    "files": "bytes",
    "compare": "tables",
    "seal": "entries",
    "verify": "entries",
    "prune": "entries",
    "pieces": "pieces",
}


class Found(SystemExit):
    """The command ended as it should, and has findings to report: exit code 3. `summary` says which, in a line."""

    def __init__(self, summary: str) -> None:
        super().__init__(FINDINGS)
        self.summary = summary


class BackupCommand(OperatorCommand):
    """`--json` prints one document to stdout; everything else that is said goes to stderr."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        self.add_store(parser, "--from")

    def add_store(self, parser: ArgumentParser, option: str) -> None:
        words = "an alias of STORAGES or a folder with a slash, in place of STORAGES['backups']"
        parser.add_argument(option, dest="store", default="", metavar="STORAGE", help=words)

    def place(self, options: Mapping[str, Any]) -> store.Store:
        """The storage to look in. A folder that --from names must stand: a misspelt one has no backups, either."""
        found = store.of(options["store"])
        if options["store"] and found.folder is not None and not found.folder.is_dir():
            raise MoeenError(f"There is no folder {found.folder}.", next_step="Correct --from.", exit_code=USAGE)
        return found

    def add_database(self, parser: ArgumentParser) -> None:
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="the alias of the database (DATABASES)")

    def add_identity(self, parser: ArgumentParser) -> None:
        words = "the file with the age or SSH secret key of an encrypted backup (BACKUP_IDENTITY)"
        parser.add_argument("--identity", type=Path, metavar="FILE", help=words)

    def add_of(self, parser: ArgumentParser) -> None:
        words = "a backup of that database is meant, not of the target"
        parser.add_argument("--of", default="", metavar="NAME", help=words)

    def add_database_identity(self, parser: ArgumentParser) -> None:
        words = (
            "SERVER_NUMBER/NAME, as print_schedule prints it: do nothing (3) in another, empty or unmigrated database"
        )
        parser.add_argument("--database-identity", default="", metavar="ID", help=words)

    def target(self, options: Mapping[str, Any]) -> Origin:
        """The database that the command is about; refused where --database-identity names another."""
        connection = connections[options["database"]]
        if options["database_identity"]:
            expected = Origin.parse(options["database_identity"])
            refuse_unless(Login.of_wrapper(connection), expected)
            return expected
        try:
            return Origin.of(Login.of_wrapper(connection))
        except OperationalError:
            # Its backups can be proven while it is down.
            return Origin(str(connection.settings_dict["NAME"]))

    def add_unsigned(self, parser: ArgumentParser) -> None:
        words = "also a backup that no known key has signed; say why, it is recorded"
        parser.add_argument("--unsigned", action=Reason, help=words)

    def print_json(self, document: Mapping[str, Any]) -> None:
        self.stdout.write(as_json(document, indent=None))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        for line in tables.lines(head, rows, width=tables.width_of(self.stdout)):
            self.stdout.write(line)

    @contextmanager
    def progress(self) -> Iterator[Tell]:
        """What takes the progress of a backup's stages."""
        with Display(self.stderr) as display:
            yield lambda stage, done, total: display.show(stage, done, total, unit=UNITS.get(stage, "rows"))


def summary(what: str, findings: Sequence[Finding]) -> str:
    """What is so, how many findings say it, and which the first ones are; not what was found, which is the output's."""
    first = ", ".join(f"{finding.kind} {finding.object}" for finding in findings[:5])
    return f"{what}: {len(findings)} findings: {first}{', ...' if len(findings) > 5 else ''}"


class PinningCommand(BackupCommand):
    """A command that says of one backup whether it is ``kept``, whatever prune_backups would say."""

    kept: bool

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("id", metavar="ID")
        parser.add_argument("--reason", action=Reason, metavar="TEXT", help="why; it is recorded. No patient data")

    def handle(self, *args: Any, **options: Any) -> None:
        place = self.place(options)
        name = place.resolve(options["id"])
        retention.pin(place, name, kept=self.kept, reason=options["reason"])
        if options["json"]:
            self.print_json({"id": name, "pinned": self.kept})
            return
        self.stdout.write(f"{name}  {'pinned' if self.kept else 'unpinned'}")


def size(number: int) -> str:
    """1234567 as `1.2 MB`."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
