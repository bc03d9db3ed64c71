"""What holds for the time of a `with` block, in this thread or task: a context variable, set and put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")


@contextmanager
def scoped(variable: ContextVar[Any], value: T) -> Iterator[T]:
    """Within it the variable has this value, which is handed to the block."""
    token = variable.set(value)
    try:
        yield value
    finally:
        variable.reset(token)
