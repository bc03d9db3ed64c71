"""gunicorn's settings: `gunicorn --config python:moeen.gunicorn moeen.wsgi`. What its command line says wins."""

from __future__ import annotations

import os
from typing import Any

workers = 2
#: Seconds that a request may go on for while the server stops.
graceful_timeout = 20


def on_starting(server: Any) -> None:
    """Before the first worker: refused once, where every worker would be; metrics begin anew."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moeen.settings")
    from moeen import metrics
    from moeen.application import refuse

    refuse()
    metrics.forget()
