"""Who this transaction is: the scopes that say it.

The engine (engine/binding.py) binds every transaction to `current()` before its first statement. A scope belongs to
the running thread or task; scopes nest and restore the outer one however they end. Without a scope, serving code is
`moeen_anon`, whom the policies show next to nothing; operator commands (manage.py) are the login itself, the owner.

A generator that holds a scope open across `yield` lends it to whoever consumes it: open the scope around each step.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import connections
from django.dispatch import Signal

from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.roles import PEOPLE, PREFIX


@dataclass(frozen=True)
class Identity:
    """A database role, "" for the login itself, and the claims as JSON, "" for none. `read_only`: may not write."""

    role: str
    claims: str = ""
    read_only: bool = False


#: Of a user agent, more is not sent to the database.
AGENT_LENGTH = 500

ANONYMOUS = Identity("moeen_anon")
SERVICE = Identity("moeen_service")
AUTH = Identity("moeen_auth")
OPERATOR = Identity("")

#: Sent with `user`, `before` and `after` (of PEOPLE) when somebody switches to another role that they hold.
role_switched = Signal()

_scope: ContextVar[Identity | None] = ContextVar("identity", default=None)
_origin: ContextVar[str] = ContextVar("origin", default="")
_unbound = ANONYMOUS


class RoleNotHeld(MoeenError, PermissionDenied):
    """The person does not hold the role that was asked for. A web request ends as 403."""

    default_code = Code.PRIVILEGE

    def __init__(self, role: str) -> None:
        super().__init__(
            f"This person does not hold the role {role!r}.",
            next_step="Ask for a role that they hold, or have an administrator give them this one.",
            exit_code=FINDINGS,
        )


def current() -> Identity:
    """Who statements of this thread or task are run as."""
    found = _scope.get()
    return _unbound if found is None else found


def operate() -> None:
    """From now on, this process is an operator's wherever no scope says otherwise. For manage.py only."""
    global _unbound
    _unbound = OPERATOR


def serve() -> None:
    """The opposite of operate(), and what every process starts as."""
    global _unbound
    _unbound = ANONYMOUS


def operates() -> bool:
    """Whether unbound code of this process is an operator's."""
    return _unbound is OPERATOR


@contextmanager
def bound(identity: Identity) -> Iterator[Identity]:
    """The scope of any identity."""
    token = _scope.set(identity)
    try:
        yield identity
    finally:
        _scope.reset(token)


def origin() -> str:
    """Where statements of this thread or task come from: JSON of requested(), "" outside of requests."""
    return _origin.get()


@contextmanager
def requested(*, address: str = "", agent: str = "", request_id: str = "") -> Iterator[str]:
    """The scope of a request, whoever acts in it: what the audit log says of its address, user agent and id.

    `address` is an IP address or "". It is told, not signed: code in a request that runs SQL could say otherwise.
    """
    said = {"address": address or None, "agent": agent.replace("\0", "")[:AGENT_LENGTH], "id": request_id}
    with originating(json.dumps(said)) as told:
        yield told


@contextmanager
def originating(told: str) -> Iterator[str]:
    """The scope of an origin(), as it was told."""
    token = _origin.set(told)
    try:
        yield told
    finally:
        _origin.reset(token)


@contextmanager
def acting_as(user: Any, *, role: str | None = None, using: str = "default") -> Iterator[Identity]:
    """The scope of a person: an object with `pk`, `role`, `is_active`. Nobody, or somebody deactivated: `moeen_anon`.

    `role` is one of PEOPLE that the person holds besides the usual one; RoleNotHeld is raised otherwise.
    """
    with bound(of(user, role=role, using=using)) as identity:
        yield identity


@contextmanager
def acting_as_service() -> Iterator[Identity]:
    """The scope of the bot and of integrations."""
    with bound(SERVICE) as identity:
        yield identity


@contextmanager
def acting_as_auth() -> Iterator[Identity]:
    """The scope of signing in, of web sessions and of readiness. Nothing else may use it."""
    with bound(AUTH) as identity:
        yield identity


@contextmanager
def acting_as_operator() -> Iterator[Identity]:
    """The scope of the login itself: the owner, unless the login is one that owns nothing (WEB_DATABASE_URL)."""
    with bound(OPERATOR) as identity:
        yield identity


def of(user: Any, *, role: str | None = None, using: str = "default") -> Identity:
    """The identity of a person, see acting_as()."""
    if user is None or user.pk is None or not user.is_active:
        return ANONYMOUS
    taken = user.role if role is None else role.removeprefix(PREFIX)
    if taken not in PEOPLE or (taken != user.role and taken not in held_roles(user, using=using)):
        raise RoleNotHeld(taken)
    return person(str(user.pk), taken)


def person(user_id: str, role: str) -> Identity:
    """The identity of the person with this id in a role of PEOPLE, without asking whether it is held."""
    return Identity(PREFIX + role, json.dumps({"sub": user_id, "app_role": role}))


def acting_role(user: Any) -> str:
    """The role of PEOPLE that the person acts in here: the bound one where it is they who are bound, else the usual."""
    role = current().role.removeprefix(PREFIX)
    return role if role in PEOPLE and current().claims == person(str(user.pk), role).claims else str(user.role)


def held_roles(user: Any, *, using: str = "default") -> tuple[str, ...]:
    """The roles of PEOPLE that a person may act in, the usual one first; none for somebody deactivated."""
    with acting_as_auth(), connections[using].cursor() as cursor:
        cursor.execute("SELECT app.roles_of(%s)", [str(user.pk)])
        row = cursor.fetchone()
    return tuple(row[0]) if row else ()
