"""The page of one's own sessions: since when, from where, with which browser; and the end of any other one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext, ngettext

from moeen.account import AccountPage
from moeen.sessions import ADDRESS, AGENT, BEGUN, SEEN, is_over


@dataclass(frozen=True)
class OwnSession:
    """`name`: for ending it. The times in UTC; address and agent as the request said them that signed in."""

    name: str
    begun: datetime
    seen: datetime
    address: str
    agent: str
    is_this: bool


class OwnSessionsPage(AccountPage):
    """GET shows them; POST ends the one that `name` names, or every other one."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show(gettext("My sessions"), "sessions.html", sessions=_own(request))

    def post(self, request: HttpRequest) -> HttpResponse:
        name = request.POST.get("name", "").replace("\0", "")
        ended = _engine().end_others(request.user, this=request.session.session_key, name=name)
        text = ngettext("%(count)d session has ended.", "%(count)d sessions have ended.", ended) % {"count": ended}
        messages.success(request, text)
        return redirect("admin:own_sessions")


def _own(request: HttpRequest) -> list[OwnSession]:
    """Those that still let somebody in: this one first, then by their last use, the latest first."""
    now, found = int(time.time()), []
    for name, data, is_this in _engine().of(request.user, this=request.session.session_key):
        begun, seen = data.get(BEGUN, 0), data.get(SEEN, 0)
        if not is_over(begun=begun, seen=seen, now=now):
            begun_at, seen_at = (datetime.fromtimestamp(at, UTC) for at in (begun, seen))
            found.append(OwnSession(name, begun_at, seen_at, data.get(ADDRESS, ""), data.get(AGENT, ""), is_this))
    return sorted(found, key=lambda each: (each.is_this, each.seen), reverse=True)


def _engine() -> Any:
    return import_module(settings.SESSION_ENGINE)
