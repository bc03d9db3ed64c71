"""`manage.py print_web_role_sql`: how to make the login that WEB_DATABASE_URL names."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.db import connection

from moeen.db.security import access, web_login
from sysadmin.management.arguments import name
from sysadmin.management.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = (
        "Prints SQL for an administrator: a login that owns nothing and can only take the moeen_* roles. Run it after "
        "migrate, set a password, then name the login in WEB_DATABASE_URL."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--login", type=name, help="Its name (default: web_ and the database's name).")
        parser.add_argument("--postgrest", action="store_true", help="Also what PostgREST's login needs.")

    def handle(self, *args: Any, **options: Any) -> None:
        database = str(connection.settings_dict["NAME"])
        login = options["login"] or web_login.name_for(database)
        self.stdout.write(access.web_role_sql(login=login, database=database, api=options["postgrest"]))
