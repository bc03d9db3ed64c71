"""`manage.py lint_migrations`: squawk over the SQL of every migration, one at a time."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings

from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, USAGE, MoeenError
from moeen.db.lint import squawk
from sysadmin.management.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = (
        "Runs squawk over the SQL of the project's migrations, as it would run on tables that stand. No database is "
        "needed. What squawk does not see is looked at by the system checks (`check`; moeen.E101 and further). "
        "Exit code 3: findings."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("migrations", nargs="*", metavar="APP.NAME", help="Only these (default: all).")
        parser.add_argument("--sql", action="store_true", help="Print the scripts instead.")

    def handle(self, *args: Any, migrations: list[str], **options: Any) -> None:
        scripts = dict(squawk.scripts())
        if unknown := set(migrations) - scripts.keys():
            raise MoeenError(f"There is no migration {', '.join(sorted(unknown))}.", exit_code=USAGE)
        wanted = {name: sql for name, sql in scripts.items() if not migrations or name in migrations}
        if options["sql"]:
            self.stdout.write("\n".join(f"-- {name}\n{sql}" for name, sql in wanted.items()))
            return
        config = Path(settings.BASE_DIR) / ".squawk.toml"
        found = [violation for name, sql in wanted.items() for violation in squawk.run(name, sql, config=config)]
        for violation in found:
            self.stdout.write(violation.pretty())
        self.stderr.write(f"squawk: {len(wanted)} migrations, {len(found)} findings.")
        if found:
            raise MoeenError(
                f"{len(found)} findings.",
                next_step="See --sql APP.NAME for the script a line belongs to.",
                exit_code=FINDINGS,
                code=Code.LINT,
            )
