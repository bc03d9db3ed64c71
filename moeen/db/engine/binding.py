"""Cursors that bind the transaction to the current identity before every statement that would run as another.

Bound are the role, the claims, and a signature over both, without which row security lets nothing through (see
security/signing.py). They are sent as parameters: the text of a statement is seen in pg_stat_activity by every session
of the same login.

The binding lasts until the transaction ends, and a connection outside of one is bound to nobody. Each binding sets the
application's name to a mark of its own. The server reports that name whenever it changes, also when a rollback to a
savepoint takes it back, so rollbacks and commits by other ways are seen, and what was undone is bound anew.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from ..errors import USAGE
from ..security import identity, reads, signing
from ..security.signing import NotPrepared, Signer
from ..sql import set_configs


@dataclass
class Binder:
    """What binding needs to know about a connection, and what it bound last.

    `timezone` is bound as well where no session state may be set, "" elsewhere. `patience`: seconds after which a
    person's statement is ended, 0 for no limit; half of it for locks. `configured`: IDENTITY_KEY, if there is one.
    `rebound`: whether the transaction has had more than one identity.
    """

    application: str
    timezone: str
    patience: int
    configured: signing.Key | None
    signer: Signer | None = None
    who: identity.Identity | None = None
    origin: str = ""
    rebound: bool = False
    mark: str = ""
    renew_at: float = 0.0


def prepare(connection: Any, *, timezone: str = "", patience: int = 0, identity_key: signing.Key | None = None) -> None:
    """Note what binding needs about a new connection, see Binder."""
    connection.moeen_binder = Binder(_application(connection), timezone, patience, identity_key)


@contextmanager
def bound(connection: Any) -> Iterator[None]:
    """Within it, the connection is in a transaction that is bound to the current identity.

    On an idle connection in autocommit mode that transaction is opened here, and committed at the end.
    """
    who = identity.current()
    status = connection.pgconn.transaction_status
    if status == TransactionStatus.IDLE:
        if not who.role:
            yield  # the login itself: nothing to bind
        elif connection.autocommit:
            with _transaction(connection, who):
                yield
        else:
            # psycopg opens the transaction with the first statement.
            _bind(connection, who, begin=True)
            yield
    else:
        if status == TransactionStatus.INTRANS and not _is_bound(connection, who):
            _bind(connection, who, begin=False)
        yield


def weaken(connection: Any) -> None:
    """Before a COMMIT: PostgreSQL fills cursors WITH HOLD then, and fires deferred triggers, as whoever is bound last.

    Where that need not be who made them, nobody is bound.
    """
    if connection.moeen_binder.rebound and connection.pgconn.transaction_status == TransactionStatus.INTRANS:
        with identity.bound(identity.ANONYMOUS), bound(connection):
            pass


def _application(connection: Any) -> str:
    reported: bytes = connection.pgconn.parameter_status(b"application_name") or b""
    return reported.decode()


def _is_bound(connection: Any, who: identity.Identity) -> bool:
    binder: Binder = connection.moeen_binder
    reported = _application(connection)
    if not who.role:
        return reported == binder.application
    same = who == binder.who and identity.origin() == binder.origin
    return same and reported == binder.mark and time.monotonic() < binder.renew_at


@contextmanager
def _transaction(connection: Any, who: identity.Identity) -> Iterator[None]:
    _bind(connection, who, begin=True)
    try:
        yield
    except BaseException:
        _give_up(connection)
        raise
    if connection.pgconn.transaction_status != TransactionStatus.IDLE:
        _execute(connection, b"COMMIT")


def _bind(connection: Any, who: identity.Identity, *, begin: bool) -> None:
    """Bind the transaction; with `begin` it has not begun, and is opened where psycopg does not do that."""
    binder: Binder = connection.moeen_binder
    signer = binder.signer
    # A database that knew no signatures may have been migrated meanwhile.
    first = bool(who.role) and (signer is None or signer.key is None)
    if first:
        signer = binder.signer = signing.signer_for(connection, configured=binder.configured)
    origin = identity.origin()
    mark = f"{binder.application[:46]} {secrets.token_hex(8)}" if who.role else binder.application
    values: dict[str, str | None] = {
        "role": who.role or "none",
        "request.jwt.claims": who.claims,
        # Older forms of the claims, which platforms' auth.uid() reads first.
        "request.jwt.claim": "",
        "request.jwt.claim.sub": "",
        "moeen.request": origin if who.role else "",
        "moeen.signature": signer.sign(role=who.role, claims=who.claims) if signer and who.role else "",
        # With off, a table whose policies would hide rows raises an error: an operator is never silently blind.
        "row_security": "on" if who.role else "off",
        "application_name": mark,
        # Temporary objects last: left out, they come first, as an operator's do.
        "search_path": "public, pg_temp" if who.role else "public",
    }
    if binder.timezone:
        values["TimeZone"] = binder.timezone
    if binder.patience and who.role:
        values |= {"statement_timeout": f"{binder.patience}s", "lock_timeout": f"{binder.patience * 500}ms"}
    if who.read_only and begin:
        values["transaction_read_only"] = "on"
    if begin and connection.autocommit:
        _execute(connection, b"BEGIN")
    _execute(connection, set_configs(tuple(values), local=True), list(values.values()))
    binder.rebound = not begin and (binder.rebound or binder.who != who)
    binder.who, binder.origin, binder.mark = who, origin, mark
    binder.renew_at = time.monotonic() + signing.LIFETIME / 2
    if first and signer and signer.key:
        _check(connection, signer.key)


def _check(connection: Any, key: signing.Key) -> None:
    """Once a connection: a signature that fits nothing would show empty tables and say no word."""
    with psycopg.Cursor(connection) as cursor:
        if cursor.execute("SELECT app.is_bound()").fetchone() != (True,):
            _give_up(connection)
            raise NotPrepared(
                f"IDENTITY_KEY names the key {key.id}, which this database does not know.",
                next_step=signing.SET_KEY,
                exit_code=USAGE,
            )


def _give_up(connection: Any) -> None:
    """End a transaction that was opened here; one of somebody else's is theirs to end."""
    if connection.autocommit and connection.pgconn.transaction_status in (
        TransactionStatus.INTRANS,
        TransactionStatus.INERROR,
    ):
        psycopg.ClientCursor(connection).execute(b"ROLLBACK")


