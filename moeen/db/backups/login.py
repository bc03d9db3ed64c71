"""How PostgreSQL's own programs reach a server: exactly as a given connection did, and never less safely.

A password goes into a file that only this user may read, never onto a command line. Where the connection is
encrypted, the programs are told to insist on it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import pq

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

    @property
    def database(self) -> str:
        return self.parameters["dbname"]

    @property
    def user(self) -> str:
        return self.parameters["user"]

    def to(self, database: str) -> Login:
        """The same server, another database."""
        return replace(self, parameters={**self.parameters, "dbname": database})

    def connect(self, *, application: str, autocommit: bool = True) -> psycopg.Connection[tuple[Any, ...]]:
        words: dict[str, Any] = {**self.parameters, "application_name": application}
        words.setdefault("connect_timeout", "10")
        if self.password:
            words["password"] = self.password
        return psycopg.connect(**words, autocommit=autocommit)

    @contextmanager
    def environment(self, *, application: str) -> Iterator[dict[str, str]]:
        """The environment for a program that is to connect the same way; nothing else of PG* gets through."""
        names = {
            option.keyword.decode(): option.envvar.decode()
            for option in pq.Conninfo.get_defaults()
            if option.envvar
        }
        variables = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        variables |= {"LC_ALL": "C", "PGAPPNAME": application, "PGCONNECT_TIMEOUT": "10"}
        variables |= {names[key]: value for key, value in self.parameters.items() if key in names}
        variables.pop("PGPASSWORD", None)
        with tempfile.TemporaryDirectory(prefix="moeen-login-") as folder:
            passfile = Path(folder) / "passfile"
            passfile.touch(mode=0o600)
            if self.password:
                secret = self.password.replace("\\", "\\\\").replace(":", "\\:")
                passfile.write_text(f"*:*:*:*:{secret}\n", encoding="utf-8")
            variables["PGPASSFILE"] = str(passfile)
            yield variables
