"""validate_schema: is the database what the code says?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from moeen.db import schema
from moeen.db.errors import FINDINGS, USAGE, MoeenError
from moeen.db.explain import named_by
from moeen.db.history import reports
from moeen.db.kinds import Kind
from moeen.db.schema import description, fix_script
from sysadmin.management import from_nothing
from sysadmin.management.json_output import as_json
from sysadmin.management.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = (
        "Holds the database against the catalog that the code expects and looks at public ids, prefixes, sequences, "
        "backfills and applied migrations, and for what a restore of its backup could not bring back. Changes nothing "
        "in it. Exit code 0: nothing found; 3: findings; 1: could not check."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--database", default=DEFAULT_DB_ALIAS, choices=tuple(connections), help="The database to check."
        )
        parser.add_argument("--json", action="store_true", help="Print the result as one JSON object.")
        parser.add_argument(
            "--app",
            choices=[config.label for config in apps.get_app_configs()],
            metavar="LABEL",
            help="Only the tables and migrations of this app.",
        )
        parser.add_argument(
            "--deep",
            action="store_true",
            help="Look through large tables, too, for rows that a valid foreign key forbids.",
        )
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--sql", action="store_true", help="Print SQL that mends what was found.")
        what.add_argument("--against", metavar="URL", help="Compare with this database instead.")
        what.add_argument(
            "--write-expected",
            action="store_true",
            help="Write the expected catalog and docs/schema.md: what today's migrations make from nothing, on a "
            "throwaway server. The database itself is not looked at.",
        )
        what.add_argument("--adoption", action="store_true", help="Report what migrate will do to an older database.")

    def handle(self, *args: Any, **options: Any) -> None:
        _refuse_together(options, "app", ("against", "adoption", "write_expected"))
        _refuse_together(options, "json", ("sql", "write_expected"))
        if options["write_expected"]:
            self._write_expected()
            return
        connection = connections[options["database"]]
        if options["adoption"]:
            from moeen.db.migrate import adoption_report  # what migrate consists of, which nothing else here needs

            report = adoption_report.report(connection)
            self.stdout.write(as_json(report.as_dict()) if options["json"] else report.pretty())
            sys.exit(FINDINGS if report.refused else 0)
        result = self._check(connection, options)
        schema.log(result)
        if not options["against"] and not options["app"]:
            reports.keep(connection, reports.VALIDATION, ok=result.ok, report=result.report())
        if options["sql"]:
            self.stdout.write(fix_script.script(result.findings))
        else:
            self.stdout.write(as_json(result.as_dict()) if options["json"] else result.pretty())
        behind = sum(finding.kind is Kind.MIGRATION_MISSING for finding in result.findings)
        if behind:
            self.stderr.write(f"{behind} migrations are not applied; most of this is what they make: manage.py migrate")
        if not result.ok:
            sys.exit(FINDINGS)

    def _write_expected(self) -> None:
        self.stderr.write("Migrating a database from nothing ...")
        path = Path(apps.get_app_config("sysadmin").path) / schema.EXPECTED
        document = Path(settings.BASE_DIR) / "docs" / "schema.md"
        with from_nothing.migrated() as connection:
            form = schema.write_expected(connection, path)
            document.write_text(description.describe(connection, form="markdown"), encoding="utf-8")
        self.stdout.write(f"{path}: fingerprint {form.fingerprint}")
        self.stdout.write(str(document))

    def _check(self, connection: Any, options: dict[str, Any]) -> schema.Validation:
        if options["against"]:
            with named_by("--against"):
                other = schema.connect(options["against"], alias="against")
            return schema.compare_databases(other, connection)
        if options["app"]:
            models = apps.get_app_config(options["app"]).get_models(include_auto_created=True)
            tables = {model._meta.db_table for model in models}
            return schema.validate(
                connection, tables=tables, apps_only=[options["app"]], advice=True, deep=options["deep"]
            )
        return schema.validate(connection, advice=True, deep=options["deep"])


def _refuse_together(options: dict[str, Any], name: str, others: tuple[str, ...]) -> None:
    for other in others:
        if options[name] and options[other]:
            words = f"--{name} and --{other.replace('_', '-')}"
            raise MoeenError(f"{words} do not go together.", exit_code=USAGE)
