"""The log files: one JSON object a line, rotating, in the folder LOG_DIR names. No secrets, no rows.

Each line says which database it is about and which run of a command wrote it (`run`, some letters for each process).

A file is opened at its first line, so that commands which say nothing leave nothing behind. A folder that cannot be
written is no reason to fail: stderr says once that there is no log. Times are UTC.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import sys
import time
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path

from django.conf import settings
from pythonjsonlogger.json import JsonFormatter

MAX_BYTES = 5_000_000
BACKUPS = 5
_RUN = secrets.token_hex(4)
_database: Callable[[], str] = str


def about(database: Callable[[], str]) -> None:
    """What names the database of this process's lines; asked at each line, since settings may be malformed."""
    global _database
    _database = database


class _About(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.run = _RUN
        if not hasattr(record, "database"):
            record.database = _database()
        return True


class _File(RotatingFileHandler):
    """A disk that is full, or a file that is gone, is told in one line; what is being done goes on without its log."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the name is logging's)
        error = sys.exc_info()[1]
        _say_none(Path(self.baseFilename), error.strerror if isinstance(error, OSError) else type(error).__name__)
        self.setLevel(logging.CRITICAL + 1)  # once is enough


def _say_none(file: Path, why: str | None) -> None:
    sys.stderr.write(f"No log is kept: {file} cannot be written ({why}). See LOG_DIR.\n")


def logger(name: str) -> logging.Logger:
    """The logger that writes ``<LOG_DIR>/<name>.log``: migration, backfill, backup or validation."""
    log = logging.getLogger(f"moeen.file.{name}")
    if log.handlers:
        return log
    log.setLevel(logging.INFO)
    log.propagate = False
    folder = Path(settings.LOG_DIR)
    file = folder / f"{name}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = _File(file, maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8", delay=True)
        if not os.access(file if file.exists() else folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        _say_none(file, error.strerror)
        handler = logging.NullHandler()
    formatter = JsonFormatter(
        "%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%SZ",
        rename_fields={"asctime": "at", "levelname": "level"},
    )
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(_About())
    log.addHandler(handler)
    return log
