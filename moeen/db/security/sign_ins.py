"""What the audit log keeps of signing in: written where it happens, in the same transaction, or it does not happen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from . import identity

SIGNED_IN = "SIGNED_IN"
SIGNED_OUT = "SIGNED_OUT"
ROLE_SWITCHED = "ROLE_SWITCHED"
SESSION_ENDED = "SESSION_ENDED"
FAILED = "SIGN_IN_FAILED"
LOCKED_OUT = "SIGN_IN_LOCKED_OUT"
SECOND_FACTOR_FAILED = "SECOND_FACTOR_FAILED"
PASSWORD_RESET_ASKED = "PASSWORD_RESET_ASKED"
#: Somebody looks at the admin as another person, and no longer does.
LOOKED_AS = "LOOKED_AS"
LOOKED_AWAY = "LOOKED_AWAY"


def door(user: Any) -> identity.Identity:
    """The identity of signing in, in this person's name; in nobody's without one."""
    if user is None:
        return identity.AUTH
    return replace(identity.AUTH, claims=identity.person(str(user.pk), identity.acting_role(user)).claims)


def record(
    event: str,
    *,
    by: Any = None,
    account: str | None = None,
    person: Any = None,
    before: str | None = None,
    after: str | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> None:
    """Write an entry, see app.record_sign_in(). `by`: the user who acts; `person`: the id of whom it concerns.

    Raises DatabaseError where it cannot be written: let it end the request.
    """
    with identity.bound(door(by)), connections[using].cursor() as cursor:
        cursor.execute("SELECT app.record_sign_in(%s, %s, %s, %s, %s)", [event, account, person, before, after])
