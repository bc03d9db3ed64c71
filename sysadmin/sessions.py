"""Web sessions in the database, read and written as moeen_auth: no role of the clinic may see them."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends import db

from moeen.db.security import identity


class SessionStore(db.SessionStore):
    """Django's, with every statement bound."""

    def _get_session_from_db(self) -> Any:
        with identity.acting_as_auth():
            return super()._get_session_from_db()  # type: ignore[misc]

    async def _aget_session_from_db(self) -> Any:
        with identity.acting_as_auth():
            return await super()._aget_session_from_db()  # type: ignore[misc]

    def exists(self, session_key: str) -> bool:
        with identity.acting_as_auth():
            return super().exists(session_key)

    async def aexists(self, session_key: str) -> bool:
        with identity.acting_as_auth():
            return await super().aexists(session_key)

    def save(self, must_create: bool = False) -> None:
        with identity.acting_as_auth():
            super().save(must_create)

    async def asave(self, must_create: bool = False) -> None:
        with identity.acting_as_auth():
            await super().asave(must_create)

    def delete(self, session_key: str | None = None) -> None:
        with identity.acting_as_auth():
            super().delete(session_key)

    async def adelete(self, session_key: str | None = None) -> None:
        with identity.acting_as_auth():
            await super().adelete(session_key)

    @classmethod
    def clear_expired(cls) -> None:
        with identity.acting_as_auth():
            super().clear_expired()

    @classmethod
    async def aclear_expired(cls) -> None:
        with identity.acting_as_auth():
            await super().aclear_expired()