def _execute(connection: Any, statement: str | bytes, values: list[str | None] | None = None) -> None:
    try:
        psycopg.Cursor(connection).execute(statement, values, prepare=False)
    except (psycopg.errors.InvalidParameterValue, psycopg.errors.InsufficientPrivilege) as error:
        if connection.pgconn.transaction_status == TransactionStatus.INERROR:
            _give_up(connection)
        words = error.diag.message_primary or ""
        if "role" not in words:
            raise
        raise NotPrepared(
            f"The database cannot tell who is asking: {words}.",
            next_step="Run `manage.py migrate`, which makes the roles; with WEB_DATABASE_URL, see "
            "`manage.py print_web_role_sql`.",
        ) from error


class _Binding:
    """Mixed into psycopg's cursors."""

    connection: Any
    _results: list[Any]

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        with bound(self.connection):
            done = super().execute(query, *args, **kwargs)  # type: ignore[misc]
            reads.seen(self.connection, query, self._results)
            return done

    def executemany(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        with bound(self.connection):
            done = super().executemany(query, *args, **kwargs)  # type: ignore[misc]
            reads.seen(self.connection, query, self._results)
            return done

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        reads.refuse("stream()")
        with bound(self.connection):
            yield from super().stream(*args, **kwargs)  # type: ignore[misc]

    @contextmanager
    def copy(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        reads.refuse("COPY")
        with bound(self.connection), super().copy(*args, **kwargs) as copy:  # type: ignore[misc]
            yield copy


class Cursor(_Binding, base.Cursor):  # type: ignore[misc, name-defined]
    """Django's usual cursor."""


class ServerBindingCursor(_Binding, base.ServerBindingCursor):  # type: ignore[misc, name-defined]
    """Django's cursor under the option `server_side_binding`."""


#: Django's cursor class -> ours.
CURSORS: dict[type, type] = {
    base.Cursor: Cursor,  # type: ignore[attr-defined]
    base.ServerBindingCursor: ServerBindingCursor,  # type: ignore[attr-defined]
}
