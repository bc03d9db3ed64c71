"""The application as WSGI and ASGI servers import it: refused with one message where it may not serve."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

from moeen.db.errors import MoeenError
from moeen.db.security import serving
from moeen.ending import Ending


def guarded(make: Callable[[], Any]) -> Any:
    """The application that `make` gives. Where it may not serve: one message and exit code 2.

    It is an exception and no SystemExit: a server with workers (gunicorn) starts a worker that exits anew for ever, and
    ends when one cannot load the application.
    """
    try:
        made = make()
        serving.refuse_owner()
    except MoeenError:
        sys.excepthook = _last_words
        raise
    return made


def refuse() -> None:
    """End a server's first process with one message, where its workers may not serve."""
    try:
        serving.refuse_owner()
    except MoeenError as error:
        ending = Ending.of(error)
        print(ending.pretty(), file=sys.stderr)
        sys.exit(ending.exit_code)


def _last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not isinstance(error, MoeenError):
        sys.__excepthook__(kind, error, trace)
        return
    ending = Ending.of(error)
    print(ending.pretty(), file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ending.exit_code)  # an ordinary end would say 1
