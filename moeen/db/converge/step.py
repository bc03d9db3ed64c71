"""A step on the way to a table's shape, and those that consist of one statement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from moeen.db.converge import declared
from moeen.db.converge.subject import Subject
from moeen.db.sql import compose, fragment


@dataclass(frozen=True)
class Step:
    """Statements that run together: in one transaction, or alone when ``concurrently``.

    A ``batched`` step's statement is run for one range of pages after the other, each time with the range added to its
    WHERE clause, which comes last. ``rewrites``: it changes a type in a way that touches every row under its lock.
    """

    table: str
    purpose: str
    statements: tuple[str, ...]
    concurrently: bool = False
    batched: bool = False
    rewrites: bool = False


def drop_index(item: Subject, name: str) -> Step:
    statement = compose("DROP INDEX CONCURRENTLY IF EXISTS {name}", name=name)
    return Step(item.name, f"drop index {name}", (statement,), concurrently=True)


def set_default(item: Subject, column: declared.Column) -> str:
    default = fragment(f"SET DEFAULT {column.default}" if column.default else "DROP DEFAULT")
    return compose("ALTER TABLE {t} ALTER COLUMN {c} {default}", t=item.name, c=column.name, default=default)


def add_unique_using(item: Subject, name: str, index: str) -> str:
    return compose("ALTER TABLE {t} ADD CONSTRAINT {n} UNIQUE USING INDEX {i}", t=item.name, n=name, i=index)


def build_index(item: Subject, name: str, create: str) -> Iterator[Step]:
    """Build an index online; what an interrupted build left is invalid, and IF NOT EXISTS would accept it."""
    drop = compose("DROP INDEX CONCURRENTLY IF EXISTS {name}", name=name)
    yield Step(item.name, f"build index {name}", (drop, create), concurrently=True)


def rename_constraint(item: Subject, old: str, new: str) -> Step:
    statement = compose("ALTER TABLE {t} RENAME CONSTRAINT {old} TO {new}", t=item.name, old=old, new=new)
    return Step(item.name, f"rename constraint {old}", (statement,))


def drop_constraint(item: Subject, name: str) -> str:
    return compose("ALTER TABLE {t} DROP CONSTRAINT IF EXISTS {n}", t=item.name, n=name)


def validate(item: Subject, name: str) -> str:
    return compose("ALTER TABLE {t} VALIDATE CONSTRAINT {n}", t=item.name, n=name)
