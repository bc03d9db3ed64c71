"""Types of command-line arguments."""

from __future__ import annotations

from argparse import Action, ArgumentError, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from typing import Any

#: As large as PostgreSQL's integers are.
MOST = 2**31 - 1
#: More connections at once than this make nothing faster, and leave the database's users none.
MOST_JOBS = 32
#: Longer than anybody waits; the system's clocks count further.
MOST_SECONDS = 10_000_000


def _number(text: str, *, least: int, most: int = MOST) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 10 or not least <= int(text) <= most:
        raise ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
    return int(text)


def whole(text: str) -> int:
    """A whole number from 0 on."""
    return _number(text, least=0)


def positive(text: str) -> int:
    """A whole number from 1 on."""
    return _number(text, least=1)


def jobs(text: str) -> int:
    """A number of parallel jobs, from 1 to MOST_JOBS."""
    return _number(text, least=1, most=MOST_JOBS)


def seconds(text: str) -> float:
    """A number of seconds, from 0 to MOST_SECONDS."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= MOST_SECONDS:
        raise ArgumentTypeError(f"{text!r} is no number of seconds from 0 to {MOST_SECONDS}")
    return number


def name(text: str) -> str:
    """A name, which is not blank."""
    if not text.strip():
        raise ArgumentTypeError("a name is missing")
    return text.strip()


class Reason(Action):
    """Why something is done that is recorded: some words. "" where it is not said, and only there."""

    def __init__(self, option_strings: Sequence[str], dest: str, *, metavar: str = "REASON", **told: Any) -> None:
        super().__init__(option_strings, dest, default="", metavar=metavar, **told)

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any, option_string: Any = None) -> None:
        if not values.strip():
            raise ArgumentError(self, "say why, in some words")
        setattr(namespace, self.dest, values.strip())
