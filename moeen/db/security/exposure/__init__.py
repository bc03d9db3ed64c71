"""What shows rows past row security, wherever it stands: in any schema, in settings, in roles of the server.

Held against no list of what is expected: whatever can reach our tables is found by the catalog's own dependencies,
access lists and owners. The hosting platform's own things are known by their owner. What a clinic wants so is named in
SCHEMA_ALLOWED. Apps have their own questions asked too (registry.DatabaseFacts.exposure_checks).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db import entrance, registry
from moeen.db.findings import Finding, unique
from moeen.db.roles import ROLES
from moeen.db.security.exposure import objects, surroundings
from moeen.db.security.exposure.question import Words
from moeen.db.security.strangers import strange_schemas
from moeen.db.security.trust import AUTHENTICATOR, PLATFORM_ADMINISTRATORS, PLATFORM_OWNERS, PLATFORM_ROLES


def findings(connection: BaseDatabaseWrapper, *, tables: Collection[str]) -> tuple[Finding, ...]:
    """Everything found, sorted. ``tables``: the names of our relations in schema public. Writes nothing."""
    words: Words = {
        "tables": list(tables),
        "roles": list(ROLES),
        "platform": list(PLATFORM_ROLES),
        "known": list(PLATFORM_OWNERS),
        "administrators": list(PLATFORM_ADMINISTRATORS),
        "api": [AUTHENTICATOR],
    }
    with transaction.atomic(using=connection.alias):
        return unique(_asked(connection, words))


def _owner_unless_held(connection: BaseDatabaseWrapper) -> str | None:
    """The owner of our tables, where the login has not its rights: what is the owner's is no stranger's to it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT pg_get_userbyid(relowner) FROM pg_class
               WHERE oid = to_regclass('public.django_migrations') AND NOT pg_has_role(relowner, 'USAGE')"""
        )
        found = cursor.fetchone()
    return str(found[0]) if found else None


def _asked(connection: BaseDatabaseWrapper, words: Words) -> Iterator[Finding]:
    for ask in (*objects.QUESTIONS, *surroundings.QUESTIONS):
        with connection.cursor() as cursor:
            yield from ask(cursor, words)
    yield from entrance.findings(entrance.look(connection))
    yield from strange_schemas(connection, viewer=_owner_unless_held(connection))
    for check in registry.exposure_checks():
        yield from check(connection)
