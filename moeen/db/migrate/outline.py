"""A plan on one page: the migrations, what is held and how, which rows get other values, what needs a look."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from moeen.db.actions import Lock
from moeen.db.migrate.plan import CHANGE_RATE, READ_RATE, WRITE_RATE, PlannedStatement, pretty_seconds, pretty_size

_RATES = (
    f"{pretty_size(READ_RATE)} read, {pretty_size(WRITE_RATE)} written anew or {CHANGE_RATE:,} rows changed in a second"
)


@dataclass(frozen=True)
class Held:
    """A table that stands, with estimates of its size. ``lock``: the strongest one taken on it.

    ``read`` and ``rewritten``: what takes long, and stops nobody. What takes long and stops somebody is `blocking`.
    """

    table: str
    rows: int
    bytes: int
    lock: Lock
    read: bool
    rewritten: bool

    def pretty(self) -> str:
        parts = [f"{self.lock} for an instant"] if self.lock.stops_writers else []
        parts += ["read through while it is in use"] if self.read else []
        parts += ["rewritten while it is in use"] if self.rewritten else []
        size = f"{self.rows:,} rows, {pretty_size(self.bytes)}"
        return f"{self.table} ({size}): {', '.join(parts) or 'nobody is stopped'}"


@dataclass(frozen=True)
class Changed:
    """Rows of a table that get other values in some of these columns; what several statements change counts once."""

    table: str
    rows: int
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Outline:
    """``migrations``: (name, number of statements), in order; ``blocking`` and ``unknown``: by their verdict.

    ``seconds``: about how long the tables that stand are worked on, by their size.
    """

    migrations: tuple[tuple[str, int], ...]
    held: tuple[Held, ...]
    changed: tuple[Changed, ...]
    blocking: tuple[PlannedStatement, ...]
    unknown: tuple[PlannedStatement, ...]
    seconds: float

    def pretty(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"Planned operations: {_count(len(self.migrations), 'migration')}"
        yield from (f"  {name}: {_count(count, 'statement')}" for name, count in self.migrations)
        if self.held:
            yield "Tables that stand:"
            yield from (f"  {one.pretty()}" for one in self.held)
            yield f"  How long: {pretty_seconds(self.seconds)}, beside what the new objects take."
            yield f"  An estimate by sizes: {_RATES}."
        if self.changed:
            yield "Rows that get other values, in batches:"
            yield from (f"  {one.table}: {one.rows:,} rows, in {', '.join(one.columns)}" for one in self.changed)
        titles = {
            "These stop readers or writers for as long as they take": self.blocking,
            "What these lock was not tried on a twin": self.unknown,
        }
        for title, statements in titles.items():
            if statements:
                yield f"{title}: {_count(len(statements), 'statement')}"
                yield from (f"  {one.migration}\n{one.pretty()}" for one in statements)


def outline(statements: Sequence[PlannedStatement]) -> Outline:
    """Of the statements of a plan, in their order."""
    by_migration = itertools.groupby(statements, key=lambda one: one.migration)
    locking = [one for one in statements if one.lock and one.rows is not None]
    filling = [one for one in statements if one.changes]
    return Outline(
        tuple((name, len(list(group))) for name, group in by_migration),
        tuple(_held(table, group) for table, group in _by_table(locking)),
        tuple(
            Changed(
                table, max(one.changes for one in group), tuple(dict.fromkeys(c for one in group for c in one.columns))
            )
            for table, group in _by_table(filling)
        ),
        tuple(one for one in statements if one.verdict == "blocking"),
        tuple(one for one in statements if one.verdict == "unknown"),
        sum(one.seconds for one in statements),
    )


def _held(table: str, statements: Sequence[PlannedStatement]) -> Held:
    calm = [one for one in statements if not one.blocks_writes]
    return Held(
        table,
        max(one.rows or 0 for one in statements),
        max(one.bytes or 0 for one in statements),
        max((one.lock for one in statements), key=lambda lock: lock.strength),
        any(one.scans for one in calm),
        any(one.rewrites for one in calm),
    )


def _by_table(statements: Iterable[PlannedStatement]) -> list[tuple[str, list[PlannedStatement]]]:
    tables: dict[str, list[PlannedStatement]] = {}
    for one in statements:
        tables.setdefault(one.table, []).append(one)
    return sorted(tables.items())


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
