"""How long somebody stays signed in: to the end of the day's work, and not at a desk that was left."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from moeen import middleware
from moeen.db.security import identity

_BEGUN, _SEEN = "begun_at", "seen_at"
#: How often the time of the last request is written, in seconds: not with each.
_EVERY = 60


def begin(sender: Any, request: HttpRequest | None, **kwargs: Any) -> None:
    """Receiver of user_logged_in."""
    if request is not None:
        request.session[_BEGUN] = request.session[_SEEN] = int(time.time())


class SessionLimitsMiddleware:
    """Ends a session after SESSION_IDLE_SECONDS without a request, and SESSION_COOKIE_AGE after signing in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.user.is_authenticated:
            now, session = int(time.time()), request.session
            begun, seen = session.get(_BEGUN, 0), session.get(_SEEN, 0)  # one of before these limits has neither
            old, idle = now - begun > settings.SESSION_COOKIE_AGE, now - seen > settings.SESSION_IDLE_SECONDS
            if old or idle:
                request.__dict__["session_ended"] = "idle" if idle else "old"  # for who hears of it
                with identity.requested(**middleware.origin(request)):
                    logout(request)
            elif now - seen > _EVERY:
                session[_SEEN] = now
        return self.get_response(request)
