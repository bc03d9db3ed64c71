"""Looking at the admin as another person: what they see in one of their roles, read only, rolled back, and recorded.

That it begins and ends stands in the audit log before anything is shown; clinical records that are read meanwhile are
entered as read by whoever looks, never by the person they look as.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import load_backend
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import Resolver404, resolve

from moeen import error_pages
from moeen.db.security import identity, sign_ins
from moeen.middleware import ACTING_ROLE, SAFE_METHODS, Look, origin

#: In a session: the id of whom its person looks as, and in which role.
LOOKS_AS = "looks_as"
#: Pages that answer whoever looks, and not as the person they look as.
_OWN = {"admin:stop_looking", "admin:logout", "set_language"}
#: Pages of one's own account: somebody else's password and second factor are not to be looked at.
_CLOSED = {
    "admin:own_sessions",
    "admin:second_factor",
    "admin:second_factor_code",
    "admin:password_change",
    "admin:password_change_done",
    "admin:login",
}


def begin(request: HttpRequest, person: uuid.UUID) -> HttpResponse:
    """From now on this session looks as that person, in the role of POST; for whoever gives people their roles."""
    looker: Any = request.user
    if not looker.gives_roles():
        raise PermissionDenied
    user, role = _found(person), request.POST.get("role", "")
    if user is None or user == looker:
        raise Http404
    identity.of(user, role=role)  # refused where they do not hold it
    sign_ins.record(sign_ins.LOOKED_AS, by=looker, person=user.pk, after=role)
    request.session[LOOKS_AS] = {"person": str(user.pk), "role": role}
    return redirect("admin:index")


def stop(request: HttpRequest) -> HttpResponse:
    """The session is its person's again."""
    kept = request.session.pop(LOOKS_AS, None)
    if kept is not None:
        sign_ins.record(sign_ins.LOOKED_AWAY, by=request.user, person=kept["person"])
    return redirect("admin:index")


class LookingMiddleware:
    """Stands between SessionLimitsMiddleware, which asks of whoever looks, and IdentityMiddleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        kept = request.session.get(LOOKS_AS) if request.user.is_authenticated else None
        name = _view_name(request) if kept else ""
        if kept is None or name in _OWN:
            return self.get_response(request)
        acting, person = _acting(request), _found(kept["person"])
        if acting is None or person is None or kept["role"] not in identity.held_roles(person):
            with identity.requested(**origin(request)):
                return stop(request)
        if request.method not in SAFE_METHODS or name in _CLOSED:
            return error_pages.looking(request)
        request.__dict__["look"] = Look(looker=acting, who=identity.person(str(person.pk), kept["role"]))
        request.user = person

        async def auser() -> Any:
            return person

        request.auser = auser
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        """Whatever a page does while somebody looks is undone; it could do nothing in a READ ONLY transaction."""
        if "look" not in request.__dict__:
            return None
        with transaction.atomic():
            answer: Any = view(request, *args, **kwargs)
            if hasattr(answer, "render"):
                answer.render()
            transaction.set_rollback(True)
        return cast(HttpResponse, answer)


def _acting(request: HttpRequest) -> identity.Identity | None:
    """Who looks, in the role that they act in; None where it is none any more in which they may."""
    looker: Any = request.user
    try:
        acting = identity.of(looker, role=request.session.get(ACTING_ROLE))
    except identity.RoleNotHeld:
        return None
    with identity.bound(acting):
        return acting if looker.gives_roles() else None


def _found(person: Any) -> Any:
    """The active user of this id, or None."""
    return load_backend(settings.AUTHENTICATION_BACKENDS[0]).get_user(person)


def _view_name(request: HttpRequest) -> str:
    try:
        return resolve(request.path_info).view_name
    except Resolver404:
        return ""
