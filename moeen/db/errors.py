"""Errors for people: one message with the cause and the next step, and the exit code that goes with it.

`MoeenError` is what the toolkit raises when it knows what is wrong; `explain` makes one of what others raise.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured

from moeen.db.codes import Code

DONE = 0
FAILED = 1
USAGE = 2
FINDINGS = 3
INTERRUPTED = 130
#: What to do where a database lacks what migrate makes.
MIGRATE_FIRST = (
    "If DATABASE_URL names the intended database, it is not migrated: `manage.py validate_schema --adoption` says what "
    "`manage.py migrate` will do to it."
)
DATABASE_URL_FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require"


#: What a terminal obeys, and what shows text in another order than it has.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """The text for a terminal: names come from databases, files and backups, and none of them steers it."""
    return _STEERING.sub("?", text)


def shown_on_a_line(text: str) -> str:
    """The same, of what is no text of several lines: none of them can pass for one of ours."""
    return shown(text).replace("\n", "?")


def of_file(error: OSError | UnicodeError) -> str:
    """Why a file cannot be read or written, in the system's words."""
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else "it is no UTF-8 text"


class MoeenError(Exception):
    """A failure with its cause and the next step, in words an operator can act on.

    `cause` and `next_step` are complete sentences without secrets, as `shown` has them; `exit_code` is what the command
    ends with; `code` leads to docs/troubleshooting.md. A class of its own has a code of its own, else the error is
    given one; what ends with USAGE has that of wrong usage.
    """

    default_code: ClassVar[Code] = Code.UNFORESEEN

    def __init__(self, cause: str, *, next_step: str = "", exit_code: int = FAILED, code: Code | None = None) -> None:
        self.exit_code = exit_code
        usual = self.default_code
        self.code = code or (Code.USAGE if exit_code == USAGE and usual is Code.UNFORESEEN else usual)
        self.cause = shown(cause)
        self.next_step = shown(next_step or ("`--help` shows how it is called." if self.code is Code.USAGE else ""))
        super().__init__(self.cause)

    def __str__(self) -> str:
        return f"{self.cause}\n{self.next_step}" if self.next_step else self.cause

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("exit_code", "code", "cause", "next_step")}


class ConfigurationError(MoeenError, ImproperlyConfigured):
    """A setting is missing or malformed. Django treats it as its own ImproperlyConfigured; exit code 2."""

    default_code = Code.CONFIGURATION

    def __init__(self, cause: str, *, next_step: str = "", exit_code: int = USAGE) -> None:
        super().__init__(cause, next_step=next_step, exit_code=exit_code)
