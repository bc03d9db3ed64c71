"""What an operation has to say about its work: told while it runs, and kept in the ledger beside its migration."""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar

from moeen.db.scoped import scoped

_taken: ContextVar[list[str] | None] = ContextVar("notes", default=None)


def taking() -> AbstractContextManager[list[str]]:
    """The list that notes are put into meanwhile."""
    return scoped(_taken, [])


def note(text: str) -> None:
    """Say it, if anybody takes notes; the same thing once."""
    found = _taken.get()
    if found is not None and text not in found:
        found.append(text)
