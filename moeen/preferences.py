"""The language and the time zone that a person wants (kept in their session when they sign in) are what pages speak."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone, translation

#: In a session; sysadmin/preferences.py keeps them.
LANGUAGE, ZONE = "language", "timezone"


class PreferencesMiddleware:
    """Stands after AuthenticationMiddleware. What was chosen in this browser by the language switch goes first."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return self.get_response(request)
        language: Any = request.session.get(LANGUAGE)
        if language in dict(settings.LANGUAGES) and settings.LANGUAGE_COOKIE_NAME not in request.COOKIES:
            translation.activate(language)  # for this request: LocaleMiddleware begins the next
            request.LANGUAGE_CODE = language
        zone = None
        with suppress(zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            zone = zoneinfo.ZoneInfo(request.session[ZONE]) if ZONE in request.session else None
        with timezone.override(zone):
            return self.get_response(request)
