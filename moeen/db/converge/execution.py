"""Steps are run: in short transactions, alone where they work concurrently, or in batches of pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db.actions import Mode
from moeen.db.converge import failures, locks, triggers
from moeen.db.converge.dependents import PutBack, ways_round
from moeen.db.converge.step import Step

#: Pages of 8 kB that one batch of a data step covers: about 8 MB, a few thousand to a few ten thousand rows.
BATCH_PAGES = 1000


def execute(connection: BaseDatabaseWrapper, step: Step) -> None:
    """Run one step, trying again while its locks cannot be had. Raises locks.GaveUp.

    Concurrent and batched steps need a connection outside any transaction.
    """
    purpose = f"{step.purpose} on {step.table}"
    if step.mode is Mode.BATCHES:
        for pages in _page_ranges(connection, step.table):
            statements = [f"{statement} AND {pages}" for statement in step.statements]
            statements = triggers.without(connection, step.table, statements)
            run = partial(_run_together, connection, statements)
            locks.patiently(connection, run, purpose=purpose, of=step.table)
    elif step.mode is Mode.CONCURRENTLY:
        run = partial(_run_alone, connection, step.statements, purpose)
        locks.patiently(connection, run, purpose=purpose, of=step.table)
    else:
        # What reads the whole table under a lock that stops nobody may take its time. So may a view that is filled
        # again: a large table is not locked for it without leave, see plan.Blocking.
        unlimited = any(
            action.scans and (not action.lock.stops_writers or isinstance(action, PutBack)) for action in step.actions
        )
        run = partial(_run_together, connection, step.statements, unlimited=unlimited, ways=ways_round(step.actions))
        locks.patiently(connection, run, purpose=purpose, table=step.table)


def _run_together(
    connection: BaseDatabaseWrapper,
    statements: Sequence[str],
    *,
    unlimited: bool = False,
    ways: Mapping[str, str] = MappingProxyType({}),
) -> None:
    with locks.short_transaction(connection, unlimited=unlimited), connection.cursor() as cursor:
        # timestamp to timestamptz keeps the stored values only when the session counts in UTC.
        cursor.execute("SET LOCAL TimeZone TO 'UTC'")
        for statement in statements:
            with failures.during(statement, way=ways.get(statement, "")):
                cursor.execute(statement)


def _run_alone(connection: BaseDatabaseWrapper, statements: Sequence[str], purpose: str) -> None:
    # CONCURRENTLY takes no part in a transaction; its locks stop neither readers nor writers, so it may wait.
    with locks.telling_of_waits(connection, purpose), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _page_ranges(connection: BaseDatabaseWrapper, table: str) -> Iterator[str]:
    """Conditions on ctid that cover the table as long as it is now; TID range scans came with PostgreSQL 14."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::int", [f'"{table}"'])
        (pages,) = cursor.fetchone()
    # An empty table counts as one page: on a twin, which holds no rows, the statement is to be tried nevertheless.
    for first in range(0, max(pages, 1), BATCH_PAGES):
        tids = [sql.Literal(f"({page},0)") for page in (first, first + BATCH_PAGES)]
        yield sql.SQL("ctid >= {}::tid AND ctid < {}::tid").format(*tids).as_string(None)
