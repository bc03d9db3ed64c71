"""What stderr says of a request that failed: by which page, by which lines of code and which kind of error.

Neither the address, which holds keys of rows and what a letter's link is worth, nor the text of an error, which holds
values of rows, unless it is one that names no value (moeen/db/explain.py).
"""

from __future__ import annotations

import copy
import logging
import traceback
from types import TracebackType
from typing import Any

from django.conf import settings

from moeen.access_log import page_of
from moeen.db.explain import chain, explain

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class Formatter(logging.Formatter):
    """Django's lines about requests name the page in place of the address; tracebacks hold no values but in DEBUG."""

    def format(self, record: logging.LogRecord) -> str:
        request: Any = getattr(record, "request", None)
        record = copy.copy(record)
        record.exc_text = None  # as another handler may have written it
        if request is not None and isinstance(record.args, tuple):
            address = str(getattr(request, "path", "")).encode("unicode_escape").decode("ascii")
            record.args = tuple(page_of(request) or "-" if arg == address else arg for arg in record.args or ())
        return super().format(record)

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802 (the name is logging's)
        error = ei[1]
        if error is None or settings.DEBUG:
            return super().formatException(ei)
        lines = [
            part
            for link in reversed([*chain(error)])
            for part in (*traceback.format_tb(link.__traceback__), f"{_name(type(link))}\n")
        ]
        known = explain(error)
        return "".join([*lines, known.cause if known else ""]).rstrip()


def _name(kind: type[BaseException]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
