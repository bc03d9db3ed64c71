"""Two addresses for whoever watches the service: `/healthz`, the process answers; `/readyz`, so does the database.

They stand before everything else: a watcher knows no host name of ours, no https and no session.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from moeen.db.errors import MoeenError
from moeen.db.security import identity


class HealthMiddleware:
    """Answers the two addresses with 200 or 503 and a word, and nothing about why."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info == "/healthz":
            return HttpResponse("ok\n", content_type="text/plain")
        if request.path_info == "/readyz":
            ready = is_ready()
            text = "ready\n" if ready else "not ready\n"
            return HttpResponse(text, status=200 if ready else 503, content_type="text/plain")
        return self.get_response(request)


def is_ready() -> bool:
    """Whether a statement of nobody's comes back signed: server, login, roles and key are right."""
    try:
        with identity.bound(identity.ANONYMOUS), connection.cursor() as cursor:
            cursor.execute("SELECT app.is_bound()")
            return bool(cursor.fetchone() == (True,))
    except (DatabaseError, MoeenError):
        return False
