"""What a person wants of language and time zone, kept in their session for the pages (moeen/preferences.py)."""

from __future__ import annotations

from typing import Any

from moeen.db.security import identity
from sysadmin.models import User, UserPreference


def keep(session: Any, wanted: UserPreference) -> None:
    session["language"], session["timezone"] = wanted.language, wanted.timezone


def note_sign_in(sender: Any, request: Any, user: User, **kwargs: Any) -> None:
    """Receiver of user_logged_in."""
    if request is None or not user.is_active:
        return
    with identity.acting_as(user):
        wanted = UserPreference.objects.filter(user=user.pk).first()
    if wanted is not None:
        keep(request.session, wanted)
