"""Failures that a rehearsal collects, so that it goes on where it can and one look gives the whole list.

Only on a twin, which holds nobody's rows: what the server says there may be repeated whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.errors import MoeenError
from moeen.db.scoped import scoped

T = TypeVar("T")


@dataclass(frozen=True)
class Failure:
    """What could not be done. ``table`` and ``state``, an SQLSTATE, are "" where they are not known.

    ``says``: the function whose words they are, with its arguments, "" where none of the clinic's own is known.
    """

    purpose: str
    table: str
    words: str
    state: str = ""
    next_step: str = ""
    says: str = ""


#: Whose words they are: the innermost function, where it is none of ours.
_BY = re.compile(r"\APL/pgSQL function (?!app\.|inline_code_block)(.+?\)) line \d+")
_collected: ContextVar[list[Failure] | None] = ContextVar("failures", default=None)


def collecting() -> AbstractContextManager[list[Failure]]:
    """The list that failures are put into meanwhile, in place of being raised."""
    return scoped(_collected, [])


def are_collected() -> bool:
    return _collected.get() is not None


def attempt(connection: BaseDatabaseWrapper, action: Callable[[], T], *, purpose: str, table: str = "") -> T | None:
    """The outcome of ``action``; while failures are collected, None where it fails."""
    found = _collected.get()
    if found is None:
        return action()
    try:
        with transaction.atomic(using=connection.alias) if connection.in_atomic_block else nullcontext():
            return action()
    except Exception as error:
        if not connection.is_usable():
            raise
        found.append(_failure(error, purpose, table))
        return None


@contextmanager
def during(statement: str, *, way: str = "") -> Iterator[None]:
    """What fails within it is told with the statement and the way round it, while failures are collected."""
    try:
        yield
    except Exception as error:
        if are_collected():
            error.add_note(" ".join(statement.split()))
            error.add_note(way)
        raise


def explained(error: Exception) -> str:
    """What the server said of a statement that failed."""
    cause = error.__cause__
    diag = cause.diag if isinstance(cause, psycopg.Error) else None
    said = [text.rstrip(".") for text in (diag.message_primary, diag.message_detail) if text] if diag else []
    words = ". ".join(said) or type(cause or error).__name__
    function = _speaker(cause)
    return f"{words} (says function {function})" if function else words


def _speaker(cause: BaseException | None) -> str:
    found = _BY.search(cause.diag.context or "") if isinstance(cause, psycopg.Error) else None
    return found[1] if found else ""


def _failure(error: Exception, purpose: str, table: str) -> Failure:
    cause = error.__cause__
    if isinstance(cause, psycopg.Error):
        statement, way = getattr(error, "__notes__", ("", ""))[:2]
        words = explained(error) + (f"; it was: {_short(statement)}" if statement else "")
        where = table or cause.diag.table_name or ""
        return Failure(purpose, where, words, cause.sqlstate or "", way, says=_speaker(cause))
    if isinstance(error, MoeenError):
        return Failure(purpose, table, error.cause, next_step=error.next_step)
    return Failure(purpose, table, str(error) or type(error).__name__)


def _short(statement: str) -> str:
    return statement if len(statement) <= 200 else f"{statement[:197]}..."
