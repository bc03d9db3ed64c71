"""Browsers in which somebody has signed in before. They have tries of their own at that account.

So whoever knows an e-mail address, and types wrong passwords for it, makes all others wait, and not its person.
"""

from __future__ import annotations

import secrets

from django.conf import settings
from django.core.signing import BadSignature
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from moeen import throttle
from moeen.middleware import origin

COOKIE, SECONDS = "known", 90 * 24 * 3600


def marks(request: HttpRequest, account: str) -> list[throttle.Mark]:
    """What a try counts against, in this browser."""
    return throttle.marks(account, origin(request)["address"], browser=_known(request, account))


def remember(response: HttpResponseBase, account: str) -> None:
    """The browser is known from now on: by a number of its own, and whose it is by a keyed hash."""
    response.set_signed_cookie(
        COOKIE, f"{secrets.token_hex(16)} {throttle.of_account(account)}", max_age=SECONDS, httponly=True,
        samesite="Lax", secure=settings.SESSION_COOKIE_SECURE,
    )  # fmt: skip


def _known(request: HttpRequest, account: str) -> str:
    """The number of the browser, "" where this account was not signed in to in it."""
    try:
        browser, _, whose = str(request.get_signed_cookie(COOKIE, max_age=SECONDS)).partition(" ")
    except (KeyError, BadSignature):
        return ""
    return browser if whose == throttle.of_account(account) else ""
