"""runserver: Django's. It serves, so it is nobody; only its look at the migrations is the operator's."""

from __future__ import annotations

from django.contrib.staticfiles.management.commands import runserver
from django.db import DatabaseError

from moeen.db.security import identity


class Command(runserver.Command):
    def check_migrations(self) -> None:
        try:
            with identity.acting_as_operator():
                super().check_migrations()
        except DatabaseError:
            # The web's own login (WEB_DATABASE_URL) may not read the record of migrations.
            self.stderr.write("The record of migrations cannot be read; `manage.py showmigrations` shows it.")
