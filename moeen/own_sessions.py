"""The page of one's own sessions: since when, from where, with which browser; and the end of any other one."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext, ngettext

from moeen.account import AccountPage
from moeen.sessions import is_over

_WHY = "its person"


class OwnSessionsPage(AccountPage):
    """GET shows them; POST ends the one that `handle` names, or every other one."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Those that still let somebody in: this one first, then by their last use, the latest first."""
        engine, now = _engine(), time.time()
        this = engine.handle(request.session.session_key)
        opened = [
            one for one in engine.of(request.user.pk)
            if one.begun and one.seen and not is_over(begun=one.begun.timestamp(), seen=one.seen.timestamp(), now=now)
        ]  # fmt: skip
        opened.sort(key=lambda one: one.handle != this)
        return self.show(gettext("My sessions"), "sessions.html", sessions=opened, this=this)

    def post(self, request: HttpRequest) -> HttpResponse:
        engine, user, handle = _engine(), request.user, request.POST.get("handle", "").replace("\0", "")
        this = engine.handle(request.session.session_key)
        if handle == this:  # signing out does that
            ended = 0
        elif handle:
            ended = engine.end_one(user.pk, handle, by=user, why=_WHY)
        else:
            ended = engine.end_all([user.pk], by=user, why=_WHY, but=this)
        text = ngettext("%(count)d session has ended.", "%(count)d sessions have ended.", ended) % {"count": ended}
        messages.success(request, text)
        return redirect("admin:own_sessions")


def _engine() -> Any:
    return import_module(settings.SESSION_ENGINE)
