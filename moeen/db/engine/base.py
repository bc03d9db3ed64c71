"""The connection wrapper: boots the embedded server at the first connection, and refuses another project's.

Keys of a DATABASES entry beyond Django's own:
`EMBEDDED` (bool): the entry is the project's embedded server; HOST and PORT are found when it runs.
`PROJECT_REF` (str): the hosting project that HOST or USER must name, see `project.py`.
`IDENTITY_KEY` (str): the key that serving processes sign with, see `security/signing.py`.
`POOLED` (bool): a pooler stands between; nothing may be left behind in a session. Besides, it is found out.
`PATIENCE` (int): seconds after which a statement of a person is ended, 0 for never.
`SERVES` (bool): requests are served over it: only by a login that row security binds, see `web_login.py`.
"""

from __future__ import annotations

import os
import re
import sys
import time
from typing import Any

import psycopg
from django.conf import settings
from django.db.backends.postgresql import base

from moeen.db.security import identity, planted, signing, web_login
from moeen.db.server import project
from moeen.db.server.sockets import addressed

from . import binding, session
from .client import DatabaseClient
from .project import refuse_other_project
from .schema_editor import SchemaEditor

CONNECT_TIMEOUT = 10
# A server that was killed replays its log at the next start and refuses sessions until that is done.
RECOVERY_SECONDS = 120.0
# Besides, the kernel goes on accepting for a server that was killed until the last of its children is gone.
_PASSING = re.compile(r"database system is|Connection refused|closed the connection unexpectedly|No such file")


#: Addresses at which the login of this process was found to be one that may serve.
_examined: set[tuple[str, ...]] = set()


class DatabaseWrapper(base.DatabaseWrapper):
    client_class = DatabaseClient
    SchemaEditorClass = SchemaEditor
    #: Whether what stands between lets libpq's `options` through.
    _takes_options = True

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        params.setdefault("application_name", application_name(sys.argv))
        params.setdefault("connect_timeout", CONNECT_TIMEOUT)
        # What one person prepares in a session that others share would run as whoever comes next.
        params["prepare_threshold"] = None
        params["cursor_factory"] = binding.CURSORS[params["cursor_factory"]]
        if identity.operates() and not self.is_pooled and self._takes_options:
            params["options"] = session.startup_options(params.get("options") or os.environ.get("PGOPTIONS", ""))
        return addressed(params)

    @property
    def is_pooled(self) -> bool:
        """Nothing may be left behind in a session: by DATABASE_POOLED, or by what was found when connecting."""
        return bool(self.settings_dict.get("POOLED"))

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        try:
            connection = self._connect(conn_params)
        except psycopg.OperationalError as error:
            if not session.is_refused_parameter(error) or not self._takes_options:
                raise
            self._takes_options = False
            conn_params = self.get_connection_params()
            connection = self._connect(conn_params)
        try:
            if self.settings_dict.get("SERVES"):
                self._refuse_owner(connection)
            self._settle(connection, conn_params)
        except BaseException:
            connection.close()
            raise
        binding.prepare(
            connection,
            timezone=self.timezone_name if self.is_pooled else "",
            patience=self.settings_dict.get("PATIENCE", 0),
            identity_key=signing.configured(self),
        )
        return connection

    def init_connection_state(self) -> None:
        with identity.acting_as_operator():  # the session's own settings need no binding
            super().init_connection_state()

    def _settle(self, connection: Any, conn_params: dict[str, Any]) -> None:
        """Find out whether sessions are shared, and pin what an operator's relies on where they are not."""
        connection.autocommit = True
        operates = identity.operates()
        if operates:
            planted.refuse(connection)
            pooled = session.is_shared(connection, lambda: self._connect(conn_params))
        else:
            pooled = session.is_behind_pooler(connection)
        if operates and not pooled:
            session.pin(connection)
        if operates or pooled:
            self._note_pooled(pooled)
        connection.autocommit = False  # Django sets what its settings say

    def _note_pooled(self, pooled: bool) -> None:
        self.settings_dict["POOLED"] = self.settings_dict["DISABLE_SERVER_SIDE_CURSORS"] = pooled

    def ensure_timezone(self) -> bool:
        # Behind a pooler each transaction sets it for itself.
        return False if self.is_pooled else super().ensure_timezone()

    def chunked_cursor(self) -> Any:
        # The rows of a server-side cursor are computed when they are fetched, perhaps in another scope.
        return super().chunked_cursor() if identity.current() is identity.OPERATOR else self.cursor()

    def _savepoint(self, sid: str) -> None:
        """A rollback to it restores who was bound at it, also for a text of several statements: so nobody is."""
        if identity.current() is identity.OPERATOR:
            super()._savepoint(sid)  # type: ignore[misc]
            return
        with binding.bound(self.connection):  # the transaction begins as whoever acts
            pass
        with identity.bound(identity.ANONYMOUS):
            super()._savepoint(sid)  # type: ignore[misc]

    def _commit(self) -> None:
        if self.connection is not None:
            binding.weaken(self.connection)
        super()._commit()  # type: ignore[misc]

    def _refuse_owner(self, connection: Any) -> None:
        """Once for each address: whether the login of a process that serves is one that row security binds."""
        words = self.settings_dict
        address = tuple(str(words.get(key, "")) for key in ("HOST", "PORT", "NAME", "USER"))
        if address in _examined:
            return
        if settings.WEB_LOGIN:
            web_login.refuse_powerful(connection)
            connection.rollback()  # Django sets autocommit later
        elif not settings.DEBUG:
            raise web_login.served_by_owner(str(words["USER"]), str(words["NAME"]))
        _examined.add(address)

    def _connect(self, conn_params: dict[str, Any]) -> Any:
        refuse_other_project(self.settings_dict)
        if not self.settings_dict.get("EMBEDDED"):
            return super().get_new_connection(conn_params)
        server = project.configured_server()
        deadline = time.monotonic() + RECOVERY_SECONDS
        mended = False
        while True:
            address = server.ensure_running()
            try:
                there = {**conn_params, "host": address.host, "port": address.port}
                return super().get_new_connection(addressed(there))
            except psycopg.OperationalError as error:
                words = str(error)
                if self.settings_dict.get("SERVES") and f'role "{conn_params["user"]}" does not exist' in words:
                    raise web_login.NotMade(
                        f"The embedded database has no login {conn_params['user']} for the web yet.",
                        next_step="Run `make migrate` (or `manage.py migrate`), which makes it.",
                    ) from error
                if "does not exist" in words and conn_params["dbname"] == server.database and not mended:
                    # Dropped by hand, or a start that was killed before it came to this.
                    server.ensure_database(address)
                    mended = True
                elif not _PASSING.search(words) or time.monotonic() > deadline:
                    raise
                else:
                    time.sleep(0.05)


def application_name(argv: list[str]) -> str:
    """`moeen <command>`, as pg_stat_activity shows it; at most 63 bytes of ASCII."""
    words = argv[1:2] if os.path.basename(argv[0] if argv else "") == "manage.py" else []
    command = "".join(character for character in (words[0] if words else "") if character.isascii())
    return f"moeen {command}".strip()[:63]
