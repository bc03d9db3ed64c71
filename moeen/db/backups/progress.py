"""How far pg_dump or pg_restore is: PostgreSQL counts the rows of every COPY while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import psycopg

POLL_SECONDS = 0.5


class Tell(Protocol):
    """Takes progress: what is being done, how many of how many units (rows, tables, bytes)."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


def silent(stage: str, done: int, total: int) -> None:
    """For callers who do not want to know."""


class Copies:
    """Rows copied so far by the sessions of one application name, over all tables that have been seen."""

    def __init__(self, connection: psycopg.Connection[Any], *, application: str, totals: Mapping[int, int]) -> None:
        self._connection = connection
        self._application = application
        self._totals = totals
        self._seen: dict[int, int] = {}
        self.total = sum(totals.values())

    def adopt(self, other: Copies) -> None:
        """Go on where that one was."""
        self._seen = other._seen

    def done(self) -> int:
        """Raises psycopg.Error when the server is gone."""
        active = dict(
            self._connection.execute(
                """
                SELECT p.relid::bigint, p.tuples_processed FROM pg_stat_progress_copy p
                JOIN pg_stat_activity a ON a.pid = p.pid
                WHERE a.application_name = %s AND p.datname = current_database()
                """,
                [self._application],
            ).fetchall()
        )
        for relid in self._seen.keys() - active.keys():
            self._seen[relid] = self._totals.get(relid, 0)
        for relid, rows in active.items():
            self._seen[relid] = min(rows, self._totals.get(relid, 0))
        return sum(self._seen.values())


def estimates(connection: psycopg.Connection[Any]) -> dict[int, int]:
    """Rows of every table as the planner knows them."""
    return dict(
        connection.execute(
            "SELECT oid::bigint, reltuples::bigint FROM pg_class WHERE relkind = 'r' AND oid >= 16384 AND reltuples > 0"
        ).fetchall()
    )
