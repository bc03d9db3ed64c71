"""The steps from one shape of a table to the next, told without a database: for sqlmigrate and the linters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moeen.db import catalog
from moeen.db.adoption import Legacy
from moeen.db.converge import declared, release, steps
from moeen.db.converge.step import Step
from moeen.db.converge.subject import Subject


def plan(before: declared.Table, after: declared.Table) -> Iterator[Step]:
    """The steps from one shape to the next on a table that holds rows."""
    live = _as_catalog(before)
    yield from release.relax(live, before, after)
    kept = release.relaxed(live, before, after)
    yield from steps.plan(_Yes(), Subject(want=after, live=kept, pattern=_as_catalog(after), legacy=Legacy()))  # type: ignore[arg-type]


def _as_catalog(table: declared.Table) -> catalog.Table:
    """A compiled table as if it had been read from a database; definitions need only be equal to their like."""
    columns = {
        c.name: catalog.Column(c.name, c.type, c.not_null, c.default, c.collation, "", "", c.comment)
        for c in table.columns
    }
    constraints = {
        c.name: catalog.Constraint(c.name, c.kind, c.columns, c.body, validated=True, deferrable=False)
        for c in table.constraints
    }
    for k in table.foreign_keys:
        constraints[k.name] = catalog.Constraint(
            k.name,
            "f",
            k.columns,
            k.body,
            validated=True,
            deferrable=False,
            references=k.to_table,
            references_columns=k.to_columns,
            on_delete=k.on_delete,
        )
    indexes = {i.name: catalog.Index(i.name, i.unique, i.body, valid=True, constraint="") for i in table.indexes}
    return catalog.Table(
        oid=0,
        schema="public",
        name=table.name,
        kind="r",
        owner="",
        row_security=True,
        forced=False,
        comment=table.comment,
        columns=columns,
        constraints=constraints,
        indexes=indexes,
        triggers={},
        policies={},
    )


class _Yes:
    """In the place of a connection: whatever the steps ask, the answer is yes; there are such rows."""

    @contextmanager
    def cursor(self) -> Iterator[_Yes]:
        yield self

    def execute(self, statement: str, parameters: Any = None) -> None:
        """Nothing runs."""

    def fetchone(self) -> tuple[bool]:
        return (True,)
