"""Signed identities: whoever can run SQL can set any setting, so what the engine binds is signed.

Signed are the key's id, the second of expiry since 1970, the role and the claims, a line each, by HMAC-SHA256
(RFC 2104). `app.is_bound()`, which a migration makes, checks it. The keys stand in `app.identity_keys`, which
the owner alone reads, and in the serving process's settings.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db import secret_files
from moeen.db.codes import Code
from moeen.db.errors import USAGE, ConfigurationError, MoeenError
from moeen.db.server_operation import ServerOperation

#: Seconds for which a signature holds; the engine renews it when half of them are over.
LIFETIME = 300
#: What to do where there is no key, or another database's.
SET_KEY = "Set IDENTITY_KEY to what `manage.py rotate_identity_key --print` says."
_NEWEST_FIRST = "SELECT id, secret FROM app.identity_keys ORDER BY created_at DESC, id"
#: What IDENTITY_KEY looks like.
FORM = re.compile(r"(?P<id>[0-9a-f]{8})\.(?P<secret>[0-9a-f]{64})")


class NotPrepared(MoeenError):
    """The roles or keys of row security are missing, or the login may not use them."""

    default_code = Code.IDENTITY


@dataclass(frozen=True)
class Key:
    """A key that identities are signed with: 8 hex digits that name it, and 32 bytes."""

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> Key:
        return cls(secrets.token_hex(4), secrets.token_bytes(32))

    @classmethod
    def parse(cls, text: str) -> Key:
        """The key from the text of IDENTITY_KEY. Raises ConfigurationError."""
        found = FORM.fullmatch(text)
        if found is None:
            raise ConfigurationError(
                "IDENTITY_KEY has another form than a key: 8 hex digits, a dot, 64 hex digits.",
                next_step="`manage.py rotate_identity_key --print` prints the key of this database.",
            )
        return cls(found["id"], bytes.fromhex(found["secret"]))

    def text(self) -> str:
        """What IDENTITY_KEY holds."""
        return f"{self.id}.{self.secret.hex()}"

    def sign(self, *, role: str, claims: str, expiry: int) -> str:
        """The value of the setting `moeen.signature`; `expiry` in seconds since 1970 by the server's clock."""
        mac = hmac.digest(self.secret, f"{self.id}\n{expiry}\n{role}\n{claims}".encode(), "sha256")
        return f"{self.id}.{expiry}.{mac.hex()}"


@dataclass(frozen=True)
class Signer:
    """What a connection signs with. `key` is None where the database knows no signatures yet (not migrated so far).

    `offset`: by how many seconds the server's clock is ahead of ours.
    """

    key: Key | None
    offset: float

    def sign(self, *, role: str, claims: str) -> str:
        """The signature, "" where the database knows none. Holds for LIFETIME seconds."""
        if self.key is None:
            return ""
        return self.key.sign(role=role, claims=claims, expiry=int(time.time() + self.offset) + LIFETIME)


def signer_for(connection: Any, *, configured: Key | None) -> Signer:
    """What a psycopg connection signs with; it acts as its login at this moment.

    The owner takes the newest key from the database; others the `configured` one. Raises NotPrepared when there is
    none.
    """
    with psycopg.Cursor(connection) as cursor:
        began = time.time()
        cursor.execute(_STANDING)
        now, readable = cursor.fetchone() or (began, None)
        offset = float(now) - (began + time.time()) / 2
        if readable is None:
            return Signer(None, offset)
        if readable and (row := cursor.execute(_NEWEST_FIRST).fetchone()):
            return Signer(Key(row[0], bytes(row[1])), offset)
        if configured:
            return Signer(configured, offset)
    raise NotPrepared(
        "The database asks for signed identities, and this process has no key to sign with.",
        next_step=SET_KEY,
        exit_code=USAGE,
    )


# By pg_class: to_regclass() fails for a login that may not use the schema.
_STANDING = """
    SELECT extract(epoch FROM clock_timestamp()),
           (SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
            FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname = 'app' AND c.relname = 'identity_keys')
"""


def keys(connection: BaseDatabaseWrapper | psycopg.Connection[Any]) -> list[Key]:
    """The keys that are valid, the newest first; none before the migration that makes their table. For the owner."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('app.identity_keys')")
        if cursor.fetchone() == (None,):
            return []
        cursor.execute(_NEWEST_FIRST)
        return [Key(id_, bytes(secret)) for id_, secret in cursor.fetchall()]


def add(connection: BaseDatabaseWrapper | psycopg.Connection[Any], key: Key) -> None:
    """Let the database know a key. It signs from now on; older ones stay valid."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT app.add_identity_key(%s, %s)", [key.id, key.secret])


def replace(connection: psycopg.Connection[Any], known: Sequence[Key]) -> None:
    """Let the database know these keys, the newest first, and no others."""
    connection.execute("DELETE FROM app.identity_keys")
    for key in reversed(known):
        add(connection, key)


def retire(connection: BaseDatabaseWrapper) -> list[str]:
    """Remove every key but the newest; their ids. What they signed is let through no more."""
    with connection.cursor() as cursor:
        cursor.execute("""
            DELETE FROM app.identity_keys
            WHERE id <> (SELECT id FROM app.identity_keys ORDER BY created_at DESC, id LIMIT 1) RETURNING id
        """)
        return sorted(id_ for (id_,) in cursor.fetchall())


def configured(connection: BaseDatabaseWrapper) -> Key | None:
    """The key of the connection's settings; as an object, so that no traceback shows it."""
    text = connection.settings_dict.get("IDENTITY_KEY")
    return Key.parse(text) if text else None


def ensure(connection: BaseDatabaseWrapper) -> None:
    """Let the database know the key of the connection's settings, or a new one where it knows none."""
    key = configured(connection)
    known = {each.id for each in keys(connection)}
    if key is not None:
        if key.id not in known:
            add(connection, key)
    elif not known:
        add(connection, Key.new())


def key_file(folder: Path, *, data_dir: Path | None) -> Path:
    """Where in `folder` the key of the embedded server's database stands; `data_dir`: its data, where not beside it."""
    mark = f"-{hashlib.sha256(str(data_dir).encode()).hexdigest()[:8]}" if data_dir else ""
    return folder / f"identity_key{mark}"


def keep(connection: BaseDatabaseWrapper, path: Path) -> None:
    """Keep the newest key in a file of its owner's, for serving processes that are no owner of the database."""
    text = next((key.text() for key in keys(connection)), "")
    if text and secret_files.read_if_may(path) != text:
        secret_files.write(path, text)


def standing(connection: BaseDatabaseWrapper) -> tuple[bool, str, str]:
    """Whether identities can be signed, what there is to say of it, and the next step ("" for none). For the owner."""
    known = [key.id for key in keys(connection)]
    if not known:
        return False, "no key, so nothing is signed", "manage.py migrate"
    key = configured(connection)
    if key is not None and key.id not in known:
        return False, f"IDENTITY_KEY names the key {key.id}, which the database does not know", SET_KEY
    if len(known) > 1:
        step = "restart what serves with the newest, then: manage.py rotate_identity_key --retire"
        return True, f"signed with {known[0]}; older keys are valid: {', '.join(known[1:])}", step
    return True, f"signed with the key {known[0]}", ""


class EnsureIdentityKey(ServerOperation):
    """A key for signing identities, made where there is none; the table goes with the file that makes it."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if not schema_editor.collect_sql:
            ensure(schema_editor.connection)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Nothing: see the class."""

    def describe(self) -> str:
        return "Make a key that signs who a transaction is"
