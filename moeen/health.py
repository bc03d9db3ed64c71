"""Two addresses for whoever watches the service: `/healthz`, the process answers; `/readyz`, so does the database.

A database that lacks migrations of this code does not count as answering.

They stand before everything else: a watcher knows no host name of ours, no https and no session.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
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
    """Whether a signed statement comes back (server, login, roles and key are right) and no migration is missing."""
    try:
        with identity.acting_as_auth(), connection.cursor() as cursor:
            cursor.execute("SELECT app.is_bound() AND app.has_migrations(%s)", [_newest()])
            return bool(cursor.fetchone() == (True,))
    except (DatabaseError, MoeenError):
        return False


@cache
def _newest() -> list[str]:
    """The last migration of each app, as the code has them: what stands before is applied where these are."""
    graph = MigrationLoader(None, ignore_no_migrations=True).graph
    return [f"{app}.{name}" for app, name in graph.leaf_nodes()]
