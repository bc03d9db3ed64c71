"""What an operation has to say about its work: told while it runs, and kept in the ledger beside its migration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_taken: ContextVar[list[str] | None] = ContextVar("notes", default=None)


@contextmanager
def taking() -> Iterator[list[str]]:
    """The list that notes are put into meanwhile."""
    found: list[str] = []
    token = _taken.set(found)
    try:
        yield found
    finally:
        _taken.reset(token)


def note(text: str) -> None:
    """Say it, if anybody takes notes; the same thing once."""
    found = _taken.get()
    if found is not None and text not in found:
        found.append(text)
