"""The log files: one JSON object a line, rotating, in the folder LOG_DIR names. No secrets, no rows.

A file is opened at its first line, so that commands which say nothing leave nothing behind. A folder that cannot be
made is no reason to fail: there is no log then.
"""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

from django.conf import settings
from pythonjsonlogger.json import JsonFormatter

MAX_BYTES = 5_000_000
BACKUPS = 5


def logger(name: str) -> logging.Logger:
    """The logger that writes ``<LOG_DIR>/<name>.log``: migration, backfill, backup or validation."""
    log = logging.getLogger(f"moeen.file.{name}")
    if log.handlers:
        return log
    log.setLevel(logging.INFO)
    log.propagate = False
    folder = Path(settings.LOG_DIR)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = RotatingFileHandler(
            folder / f"{name}.log", maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8", delay=True
        )
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(
        JsonFormatter("%(asctime)s %(levelname)s %(message)s", rename_fields={"asctime": "at", "levelname": "level"})
    )
    log.addHandler(handler)
    return log
