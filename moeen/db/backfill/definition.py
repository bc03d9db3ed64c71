"""What a backfill is: a table, which of its rows, and what they get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db.sql import fragment


class Backfill:
    """One backfill of one table of schema public. Subclasses say what; the engine knows how.

    ``missing`` and ``assignment`` are SQL over the table's columns, with ``%(name)s`` for what ``parameters`` gives
    and ``%%`` for a percent sign. A row that was filled must no longer be ``missing``: that is what lets a run go on
    after a stop, and two runs meet, without changing a row twice.
    """

    #: What the run is called in backfill_runs. The same name and table go on with an unfinished run.
    name: str
    table: str
    missing: str
    assignment: str
    #: Shown in reports; "" where the backfill has nothing to do with public ids.
    prefix: str = ""
    #: The columns that are filled, for the entry in the audit log.
    columns: tuple[str, ...] = ()

    def parameters(self) -> Mapping[str, Any]:
        """Values for ``assignment``, asked for once by each worker."""
        return {}

    def beforehand(self, part: sql.Composable) -> sql.Composed | None:
        """A statement for the rows of ``part``, run in the transaction of each batch before the change; or None."""
        return None

    def samples(self) -> list[str]:
        """Some values as they would be, for a dry run; made without the database."""
        return []

    def is_final(self, connection: BaseDatabaseWrapper) -> bool:
        """Whether ``finalize`` would find nothing to do."""
        return True

    def final_steps(self, connection: BaseDatabaseWrapper) -> list[str]:
        """What ``finalize`` would do, in words. Reads only."""
        return []

    def finalize(self, connection: BaseDatabaseWrapper, tell: Callable[[str], None]) -> None:
        """What follows when no row is missing any more; online, and safe to repeat."""

    @property
    def relation(self) -> sql.Identifier:
        return sql.Identifier("public", self.table)

    @property
    def condition(self) -> sql.Composable:
        return sql.SQL("({})").format(fragment(self.missing))
