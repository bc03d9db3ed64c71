"""Web sessions in the database, read and written as moeen_auth: no role of the clinic may see them."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends import db
from django.utils import timezone
from django.utils.crypto import salted_hmac

from moeen.db.security import identity


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
        with identity.acting_as_auth():
            super().clear_expired()

    @classmethod
    async def aclear_expired(cls) -> None:
        with identity.acting_as_auth():
            await super().aclear_expired()
