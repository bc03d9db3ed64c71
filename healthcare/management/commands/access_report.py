"""`manage.py access_report`: who saw or changed what of a patient, when and why."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.db import connections

from sysadmin.management.trail_console import TrailCommand, local
from sysadmin.trail import Question, find


class Command(TrailCommand):
    help = (
        "Lists who saw or changed what of a patient's record, when and why: for the patient who asks, or an inquiry. "
        "The table names columns; --json and --csv have the values too. Patients see the same list, without values, on "
        "a page of their own."
    )
    columns = {
        "time": local, "who": lambda e: e.person, "as": lambda e: e.acted_as, "what": lambda e: e.action,
        "table": lambda e: e.table,
        "columns": lambda e: ", ".join(e.columns), "why": lambda e: e.why, "from": lambda e: e.address,
    }  # fmt: skip

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--patient", required=True, metavar="ID", help="the patient: pat_..., or a uuid")

    def handle(self, *args: Any, **options: Any) -> None:
        using = options["database"]
        question = Question(
            patient=self.row_id(options["patient"], using), since=options["since"], until=options["until"],
            limit=options["limit"],
        )  # fmt: skip
        self.show(find(connections[using], question), options)
