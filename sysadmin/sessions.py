"""Web sessions in the database, read and written as moeen_auth: no role of the clinic may see them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends import db
from django.db import router, transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

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


def of(user: Any, *, this: str | None) -> list[tuple[str, dict[str, Any], bool]]:
    """The live sessions of a person whose password is known: (name, what it holds, whether its key is `this`).

    The name is the key as the table has it, with which nobody signs in. One of an older password is none.
    """
    with identity.acting_as_auth():
        rows = list(SessionStore.get_model_class().objects.filter(expire_date__gt=timezone.now()))
    held = [(row.session_key, row.get_decoded()) for row in rows]
    password = user.get_session_auth_hash()
    return [
        (name, data, name == kept(this))
        for name, data in held
        if data.get(SESSION_KEY) == str(user.pk) and constant_time_compare(data.get(HASH_SESSION_KEY, ""), password)
    ]


def end_others(user: Any, *, this: str | None, name: str = "", why: str = "its person") -> int:
    """End the other sessions of a person, or the one of this name; recorded as theirs. How many there were."""
    rows = SessionStore.get_model_class().objects.exclude(session_key=kept(this))
    return _end(rows.filter(session_key=name) if name else rows, why=why, by=user, whose={str(user.pk)})


def end_all(people: Collection[Any], *, by: Any, why: str) -> int:
    """End every session of these people (users.id), recorded as the user's who acts; how many there were."""
    whose = {str(person) for person in people}
    return _end(SessionStore.get_model_class().objects.all(), why=why, by=by, whose=whose)


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
