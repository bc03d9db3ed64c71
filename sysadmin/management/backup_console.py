"""What the backup commands have in common: options, output as text or JSON, progress with an estimate."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DEFAULT_DB_ALIAS
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from moeen.db.backups.progress import Tell
from moeen.db.errors import FINDINGS

LINE_SECONDS = 2.0


class Found(SystemExit):
    """The command ended as it should, and has findings to report: exit code 3."""

    def __init__(self) -> None:
        super().__init__(FINDINGS)


class BackupCommand(BaseCommand):
    """`--json` prints one document to stdout; everything else that is said goes to stderr."""

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        self.add_store(parser, "--from")

    def add_store(self, parser: ArgumentParser, option: str) -> None:
        words = "an alias of STORAGES or a folder with a slash, in place of STORAGES['backups']"
        parser.add_argument(option, dest="store", default="", metavar="STORAGE", help=words)

    def add_database(self, parser: ArgumentParser) -> None:
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="the alias of the database (DATABASES)")

    def add_identity(self, parser: ArgumentParser) -> None:
        words = "the file with the age or SSH secret key of an encrypted backup (BACKUP_IDENTITY)"
        parser.add_argument("--identity", type=Path, metavar="FILE", help=words)

    def print_json(self, document: Mapping[str, Any] | Sequence[Any]) -> None:
        self.stdout.write(json.dumps(document, ensure_ascii=False))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
        for row in (head, *rows):
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write(line.rstrip())

    @contextmanager
    def progress(self) -> Iterator[Tell]:
        """A bar on a terminal; off it a plain line every two seconds."""
        if sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            with Progress(*columns, console=Console(stderr=True)) as bar:
                tasks: dict[str, Any] = {}

                def draw(stage: str, done: int, total: int) -> None:
                    if stage not in tasks:
                        tasks[stage] = bar.add_task(stage, total=total)
                    bar.update(tasks[stage], completed=done, total=total)

                yield draw
        else:
            yield Lines(self.stderr.write)


class Lines:
    """`backup 1200/9000 rows, about 8 s left`: at most every two seconds, and the last line of each stage."""

    UNITS = {"files": "bytes", "compare": "tables"}

    def __init__(self, write: Callable[[str], object], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._began: dict[str, float] = {}
        self._last = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = self._clock()
        began = self._began.setdefault(stage, now)
        if now - self._last < LINE_SECONDS and not (done >= total and now - began >= LINE_SECONDS):
            return
        self._last = now
        left = f", about {(now - began) * (total - done) / done:.0f} s left" if 0 < done < total else ""
        self._write(f"{stage} {done}/{total} {self.UNITS.get(stage, 'rows')}{left}")


def size(number: int) -> str:
    """1234567 as `1.2 MB`."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def whole(text: str) -> int:
    """An argument that is a whole number from 0 on."""
    if not text.isascii() or not text.isdigit():
        raise ArgumentTypeError("a whole number from 0 on is wanted")
    return int(text)


def positive(text: str) -> int:
    if whole(text) == 0:
        raise ArgumentTypeError("a whole number from 1 on is wanted")
    return int(text)
