"""Signing in: the one place, beside the session store, that works as moeen_auth."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest
from django.utils import timezone

from moeen.db.security import identity
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
    """Django's update_last_login, as moeen_auth: whoever signs in is nobody yet."""
    user.last_login = timezone.now()
    with identity.acting_as_auth():
        user.save(update_fields=["last_login"])
