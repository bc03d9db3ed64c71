"""What one shape of a table asks for and the next does not is taken away; columns stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from moeen.db import catalog
from moeen.db.actions import Action, DropConstraint, DropIndex, DropNotNull
from moeen.db.converge import declared
from moeen.db.converge.step import Step


def relax(live: catalog.Table, before: declared.Table, after: declared.Table) -> Iterator[Step]:
    """The steps that take away what one shape asks for and the next does not; columns stay."""
    constraints, indexes, columns = _released(live, before, after)
    actions: list[Action] = [DropConstraint(live.identity.has(name)) for name in constraints]
    actions += [DropNotNull(live.identity.has(name)) for name in columns]
    if actions:
        yield Step(f"release {', '.join((*constraints, *columns))}", tuple(actions))
    for name in indexes:
        yield Step(f"drop index {name}", (DropIndex(live.identity.has(name)),))


def relaxed(live: catalog.Table, before: declared.Table, after: declared.Table) -> catalog.Table:
    """The table as it stands after these steps."""
    constraints, indexes, columns = _released(live, before, after)
    return replace(
        live,
        constraints={name: it for name, it in live.constraints.items() if name not in constraints},
        indexes={name: it for name, it in live.indexes.items() if name not in (*constraints, *indexes)},
        columns={n: replace(it, not_null=it.not_null and n not in columns) for n, it in live.columns.items()},
    )


def _released(
    live: catalog.Table, before: declared.Table, after: declared.Table
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Names of the live constraints, indexes, and NOT NULL columns that only ``before`` asked for."""
    asked, kept = (
        {c.name for c in shape.constraints} | {k.name for k in shape.foreign_keys} for shape in (before, after)
    )
    constraints = sorted((asked - kept) & live.constraints.keys())
    indexes = sorted(({i.name for i in before.indexes} - {i.name for i in after.indexes}) & live.indexes.keys())
    nullable = {column.name for column in after.columns if not column.not_null}
    columns = [c.name for c in before.columns if c.not_null and c.name in nullable and live.columns[c.name].not_null]
    return tuple(constraints), tuple(indexes), tuple(columns)
