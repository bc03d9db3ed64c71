"""How the seals stand, in a line: when the last one was made, and what has come since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.backups.login import Login
from moeen.db.seals import seal, sealing
from moeen.db.seals.seal import Seal

#: Entries that wait longer than this for their seal are worth a warning.
OVERDUE = timedelta(hours=26)


@dataclass(frozen=True)
class Standing:
    """The last seal, its age, whether it is as it was made, and how many entries have come since."""

    newest: Seal | None
    age: timedelta
    intact: bool
    unsealed: int

    @property
    def overdue(self) -> bool:
        return self.unsealed > 0 and self.age >= OVERDUE


def look(wrapper: BaseDatabaseWrapper) -> Standing:
    """Raises psycopg.Error before the migration that makes the table."""
    with Login.of_wrapper(wrapper).connect(application="moeen seals") as connection:
        newest = seal.newest(connection)
        ((now,),) = connection.execute("SELECT clock_timestamp()").fetchall()
        since = sealing.Range(newest.complete_below if newest else 0, None)
        age = now - newest.sealed_at if newest else OVERDUE
        return Standing(newest, age, newest is None or newest.hash == newest.digest(), sealing.count(connection, since))
