"""Signing in: the one place, beside the session store, that works as moeen_auth."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest
from django.utils import timezone

from moeen.db.security import identity, sign_ins
from sysadmin.models import User


class Backend(ModelBackend):
    """By e-mail address and password. What a role permits is asked of the user, not of permission tables."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        with identity.acting_as_auth():
            return super().authenticate(request, username, password, **kwargs)

    async def aauthenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        with identity.acting_as_auth():
            return await super().aauthenticate(request, username, password, **kwargs)

    def get_user(self, user_id: Any) -> Any:
        with identity.acting_as_auth():
            return super().get_user(user_id)

    async def aget_user(self, user_id: Any) -> Any:
        with identity.acting_as_auth():
            return await super().aget_user(user_id)


def note_sign_in(sender: Any, user: User, **kwargs: Any) -> None:
    """Django's update_last_login, and an entry of the audit log; as moeen_auth: whoever signs in is nobody yet."""
    sign_ins.record(sign_ins.SIGNED_IN, by=user)
    user.last_login = timezone.now()
    with identity.bound(sign_ins.door(user)):
        user.save(update_fields=["last_login"])


def note_failure(sender: Any, credentials: dict[str, Any], **kwargs: Any) -> None:
    """Receiver of user_login_failed, which holds no password."""
    sign_ins.record(sign_ins.FAILED, account=str(credentials.get("username") or "").replace("\0", ""))


def note_sign_out(sender: Any, request: Any, user: User | None, **kwargs: Any) -> None:
    """Receiver of user_logged_out; a session that came to its end says why (moeen/sessions.py)."""
    if user is None:
        return
    if why := getattr(request, "session_ended", None):
        sign_ins.record(sign_ins.SESSION_ENDED, person=user.pk, after=why)
    else:
        sign_ins.record(sign_ins.SIGNED_OUT, by=user)


def note_role(sender: Any, user: User, before: str, after: str, **kwargs: Any) -> None:
    """Receiver of role_switched."""
    sign_ins.record(sign_ins.ROLE_SWITCHED, by=user, before=before, after=after)
