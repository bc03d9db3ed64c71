"""`manage.py audit`: what the audit log says of a row, a table, a person, a time."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.db import connections

from moeen.db.errors import USAGE, MoeenError
from sysadmin.admin.kinds import KINDS
from sysadmin.management.trail_console import TrailCommand, local
from sysadmin.models import User
from sysadmin.trail import Entry, Question, find


def _changed(entry: Entry) -> str:
    return ", ".join(entry.columns) or entry.why


class Command(TrailCommand):
    help = (
        "Looks entries of the audit log up, newest first. Conditions are joined by and. The table shows which columns "
        "were changed or read; --json and --csv have the values before and after. Patients' data are in them. "
        "Examples: `audit --record pat_...`, `audit --user sara@example.com --since 2026-11-01`, "
        "`audit --kind SIGN_IN_FAILED --since 2026-11-22`, `audit --table user_roles`."
    )
    columns = {
        "time": local, "who": lambda e: e.person, "as": lambda e: e.acted_as, "what": lambda e: e.action,
        "table": lambda e: e.table,
        "record": lambda e: e.record, "columns or reason": _changed, "from": lambda e: e.address,
    }  # fmt: skip

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(limit=100)
        parser.add_argument("--table", default="", metavar="TABLE", help="of this table: patients")
        parser.add_argument("--record", default="", metavar="ID", help="of this row, by public id or uuid: pat_...")
        parser.add_argument(
            "--user", default="", metavar="ID", help="by this person: usr_..., a uuid or an e-mail address"
        )
        words = "of this kind: INSERT, UPDATE, DELETE, TRUNCATE, READ, SIGNED_IN, ...; may be said several times"
        parser.add_argument("--kind", action="append", default=[], type=str.upper, metavar="KIND", help=words)

    def handle(self, *args: Any, **options: Any) -> None:
        using = options["database"]
        question = Question(
            table=options["table"], record=self.row_id(options["record"], using) if options["record"] else None,
            user=self._person(options["user"], using) if options["user"] else None, since=options["since"],
            until=options["until"], kinds=options["kind"], limit=options["limit"],
        )  # fmt: skip
        found = find(connections[using], question)
        if not found:
            self._refuse_unheard_of(connections[using], options)
        self.show(found, options)

    @staticmethod
    def _refuse_unheard_of(connection: Any, options: dict[str, Any]) -> None:
        """A misspelt table or kind has no entries either, which would read as if nothing had been done."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT array_agg(DISTINCT action), array_agg(DISTINCT table_name) FROM public.audit_logs")
            kinds, tables = (set(found or ()) for found in cursor.fetchone())
        for what, asked, known in (
            ("kind", set(options["kind"]), kinds | KINDS.keys()),
            ("table", {options["table"]} - {""}, tables | {*connection.introspection.table_names()}),
        ):
            if unheard_of := ", ".join(sorted(asked - known)):
                raise MoeenError(
                    f"No {what} is called {unheard_of}.",
                    next_step=f"There are: {', '.join(sorted(known))}.",
                    exit_code=USAGE,
                )

    def _person(self, words: str, using: str) -> UUID:
        if "@" not in words:
            return self.row_id(words, using)
        try:
            return User.objects.db_manager(using).get_by_natural_key(words).pk
        except User.DoesNotExist as error:
            raise MoeenError(
                f"Nobody has the e-mail address {words!r}.", next_step="Say usr_... or the uuid.", exit_code=USAGE
            ) from error
