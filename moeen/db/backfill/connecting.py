"""Connections of the backfill's own, beside Django's, which are bound to a thread and to whoever acts in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.engine import session


def connector(
    wrapper: BaseDatabaseWrapper,
    *,
    read_only: bool = False,
    what: str = "a backfill",
    application: str = "moeen backfill",
) -> Callable[[], psycopg.Connection[Any]]:
    """Makes connections: autocommit, as the role that logs in, each for one thread's use. Raises session.Shared."""
    session.refuse_unfit(wrapper, what)  # connects: starts the embedded server, and tells where it listens
    info = wrapper.connection.info
    params = {
        key: value
        for key, value in wrapper.get_connection_params().items()
        if key not in ("cursor_factory", "context", "prepare_threshold")
    }
    # Of a socket, "": PGHOSTADDR in the environment would lead elsewhere.
    params |= {"host": info.host, "hostaddr": "" if info.host.startswith(("/", "@")) else info.hostaddr}
    params |= {"port": info.port, "application_name": application, "autocommit": True}

    def new() -> psycopg.Connection[Any]:
        connection = psycopg.connect(**params)
        session.pin(connection)
        connection.read_only = read_only or None
        if read_only:
            connection.execute("SET default_transaction_read_only = on")
        return connection

    return new
