"""`manage.py version`: what to write into a report of a fault."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from moeen.db.version import read_versions
from sysadmin.management.json_output import as_json
from sysadmin.management.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = (
        "The versions of Moeen, Python, Django and psycopg, and of PostgreSQL where the database answers. Exit code 0 "
        "also where it does not."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, choices=tuple(connections), help="Which database.")
        parser.add_argument("--json", action="store_true", help="Print the versions as one JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        found = read_versions(connections[options["database"]])
        self.stdout.write(as_json(found.as_dict()) if options["json"] else found.pretty())
