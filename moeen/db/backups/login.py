"""How PostgreSQL's own programs reach a server: exactly as a given connection did, and never less safely.

A password goes by the environment, never onto a command line or a disk. Where the connection is encrypted, the programs
are told to insist on it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from moeen.db.engine import session
from moeen.db.errors import DATABASE_URL_FORM, USAGE, MoeenError
from moeen.db.security import planted
from moeen.db.server.sockets import addressed

#: What libpq would do without encryption, or with it only if the server likes.
_LAX = ("disable", "allow", "prefer", "")
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "KRB5CCNAME")


@dataclass(frozen=True)
class Login:
    """libpq's connection parameters without the password, and the password. `tls`: the connection is encrypted."""

    parameters: Mapping[str, str]
    password: str = field(default="", repr=False)
    tls: bool = False

    @classmethod
    def of(cls, connection: psycopg.Connection[Any]) -> Login:
        """The parameters that this open connection was made with; of several hosts, the one that answered."""
        info = connection.info
        parameters = {key: value for key, value in info.get_parameters().items() if value}
        parameters |= {"host": info.host, "port": str(info.port), "dbname": info.dbname, "user": info.user}
        if info.hostaddr and not info.host.startswith("/"):
            parameters["hostaddr"] = info.hostaddr
        parameters.pop("application_name", None)
        if info.host.startswith(("/", "@")):
            # TLS never applies to a unix socket; programs without it refuse the very word.
            parameters = {key: value for key, value in parameters.items() if not key.startswith("ssl")}
        tls = bool(connection.pgconn.ssl_in_use)
        if tls and parameters.get("sslmode", "") in _LAX:
            parameters["sslmode"] = "require"
        return cls(parameters, info.password, tls)

    @classmethod
    def of_wrapper(cls, connection: BaseDatabaseWrapper) -> Login:
        """The same for Django's connection, which is opened where it is not."""
        connection.ensure_connection()
        assert connection.connection is not None
        return cls.of(connection.connection)

    @classmethod
    def of_url(cls, url: str) -> Login:
        """For a URL that libpq takes; raises MoeenError, without repeating the URL, for another."""
        try:
            if not url.isprintable():
                raise psycopg.ProgrammingError("a line break, or another character that steers")
            parameters = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
        except psycopg.Error as error:
            raise MoeenError(
                "The URL of the database is malformed.",
                next_step=f"The wanted form: {DATABASE_URL_FORM}",
                exit_code=USAGE,
            ) from error
        password = parameters.pop("password", "")
        if "dbname" not in parameters:
            raise MoeenError(
                "The URL names no database.", next_step=f"The wanted form: {DATABASE_URL_FORM}", exit_code=USAGE
            )
        return cls(parameters, password)

    def settled(self) -> Login:
        """The same as the server answered it: with TLS insisted on where it was used. Connects once."""
        with self.connect(application="moeen") as connection:
            return Login.of(connection)

    @property
    def database(self) -> str:
        return self.parameters["dbname"]

    @property
    def dbname(self) -> str:
        """The database for a program's `--dbname`, which takes a bare name with a `=` in it for parameters, and would
        connect to a host that stands in it."""
        return make_conninfo(dbname=self.database)

    @property
    def user(self) -> str:
        return self.parameters["user"]

    def to(self, database: str, *, user: str = "", password: str = "") -> Login:
        """The same server, another database; as another role, if one is given."""
        parameters = {**self.parameters, "dbname": database, "user": user or self.user}
        return replace(self, parameters=parameters, password=password or self.password)

    @contextmanager
    def in_django(self, alias: str) -> Iterator[BaseDatabaseWrapper]:
        """Django's connection by this login, under an alias that is gone afterwards."""
        names = {"NAME": "dbname", "USER": "user", "HOST": "host", "PORT": "port"}
        entry: dict[str, Any] = {key: self.parameters.get(name, "") for key, name in names.items()}
        rest = {key: value for key, value in self.parameters.items() if key not in names.values()}
        entry |= {"ENGINE": "moeen.db.engine", "PASSWORD": self.password, "OPTIONS": rest}
        connections.settings[alias] = connections.configure_settings({"default": {}, alias: entry})[alias]
        try:
            yield connections[alias]
        finally:
            connections[alias].close()
            del connections[alias], connections.settings[alias]

    def connect(self, *, application: str, alone_for: str = "") -> psycopg.Connection[tuple[Any, ...]]:
        """A session in autocommit mode, pinned as an operator's is, but where a pooler shares it with others.

        `alone_for`: what needs a session of its own, whose settings and locks would otherwise stay with others, on a
        server that takes writes; raises session.Shared (3) behind such a pooler, session.OnStandby (3) in recovery.
        """
        try:
            connection = self._open(application, options=session.startup_options(self.parameters.get("options", "")))
        except psycopg.OperationalError as error:
            if not session.is_refused_parameter(error):
                raise
            connection = self._open(application)
        try:
            planted.refuse(connection)
            shared = session.is_shared(connection, lambda: self._open(application))
            if shared and alone_for:
                raise session.Shared(alone_for)
            if alone_for:
                session.refuse_standby(connection, alone_for)
            if not shared:
                session.pin(connection)
                # A database that is kept from changes is backed up, put back and replaced as others are.
                connection.execute("SET default_transaction_read_only = off")
        except BaseException:
            connection.close()
            raise
        return connection

    def _open(self, application: str, **more: str) -> psycopg.Connection[tuple[Any, ...]]:
        words: dict[str, Any] = {**self.parameters, "application_name": application, **more}
        words.setdefault("connect_timeout", "10")
        if self.password:
            words["password"] = self.password
        return psycopg.connect(**addressed(words), autocommit=True)

    def environment(self, *, application: str) -> dict[str, str]:
        """The environment for a program that is to connect the same way; nothing else of PG* gets through.

        It holds the password: unlike a file, it is gone when the program is, however that ends.
        """
        names = {
            option.keyword.decode(): option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar
        }
        variables = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        variables |= {"LC_ALL": "C", "PGAPPNAME": application, "PGCONNECT_TIMEOUT": "10"}
        variables |= {names[key]: value for key, value in self.parameters.items() if key in names}
        return variables | ({"PGPASSWORD": self.password} if self.password else {})
