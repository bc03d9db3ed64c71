"""A line of JSON on stderr for each request: what was asked for, by which page, never by which address or whom.

Addresses hold keys of rows, and queries hold what was searched for; neither is written.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

_log = logging.getLogger("moeen.access")


class AccessLogMiddleware:
    """Logs method, page, status and milliseconds to `moeen.access`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        begun = time.monotonic()
        response = self.get_response(request)
        line = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "method": request.method,
            "page": page_of(request),
            "status": response.status_code,
            "milliseconds": round(1000 * (time.monotonic() - begun), 1),
        }
        _log.info(json.dumps(line))
        return response


def page_of(request: HttpRequest) -> str:
    """The name of the page that answered, as `admin:healthcare_patient_change`; "" where none did."""
    match = request.resolver_match
    return (match.view_name or match.route) if match else ""
