"""What a backfill would do, found out without changing anything: one read-only transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Connection, sql

from moeen.db.backfill.connecting import connector
from moeen.db.backfill.definition import Backfill
from moeen.db.backfill.reports import TableReport

#: Where no finished run tells better: a small server with disks of its own. Rows a second.
USUAL_RATE = 40_000.0


@dataclass(frozen=True)
class Size:
    """A table as it stands: ``pages`` and ``bytes`` of its heap, ``indexes`` and the pages of them."""

    total: int
    missing: int
    pages: int
    bytes: int
    indexes: int
    index_pages: int


@dataclass(frozen=True)
class Survey:
    """One table beforehand. ``seconds`` and ``wal_bytes`` are estimates; ``samples`` values as they would be."""

    item: Backfill
    size: Size
    seconds: float
    wal_bytes: int
    samples: tuple[str, ...]
    final_steps: tuple[str, ...]

    @property
    def report(self) -> TableReport:
        return TableReport(
            table=self.item.table,
            prefix=self.item.prefix,
            rows_total=self.size.total,
            rows_missing=self.size.missing,
            rows_left=self.size.missing,
        )

    def lines(self) -> list[str]:
        """For people."""
        size = self.size
        if not size.missing and not self.final_steps:
            return [f"{self.item.table}: {size.total:,} rows, none missing"]
        lines = [f"{self.item.table}: {size.total:,} rows, {size.missing:,} missing"]
        if size.missing:
            lines.append(f"  about {self.seconds:,.0f} s and {self.wal_bytes / 1e6:,.0f} MB of WAL with one worker")
            lines.append(f"  ids such as {', '.join(self.samples)}")
        return lines + [f"  then: {step}" for step in self.final_steps]


def measure(connection: Connection[Any], item: Backfill) -> Size:
    """Count and weigh the table. The heap is read once; an owner whom row security binds is refused, not blinded."""
    query = sql.SQL(
        """
        SELECT count(*), count(*) FILTER (WHERE {missing}),
               pg_relation_size({name}::regclass) / current_setting('block_size')::int,
               pg_relation_size({name}::regclass),
               (SELECT count(*) FROM pg_index WHERE indrelid = {name}::regclass),
               pg_indexes_size({name}::regclass) / current_setting('block_size')::int
        FROM {table}
        """
    ).format(missing=item.condition, table=item.relation, name=sql.Literal(item.relation.as_string(None)))
    with connection.transaction():
        connection.execute("SELECT set_config('row_security', 'off', true), set_config('statement_timeout', '0', true)")
        row = connection.execute(query, item.parameters()).fetchone()
    assert row is not None
    return Size(*map(int, row))


def survey(wrapper: BaseDatabaseWrapper, items: Sequence[Backfill]) -> list[Survey]:
    """One survey a table, over a connection that reads only: the server itself would refuse any change."""
    found = []
    with connector(wrapper, read_only=True)() as connection:
        rate = _rate(connection)
        for item in items:
            size = measure(connection, item)
            found.append(
                Survey(
                    item=item,
                    size=size,
                    seconds=size.missing / rate,
                    wal_bytes=_wal(size),
                    samples=tuple(item.samples()) if size.missing else (),
                    final_steps=tuple(item.final_steps(wrapper)),
                )
            )
    return found


def _rate(connection: Connection[Any]) -> float:
    """Rows a second of the last finished run that was long enough to tell."""
    row = connection.execute(
        """
        SELECT rows_filled / seconds FROM backfill_runs
        WHERE finished_at IS NOT NULL AND seconds > 1 ORDER BY finished_at DESC LIMIT 1
        """
    ).fetchone()
    return float(row[0]) if row else USUAL_RATE


def _wal(size: Size) -> int:
    """A new version of each row, an entry for it in each index, and the first change of a page as an image of it."""
    if not size.missing:
        return 0
    share = size.missing / size.total
    entries = size.missing * (size.bytes / size.total + 90 + size.indexes * 80)
    images = 8192 * share * (size.pages + size.index_pages)
    return int(entries + images)
