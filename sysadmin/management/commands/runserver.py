"""runserver: Django's. It serves, so it is nobody; only its look at the migrations is the operator's."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.staticfiles.management.commands import runserver
from django.core.management.commands.runserver import naiveip_re
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from moeen.db.archiving import keeping
from moeen.db.errors import USAGE, MoeenError
from moeen.db.security import identity, serving
from moeen.db.server import cluster


class Command(runserver.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        self._refuse_no_address(options["addrport"] or "")
        # Here and not where the server starts: the reloader would wait for a change of the code.
        serving.refuse_owner()
        keeping.ensure()
        super().handle(*args, **options)

    @staticmethod
    def _refuse_no_address(words: str) -> None:
        """A port that cannot be would end in the server's thread, and the reloader would wait for ever."""
        found = re.fullmatch(naiveip_re, words)
        port = found["port"] if found else words or "8000"
        if not (port.isascii() and port.isdigit() and 0 <= int(port) < 65536):
            raise MoeenError(
                f"{words!r} is neither a port up to 65535 nor ADDRESS:PORT.",
                next_step="`manage.py runserver 127.0.0.1:8000`, or no word at all.",
                exit_code=USAGE,
            )

    def check_migrations(self) -> None:
        serving_connection = connections[DEFAULT_DB_ALIAS]
        if serving_connection.settings_dict.get("EMBEDDED"):
            owners = connections.create_connection(DEFAULT_DB_ALIAS)
            owners.settings_dict = owners.settings_dict | {"USER": cluster.ROLE, "SERVES": False}
            connections[DEFAULT_DB_ALIAS] = owners
        try:
            with identity.acting_as_operator():
                super().check_migrations()
        except DatabaseError:
            # The web's own login (WEB_DATABASE_URL) may not read the record of migrations.
            self.stderr.write("The record of migrations cannot be read; `manage.py showmigrations` shows it.")
        finally:
            connections[DEFAULT_DB_ALIAS].close()
            connections[DEFAULT_DB_ALIAS] = serving_connection
