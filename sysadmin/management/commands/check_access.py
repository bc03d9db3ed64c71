"""`manage.py check_access --as USER_OR_ROLE --table T`: what somebody may do there, and how many rows they see."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DEFAULT_DB_ALIAS, connections

from moeen.db.security import access
from sysadmin.management.json_output import as_json


class Command(BaseCommand):
    help = "Shows what a user or a role may do to a table, by which policy, and how many rows that is. Changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--as", dest="who", required=True, metavar="USER_OR_ROLE", help="E-mail address, public id, id, or a role."
        )
        parser.add_argument("--table", required=True)
        parser.add_argument("--role", help="A further role that the user holds, in place of the usual one.")
        parser.add_argument("--json", action="store_true")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS)

    def handle(self, *args: Any, **options: Any) -> None:
        found = access.check(
            connections[options["database"]], who=options["who"], table=options["table"], role=options["role"]
        )
        self.stdout.write(as_json(found.as_dict()) if options["json"] else "\n".join(found.lines()))
