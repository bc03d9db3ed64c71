"""How long somebody stays signed in: to the end of the day's work, and not at a desk that was left."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from moeen import known_browsers, middleware
from moeen.db.security import identity

#: In a session: when its person signed in and when it was last used, in seconds since 1970; from where, and with what.
BEGUN, SEEN, ADDRESS, AGENT = "begun_at", "seen_at", "address", "agent"
#: In a session: its person has given a second factor.
PROVEN = "second_factor"
#: A page that shows itself anew asks with this header: whoever left the desk has asked for nothing.
REFRESH = "X-Refresh"
#: How often the time of the last request is written, in seconds: not with each.
_EVERY = 60


def begin(sender: Any, request: HttpRequest | None, user: Any = None, **kwargs: Any) -> None:
    """Receiver of user_logged_in."""
    if request is not None:
        request.__dict__["signed_in"] = user and user.email
        request.session[BEGUN] = request.session[SEEN] = int(time.time())
        told = middleware.origin(request)
        request.session[ADDRESS], request.session[AGENT] = told["address"], told["agent"][: identity.AGENT_LENGTH]


def is_over(*, begun: float, seen: float, now: float) -> bool:
    return now - begun > settings.SESSION_COOKIE_AGE or now - seen > settings.SESSION_IDLE_SECONDS


def must_be_proven(role: str) -> bool:
    """Whether SECOND_FACTOR lets nobody act in this role of PEOPLE without a second factor."""
    asked: str = settings.SECOND_FACTOR
    return asked == "everybody" or (asked == "administrators" and role == "admin")


class SessionLimitsMiddleware:
    """Ends a session after SESSION_IDLE_SECONDS without a request, and SESSION_COOKIE_AGE after signing in.

    One that began without a second factor also ends when its person comes to act in a role that must have one.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.user.is_authenticated:
            now, session = int(time.time()), request.session
            begun, seen = session.get(BEGUN, 0), session.get(SEEN, 0)  # one of before these limits has neither
            idle = now - seen > settings.SESSION_IDLE_SECONDS
            acts: Any = session.get(middleware.ACTING_ROLE, request.user.role)
            unproven = must_be_proven(acts) and not session.get(PROVEN)
            if is_over(begun=begun, seen=seen, now=now) or unproven:
                why = "no second factor" if unproven else "idle" if idle else "old"
                request.__dict__["session_ended"] = why  # for who hears of it
                with identity.requested(**middleware.origin(request)):
                    logout(request)
            elif now - seen > _EVERY and REFRESH not in request.headers:
                session[SEEN] = now
        response = self.get_response(request)
        if account := request.__dict__.get("signed_in"):
            known_browsers.remember(response, account)
        return response
