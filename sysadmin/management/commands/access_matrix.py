"""`manage.py access_matrix`: who may do what, as the database has it, and where that is not what was declared."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from moeen.db import schema
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.roles import OTHERS, PEOPLE
from moeen.db.security import access
from sysadmin.management import tables
from sysadmin.management.json_output import as_json
from sysadmin.management.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = (
        "Prints the effective matrix of tables, roles and commands. SIUD: select, insert, update, delete; a small "
        "letter: some rows only; a * after it: some columns only. Exit code 3 where it is not the declared one, or "
        "where rows are shown past it: by views, functions, copies, publications, settings or roles anywhere."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print cells and differences as one JSON object.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS)

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        access.refuse_never_migrated(connection)
        cells, found = access.effective(connection), access.differences(connection)
        past = schema.exposed(connection)
        if options["json"]:
            result = {
                "cells": [cell.as_dict() for cell in cells],
                "differences": [finding.as_dict() for finding in found],
                "exposures": [finding.as_dict() for finding in past],
            }
            self.stdout.write(as_json(result))
        else:
            self._print(cells)
        told = [("The matrix is not the declared one", found), ("Rows are shown past it", past)]
        if found or past:
            raise MoeenError(
                "\n".join(f"{what}:\n" + "\n".join(f.pretty() for f in some) for what, some in told if some),
                next_step="Take back what is too much; what is missing stands in the apps' sql folders. What is meant "
                "so is named in SCHEMA_ALLOWED.",
                exit_code=FINDINGS,
                code=Code.ACCESS_DIFFERS,
            )

    def _print(self, cells: list[access.Cell]) -> None:
        roles = [*PEOPLE, *OTHERS]
        shown: dict[tuple[str, str], str] = {}
        for cell in sorted(cells, key=lambda cell: "SIUD".index(cell.command)):
            letter = cell.command if cell.rows == "all" else cell.command.lower()
            key = cell.table, cell.role
            shown[key] = shown.get(key, "") + letter + ("*" if cell.columns else "")
        rows = [
            [table, *(shown.get((table, role), "-") for role in roles)]
            for table in sorted({cell.table for cell in cells})
        ]
        for line in tables.lines(["", *roles], rows, width=tables.width_of(self.stdout)):
            self.stdout.write(line)
