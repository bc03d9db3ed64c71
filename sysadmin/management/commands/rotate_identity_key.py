"""`manage.py rotate_identity_key`: a new key for signing who a transaction is."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.db import connection

from moeen.db.security import signing
from sysadmin.management.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = (
        "Makes a new key for signing identities, and prints the line for the settings of the processes that serve "
        "(IDENTITY_KEY). The keys before it stay valid, so that nobody is signed out: restart those processes with the "
        "new line, then run it with --retire. The embedded server's processes find the key by themselves when they are "
        "restarted. Keep the line as you keep a password."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        way = parser.add_mutually_exclusive_group()
        way.add_argument("--print", action="store_true", help="Print the line of the present key; make none.")
        way.add_argument("--retire", action="store_true", help="Remove every key but the newest.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["retire"]:
            retired = signing.retire(connection)
            self.stdout.write(f"Retired: {', '.join(retired)}." if retired else "There is one key, and it stays.")
            return
        known = signing.keys(connection)
        key = known[0] if known and options["print"] else signing.Key.new()
        if not known:
            self.stderr.write(
                "This database knows no signed identities yet. Set this line for migrate, which lets the database know "
                "the key, and for what serves: then nobody notices."
            )
        elif not options["print"]:
            signing.add(connection, key)
            self.stderr.write("Restart what serves with this line, then: manage.py rotate_identity_key --retire")
        if settings.IDENTITY_KEY_FILE:
            signing.keep(connection, settings.IDENTITY_KEY_FILE)
        self.stdout.write(f"IDENTITY_KEY={key.text()}")
