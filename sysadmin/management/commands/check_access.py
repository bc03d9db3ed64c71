"""`manage.py check_access --as USER_OR_ROLE`: what somebody may do to a table, or why they may do it to one row."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.errors import FINDINGS, USAGE, MoeenError
from moeen.db.security import access, why
from moeen.db.security.rights import COMMANDS
from sysadmin.management.json_output import as_json
from sysadmin.management.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = (
        "With --table: what a user or a role may do to it, by which policy, and how many rows that is. With --why: why "
        "they may do something to one row, or why not: privileges, the conditions of policies, each evaluated as them "
        "over that row, triggers. Changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--as", dest="who", required=True, metavar="USER_OR_ROLE", help="E-mail address, public id, id, or a role."
        )
        parser.add_argument("--table", help="The table; with --why, the one that has a row of this key.")
        parser.add_argument("--role", help="A further role that the user holds, in place of the usual one.")
        parser.add_argument("--why", metavar="ROW", help="The public id of a row, or with --table its key.")
        parser.add_argument("--command", choices=tuple(COMMANDS.values()), help="With --why. SELECT if none is named.")
        parser.add_argument("--column", help="With --why: this column of the row.")
        parser.add_argument("--to", metavar="VALUE", help="With --column: to change it to this value.")
        parser.add_argument(
            "--try",
            dest="attempt",
            action="store_true",
            help="With --command UPDATE or DELETE: do it as them and roll it back, to hear triggers and constraints. "
            "The row is locked for as long.",
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS)

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        access.refuse_never_migrated(connection)
        found = self._why(connection, options) if options["why"] else self._table(connection, options)
        self.stdout.write(as_json(found.as_dict()) if options["json"] else "\n".join(found.lines()))
        if isinstance(found, why.Why) and found.contradicted:
            self.stderr.write("The database lets through what its policies refuse: `manage.py validate_schema`.")
            sys.exit(FINDINGS)

    def _table(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> access.Access:
        if not options["table"] or any(options[name] for name in ("command", "column", "to", "attempt")):
            raise MoeenError(
                "What is asked about?",
                next_step="Name a --table, or a row by --why, which --command, --column, --to and --try go with.",
                exit_code=USAGE,
            )
        return access.check(connection, who=options["who"], table=options["table"], role=options["role"])

    def _why(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> why.Why:
        changed = options["to"] is not None
        if changed and not options["column"]:
            raise MoeenError("--to goes with --column.", next_step="Name the column.", exit_code=USAGE)
        return why.explain(
            connection,
            access.subject(connection, options["who"], options["role"]),
            why.Question(
                row=options["why"],
                command=options["command"] or ("UPDATE" if changed else "SELECT"),
                column=options["column"] or "",
                changes={options["column"]: options["to"]} if changed else {},
                table=options["table"] or "",
                attempt=options["attempt"],
            ),
        )
