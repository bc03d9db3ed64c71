"""`/metrics` in the text form of Prometheus: requests by page and status, the database, what doctor last found.

It is there where METRICS_TOKEN is set, for whoever brings that token. A label is the name of a page, a status or a
check: no address, no person, nothing of a row.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.crypto import constant_time_compare

from moeen.access_log import page_of
from moeen.health import is_ready

if TYPE_CHECKING:
    from prometheus_client import Histogram, Metric

#: A page is to answer within 0.3 s.
BUCKETS = (0.05, 0.1, 0.3, 1.0, 3.0, 10.0)


class MetricsMiddleware:
    """Stands before everything that takes time, and counts what it takes."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not settings.METRICS_TOKEN:
            raise MiddlewareNotUsed
        self.get_response = get_response
        self._requests = _requests()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info == "/metrics":
            return _answer(request)
        begun = time.monotonic()
        response = self.get_response(request)
        self._requests.labels(page_of(request), response.status_code).observe(time.monotonic() - begun)
        return response


def forget() -> None:
    """Begin anew, before any process counts: each leaves a file behind that nobody else removes."""
    shutil.rmtree(settings.METRICS_DIR, ignore_errors=True)


def _answer(request: HttpRequest) -> HttpResponse:
    given = request.headers.get("Authorization", "")
    if not constant_time_compare(given, f"Bearer {settings.METRICS_TOKEN}"):
        return HttpResponse("a token is needed\n", status=401, headers={"WWW-Authenticate": "Bearer"})
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(settings.METRICS_DIR))
    registry.register(_Standing())  # type: ignore[arg-type]  # it has the one method that is asked for
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


@cache
def _requests() -> Histogram:
    """Counted by each process in a file of its own, which all of them can add up."""
    settings.METRICS_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The package looks for it when it is loaded.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(settings.METRICS_DIR)
    from prometheus_client import Histogram

    words = "Seconds until a page had answered."
    return Histogram("moeen_request_seconds", words, ("page", "status"), buckets=BUCKETS, registry=None)


class _Standing:
    """What is looked up at the moment of asking."""

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        words = "Whether the database answers and takes the web's signature."
        yield GaugeMetricFamily("moeen_database_up", words, value=is_ready())
        found = _of_doctor()
        words = "Whether the file of `manage.py doctor --metrics` could be read."
        yield GaugeMetricFamily("moeen_doctor_file_read", words, value=bool(found))
        yield from found


def _of_doctor() -> list[Metric]:
    """The web may not look at backups, migrations and seals: an operator's command leaves what it saw in a file."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        return list(text_string_to_metric_families(settings.METRICS_FILE.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return []
