"""describe_schema: the entity diagram and the data dictionary, from the live catalog."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from moeen.db.schema import description
from sysadmin.management.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = (
        "Writes the entity diagram and the data dictionary from the live catalog: columns, rules, public ids, policies "
        "and comments. docs/schema.md is written by validate_schema --write-expected."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="The database to describe.")
        parser.add_argument("--format", choices=sorted(description.FORMS), default="markdown")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(description.describe(connections[options["database"]], form=options["format"]), ending="")
