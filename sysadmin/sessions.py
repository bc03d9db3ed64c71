"""Web sessions in the database, read and written as moeen_auth: no role of the clinic may see them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db
from django.db import router, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from moeen.db.security import identity, sign_ins


def kept(session_key: str | None) -> str:
    """What stands in the table for the key that the browser holds: whoever learns it there can sign in with nothing.

    Row security keeps the rows from everybody, but what an index or a plan tells of a column cannot be kept from who
    runs SQL as moeen_auth (docs/row-security.md, "Not promised"). Keyed with SECRET_KEY; 160 bits, as the column holds.
    """
    return salted_hmac("sysadmin.sessions", session_key or "", algorithm="sha256").hexdigest()[:40]


class SessionStore(db.SessionStore):
    """Django's, with every statement bound, and no key of a session in the database."""

    def _get_session_from_db(self) -> Any:
        with identity.acting_as_auth():
            found = self._rows().first()
        if found is None:
            self._session_key = None
        return found

    async def _aget_session_from_db(self) -> Any:
        with identity.acting_as_auth():
            found = await self._rows().afirst()
        if found is None:
            self._session_key = None
        return found

    def _rows(self) -> Any:
        return self.model.objects.filter(session_key=kept(self.session_key), expire_date__gt=timezone.now())

    def create_model_instance(self, data: Any) -> Any:
        made = super().create_model_instance(data)
        made.session_key = kept(self.session_key)
        return made

    async def acreate_model_instance(self, data: Any) -> Any:
        made = await super().acreate_model_instance(data)
        made.session_key = kept(self.session_key)
        return made

    def exists(self, session_key: str) -> bool:
        with identity.acting_as_auth():
            return super().exists(kept(session_key))

    async def aexists(self, session_key: str) -> bool:
        with identity.acting_as_auth():
            return await super().aexists(kept(session_key))

    def save(self, must_create: bool = False) -> None:
        with identity.acting_as_auth():
            super().save(must_create)

    async def asave(self, must_create: bool = False) -> None:
        with identity.acting_as_auth():
            await super().asave(must_create)

    def delete(self, session_key: str | None = None) -> None:
        with identity.acting_as_auth():
            super().delete(kept(session_key or self.session_key))

    async def adelete(self, session_key: str | None = None) -> None:
        with identity.acting_as_auth():
            await super().adelete(kept(session_key or self.session_key))

    @classmethod
    def clear_expired(cls) -> None:
        _end(cls.get_model_class().objects.filter(expire_date__lt=timezone.now()), why="expired")

    @classmethod
    async def aclear_expired(cls) -> None:
        await sync_to_async(cls.clear_expired)()


@dataclass(frozen=True)
class Open:
    """A session that has not ended. `handle` names it, and opens nothing; `role`: "" for the usual one.

    `address` and `agent`: of the request that signed in, "" where it did not say.
    """

    handle: str
    begun: datetime | None
    seen: datetime | None
    expires: datetime
    role: str
    address: str
    agent: str


#: As many characters of a kept key as tell sessions apart; nothing is done with them but here.
_HANDLE = 12


def handle(session_key: str | None) -> str:
    """The handle of the session whose key the browser holds."""
    return kept(session_key)[:_HANDLE]


def of(person: Any) -> list[Open]:
    """The open sessions of a person (users.id), the one that was seen last first."""
    with identity.acting_as_auth():
        rows = list(SessionStore.get_model_class().objects.filter(expire_date__gt=timezone.now()))
    found = [(row, data) for row in rows if (data := row.get_decoded()).get(SESSION_KEY) == str(person)]
    opened = [
        Open(
            row.session_key[:_HANDLE],
            _moment(data.get("begun_at")),  # these and the role are kept by the middleware
            _moment(data.get("seen_at")),
            row.expire_date,
            str(data.get("acting_role", "")),
            str(data.get("address", "")),
            str(data.get("agent", "")),
        )
        for row, data in found
    ]
    return sorted(opened, key=lambda one: one.seen or one.expires, reverse=True)


def end_one(person: Any, named: str, *, by: Any, why: str) -> int:
    """End the one session of a person (users.id) of this handle, as end_all(); 0 where it has ended already."""
    if len(named) != _HANDLE:
        return 0
    rows = SessionStore.get_model_class().objects.filter(session_key__startswith=named)
    return _end(rows, why=why, by=by, whose={str(person)})


def _moment(seconds: Any) -> datetime | None:
    return datetime.fromtimestamp(seconds, tz=UTC) if isinstance(seconds, int) else None


def end_all(people: Collection[Any], *, by: Any, why: str, but: str = "") -> int:
    """End every session of these people (users.id), recorded as the user's who acts; how many there were.

    `but`: the handle of one that stays.
    """
    whose = {str(person) for person in people}
    rows = SessionStore.get_model_class().objects.all()
    return _end(rows.exclude(session_key__startswith=but) if but else rows, why=why, by=by, whose=whose)


def _end(rows: Any, *, why: str, by: Any = None, whose: Collection[str] | None = None) -> int:
    """Delete these sessions, of all or of some people; an entry for each that was somebody's. How many those were.

    Whose a session is stands in its data, which no query looks into.
    """
    ended = 0
    with transaction.atomic(using=router.db_for_write(rows.model)):
        with identity.acting_as_auth():
            found = [(row, row.get_decoded().get(SESSION_KEY)) for row in rows]
        for row, person in found:
            if whose is not None and person not in whose:
                continue
            with identity.acting_as_auth():
                row.delete()
            if person is not None:
                sign_ins.record(sign_ins.SESSION_ENDED, by=by, person=person, after=why)
                ended += 1
    return ended
