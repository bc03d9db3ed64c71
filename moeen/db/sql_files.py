"""The SQL files of an app as the transactions that they say they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from django.apps import apps as global_apps

from moeen.db.statements import split

_TRANSACTION = re.compile(r"^BEGIN;(?: -- (?P<table>\w+))?\n(?P<body>.*?)^COMMIT;\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Script:
    """The statements of one transaction; ``table`` is what they lock, so that they need not queue for it."""

    body: str
    table: str = ""


def read_scripts(text: str) -> tuple[Script, ...]:
    """The transactions of an SQL file: what stands between ``BEGIN; -- table`` and ``COMMIT;``, and what is outside."""
    found, end = [], 0
    for part in _TRANSACTION.finditer(text):
        found += [Script(text[end : part.start()]), Script(part["body"], part["table"] or "")]
        end = part.end()
    found.append(Script(text[end:]))
    return tuple(script for script in found if any(_says(line) for line in script.body.splitlines()))


def _says(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("--")


def paths(app_label: str, name: str) -> tuple[Path, Path]:
    """The two files that a RunSQLFile of this name runs: forwards, and for the way back."""
    folder = Path(global_apps.get_app_config(app_label).path) / "sql"
    return folder / f"{name}.sql", folder / f"{name}.reverse.sql"


def read_texts(app_label: str, name: str) -> tuple[str, str]:
    forward, backward = paths(app_label, name)
    return forward.read_text(encoding="utf-8"), backward.read_text(encoding="utf-8")


def statements(text: str) -> list[str]:
    return [statement.text for statement in split(text)]
