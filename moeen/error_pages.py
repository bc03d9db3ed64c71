"""What somebody is told when a request fails: in their language, and never with what it was about."""

from __future__ import annotations

import re
import sys
from typing import Any

import psycopg
from django.contrib import admin
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.template.backends.utils import csrf_input
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _
from psycopg.errors import QueryCanceled

from moeen.db.roles import PREFIX
from moeen.db.security import identity, rights

#: Page of a model -> the command it is about, and what is said to whoever may not.
_REFUSALS = {
    "changelist": ("S", _("In the role “%(role)s” you may not see: %(what)s.")),
    "history": ("S", _("In the role “%(role)s” you may not see: %(what)s.")),
    "add": ("I", _("In the role “%(role)s” you may not add: %(what)s.")),
    "change": ("U", _("In the role “%(role)s” you may not change: %(what)s.")),
    "delete": ("D", _("In the role “%(role)s” you may not delete: %(what)s.")),
}
_TEXTS = {
    400: (_("The request was not understood"), _("Go back, and try once more.")),
    403: (_("This is not permitted"), _("Your role may not do this.")),
    404: (_("There is no such page"), _("The address may be mistyped, or the row is not one that you may see.")),
    500: (_("Something went wrong here"), _("Nothing was changed. Try again in a moment; the fault has been noted.")),
    503: (
        _("This cannot be shown now"),
        _("It could not be recorded who sees it. What you sent may have been saved. Try again in a moment."),
    ),
}
_NO_ANSWER = _("The database does not answer. Try again in a moment; what you sent was probably not saved.")
_TOO_LONG = _("It took too long, and was ended. Nothing was changed. Ask for less, or try again later.")
#: SQLSTATE, or its class, of a server that cannot serve now; without one there is no connection.
_AWAY = ("08", "53", "57P0", "58")


def unrecorded(request: HttpRequest) -> HttpResponse:
    """What was read cannot be entered in the audit log, and so is not shown."""
    return _page(request, 503)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, 400)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    """A fault of ours is 500; that the database cannot answer now is none, and passes (503)."""
    why = _passing(sys.exc_info()[1])
    return _page(request, 503, why=why) if why else _page(request, 500)


def _passing(error: BaseException | None) -> Any:
    """What is said of an error that waiting mends, None of others."""
    cause = error.__cause__ if isinstance(error, DatabaseError | InterfaceError) else None
    if not isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        return None
    if cause.sqlstate == QueryCanceled.sqlstate:
        return _TOO_LONG
    return _NO_ANSWER if (cause.sqlstate or "08").startswith(_AWAY) else None


def expired(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Where the token of a form does not fit: settings.CSRF_FAILURE_VIEW."""
    why = _("The page was open for too long, or was not opened here. Go back, load it anew, and send it again.")
    return _page(request, 403, why=why)


def looking(request: HttpRequest) -> HttpResponse:
    """Whoever looks as another person changes nothing, and opens none of the pages of their account."""
    why = _("You look at everything as somebody else: nothing can be changed, and their account is not shown.")
    return _page(request, 403, why=why)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Says what the acting role may not do, and offers those of the person's other roles that may."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return _page(request, 403)
    site: Any = admin.site
    roles = site.roles_context(request)
    if isinstance(exception, identity.RoleNotHeld):
        return _page(request, 403, why=_("You do not hold this role."))
    found = re.fullmatch(r"(\w+)_(changelist|history|add|change|delete)", _view_name(request))
    models = {f"{model._meta.app_label}_{model._meta.model_name}": model for model in site._registry}
    if not found or found[1] not in models:
        return _page(request, 403, roles=roles)
    model = models[found[1]]
    command, text = _REFUSALS[found[2]]
    if found[2] == "change" and request.method in ("GET", "HEAD"):
        command, text = _REFUSALS["changelist"]
    others = [(name, label) for name, label in roles.get("held_roles", ()) if name != roles["acting_role"]]
    able = _able([name for name, _label in others], model._meta.db_table, command)
    return _page(
        request,
        403,
        why=text % {"role": roles.get("acting_role_label", ""), "what": model._meta.verbose_name_plural},
        roles={"switch_to": [(name, label) for name, label in others if name in able]},
    )


def _able(names: list[str], table: str, command: str) -> set[str]:
    from django.db import connection

    if not names:
        return set()
    found = rights.read(connection, roles=[PREFIX + name for name in names], tables=[table])
    return {right.role for right in found if right.command == command}


def _view_name(request: HttpRequest) -> str:
    return (request.resolver_match.url_name or "") if request.resolver_match else ""


def _page(request: HttpRequest, status: int, *, why: Any = None, roles: Any = None) -> HttpResponse:
    """A page that stands alone: where the database or a context processor fails, it is still shown."""
    title, text = _TEXTS[status]
    safe = request.method in ("GET", "HEAD")
    words = {"title": title, "why": why or text, "status": status, "next": request.get_full_path() if safe else ""}
    if roles and roles.get("switch_to"):
        words["csrf_input"] = csrf_input(request)
    return HttpResponse(render_to_string("error.html", words | (roles or {})), status=status)
