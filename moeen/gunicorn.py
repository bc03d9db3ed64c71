"""gunicorn's settings: `gunicorn --config python:moeen.gunicorn moeen.wsgi`. What its command line says wins."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

workers = 2
#: Seconds that a request may go on for while the server stops.
graceful_timeout = 20


def on_starting(server: Any) -> None:
    """Before the first worker: metrics begin anew."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moeen.settings")
    from moeen import metrics
    from moeen.db.errors import MoeenError

    with suppress(MoeenError):  # the workers will say it
        metrics.forget()
