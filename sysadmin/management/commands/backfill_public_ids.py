"""`manage.py backfill_public_ids`: public ids for the rows of older databases, while the database is in use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moeen.db import backfill
from sysadmin.management.backfills import BackfillCommand


class Command(BackfillCommand):
    help = (
        "Gives every row that lacks one its public id, in short transactions beside the running application, and then "
        "makes the column NOT NULL. Stopped or killed, it goes on where it was when run again. Exit code 3: some rows "
        "could not be filled; they are listed."
    )

    def items(self, options: dict[str, Any]) -> Sequence[backfill.Backfill]:
        return backfill.public_id_backfills(options["table"])
