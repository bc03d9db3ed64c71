"""`manage.py seed_demo`: a demo clinic in an empty database, and a login for each role."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import date
from pathlib import Path
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils import timezone, translation

from moeen.db.errors import USAGE, MoeenError, of_file
from sysadmin.management import demo_clinic as demo
from sysadmin.management.arguments import whole
from sysadmin.management.json_output import as_json
from sysadmin.management.operator_command import OperatorCommand
from sysadmin.management.progress import Display


def day(text: str) -> date:
    """A date as 2026-11-26."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no date such as 2026-11-26") from None


class Command(OperatorCommand):
    help = (
        f"Fills a migrated database that nobody has used yet with a demo clinic: people with Arabic names, {demo.DAYS} "
        "days of appointments back and ahead, every status of each table, and a login for each role, whose password "
        "is printed this once. The same seed and day make the same rows. Where the demo clinic stands already, its "
        "logins get new passwords and nothing else changes; where anybody else's rows stand, nothing is done (3)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        words = "another number makes another clinic (1)"
        parser.add_argument("--seed", type=whole, default=1, metavar="N", help=words)
        parser.add_argument("--today", type=day, metavar="DATE", help="the middle of its calendar; today by default")
        words = "one password for all logins, on the first line of a file, or - for stdin; one is made up for each"
        parser.add_argument("--password-file", default="", metavar="FILE", help=words)
        words = "where it is not the embedded database: the name of the one that is meant to be filled"
        parser.add_argument("--expect", default="", metavar="DATABASE", help=words)
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="the alias of the database (DATABASES)")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        self._refuse_unless_meant(connection.settings_dict, expected=options["expect"])
        password = self._password(options["password_file"]) if options["password_file"] else ""
        with Display(self.stderr) as display:
            done = demo.seed(
                connection,
                seed=options["seed"],
                today=options["today"] or timezone.localdate(),
                password=password,
                tell=lambda done, total: display.show("rows", done, total),
            )
        self.stdout.write(as_json(done.as_dict()) if options["json"] else self._told(done))

    @staticmethod
    def _refuse_unless_meant(words: dict[str, Any], *, expected: str) -> None:
        name = str(words["NAME"])
        if expected == name or (words.get("EMBEDDED") and not expected):
            return
        raise MoeenError(
            f"Database {name} is not the embedded one." if not expected else f"--expect names {expected}, not {name}.",
            next_step=f"Say --expect {name} if a demo clinic is meant to be put into it.",
            exit_code=USAGE,
        )

    @staticmethod
    def _password(place: str) -> str:
        """The password of the file, which a command line would show to everybody on the machine."""
        try:
            text = sys.stdin.readline() if place == "-" else Path(place).read_text(encoding="utf-8")
            password = text.partition("\n")[0].rstrip("\r")
            with translation.override("en"):
                validate_password(password)
        except (OSError, UnicodeDecodeError) as error:
            raise MoeenError(f"{place} cannot be read: {of_file(error)}.", exit_code=USAGE) from None
        except ValidationError as error:
            raise MoeenError(f"The password is not taken: {' '.join(error.messages)}", exit_code=USAGE) from None
        return password

    @staticmethod
    def _told(done: demo.Seeded) -> str:
        if done.made:
            count, tables = sum(done.rows.values()), len(done.rows)
            head = f"Database {done.database} holds a demo clinic of {done.day} (seed {done.seed}): {count:,} rows in "
            head += f"{tables} tables."
        else:
            head = f"Database {done.database} holds the demo clinic of {done.day} (seed {done.seed}) already; its rows "
            head += "stay as they are."
        lines = [f"  {login.role:12}{login.email:30}{login.password}" for login in done.logins]
        return "\n".join([head, "Logins, whose passwords are not shown again:", *lines])
