"""Types of command-line arguments."""

from __future__ import annotations

from argparse import Action, ArgumentError, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from typing import Any


def whole(text: str) -> int:
    """A whole number from 0 on."""
    if not text.isascii() or not text.isdigit():
        raise ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


#: More connections at once than this make nothing faster, and leave the database's users none.
MOST_JOBS = 32


def jobs(text: str) -> int:
    """A number of parallel jobs, from 1 to MOST_JOBS."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST_JOBS or len(text) > 9:
        raise ArgumentTypeError(f"{text!r} is no number of jobs from 1 to {MOST_JOBS}")
    return int(text)


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def seconds(text: str) -> float:
    """A number of seconds, from 0 on."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ArgumentTypeError(f"{text!r} is no number of seconds")
    return number


class Reason(Action):
    """Why something is done that is recorded: some words. "" where it is not said, and only there."""

    def __init__(self, option_strings: Sequence[str], dest: str, *, metavar: str = "REASON", **told: Any) -> None:
        super().__init__(option_strings, dest, default="", metavar=metavar, **told)

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any, option_string: Any = None) -> None:
        if not values.strip():
            raise ArgumentError(self, "say why, in some words")
        setattr(namespace, self.dest, values.strip())
