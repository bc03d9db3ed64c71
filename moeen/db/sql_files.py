"""The SQL files of an app as the transactions that they say they are."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
