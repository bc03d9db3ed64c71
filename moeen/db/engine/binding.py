"""Cursors that bind the transaction to the current identity before every statement that would run as another.

The binding lasts until the transaction ends, and a connection outside of one is bound to nobody. What is bound is not
remembered here but read from the application's name, which the server itself reports (see identity.binding_sql), so
rollbacks to savepoints and commits by other ways are seen as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from moeen.db.security import identity

from ..errors import MoeenError


class NotPrepared(MoeenError):
    """The roles of row security are missing, or the login may not become them."""


def prepare(connection: Any, *, timezone: str = "") -> None:
    """Note what binding needs about a new connection. `timezone` is bound as well where no session state may be set."""
    connection.moeen_application = _application(connection)
    connection.moeen_timezone = timezone


@contextmanager
def bound(connection: Any) -> Iterator[None]:
    """Within it, the connection is in a transaction that is bound to the current identity.

    On an idle connection in autocommit mode that transaction is opened here, and committed at the end.
    """
    who = identity.current()
    name = connection.moeen_application
    mark = identity.application_mark(who, name)
    status = connection.pgconn.transaction_status
    if status == TransactionStatus.IDLE:
        if not who.role:
            yield  # the login itself: nothing to bind
        elif connection.autocommit:
            with _transaction(connection, who, mark):
                yield
        else:
            # psycopg opens the transaction with the first statement.
            _bind(connection, who, mark, begin=True)
            yield
    else:
        if status == TransactionStatus.INTRANS and _application(connection) != mark:
            _bind(connection, who, mark, begin=False)
        yield


def _application(connection: Any) -> str:
    reported: bytes = connection.pgconn.parameter_status(b"application_name") or b""
    return reported.decode()


@contextmanager
def _transaction(connection: Any, who: identity.Identity, mark: str) -> Iterator[None]:
    _execute(connection, b"BEGIN; " + _statement(connection, who, mark, begin=True))
    try:
        yield
    except BaseException:
        if connection.pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            _execute(connection, b"ROLLBACK")
        raise
    if connection.pgconn.transaction_status != TransactionStatus.IDLE:
        _execute(connection, b"COMMIT")


def _bind(connection: Any, who: identity.Identity, mark: str, *, begin: bool) -> None:
    _execute(connection, _statement(connection, who, mark, begin=begin))


def _statement(connection: Any, who: identity.Identity, mark: str, *, begin: bool) -> bytes:
    return identity.binding_sql(who, application=mark, timezone=connection.moeen_timezone, begin=begin)


def _execute(connection: Any, statement: bytes) -> None:
    try:
        psycopg.ClientCursor(connection).execute(statement)
    except (psycopg.errors.InvalidParameterValue, psycopg.errors.InsufficientPrivilege) as error:
        if connection.autocommit and connection.pgconn.transaction_status == TransactionStatus.INERROR:
            psycopg.ClientCursor(connection).execute(b"ROLLBACK")
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

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        with bound(self.connection):
            return super().execute(*args, **kwargs)  # type: ignore[misc]

    def executemany(self, *args: Any, **kwargs: Any) -> Any:
        with bound(self.connection):
            return super().executemany(*args, **kwargs)  # type: ignore[misc]

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        with bound(self.connection):
            yield from super().stream(*args, **kwargs)  # type: ignore[misc]

    @contextmanager
    def copy(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
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
