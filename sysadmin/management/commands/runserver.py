"""runserver: Django's. It serves, so it is nobody; only its look at the migrations is the operator's."""

from __future__ import annotations

from typing import Any

from django.contrib.staticfiles.management.commands import runserver
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from moeen.db.archiving import keeping
from moeen.db.security import identity, serving
from moeen.db.server import cluster


class Command(runserver.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        # Here and not where the server starts: the reloader would wait for a change of the code.
        serving.refuse_owner()
        keeping.ensure()
        super().handle(*args, **options)

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
