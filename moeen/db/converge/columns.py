"""Columns are added, brought to their type, and given their default."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db import catalog
from moeen.db.converge import conversions, declared, dependents
from moeen.db.converge.leftovers import older_indexes
from moeen.db.converge.step import Step, add_unique_using, build_index, drop_constraint, drop_index, set_default
from moeen.db.converge.subject import Subject, is_retyped
from moeen.db.sql import compose, fragment


def on_retyped_column(item: Subject, index: catalog.Index) -> bool:
    return any(name in index.definition for name in _retyped_names(item))


def _retyped_names(item: Subject) -> list[str]:
    return [column.name for column, live, pattern in item.columns if is_retyped(live, pattern)]


def add_columns(item: Subject) -> Iterator[Step]:
    statements = []
    for column in item.missing:
        if column.constant or not column.default:
            statements.append(compose("ALTER TABLE {t} ADD COLUMN {d}", t=item.name, d=column.definition))
        else:
            # A volatile default would rewrite the table: the column first, its default for new rows after.
            parts = {"t": item.name, "c": column.name}
            statements.append(compose("ALTER TABLE {t} ADD COLUMN {c} {type}", type=column.type_sql, **parts))
            statements.append(set_default(item, column))
    if statements:
        yield Step(item.name, f"add {', '.join(c.name for c in item.missing)}", tuple(statements))


def convert_columns(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Step]:
    retyped = [(column, live) for column, live, pattern in item.columns if is_retyped(live, pattern)]
    if not retyped:
        return
    # An index on such a column would be rebuilt under the lock: it goes first, and its successor is built online.
    for index in older_indexes(item):
        if on_retyped_column(item, index):
            yield drop_index(item, index.name)
    drops, dropped, adds, changes = [], [], [], []
    for column, live in retyped:
        changes.append(compose("ALTER COLUMN {c} TYPE {type}", c=column.name, type=column.type_sql))
        if live.default and column.default:
            # Said anew, or the older default stays wrapped in casts.
            changes.append(compose("ALTER COLUMN {c} SET DEFAULT {d}", c=column.name, d=fragment(column.default)))
        for unique in _uniques_to_recollate(item, column):
            # An index that has the new collation already is taken over without a rebuild (tried on 15 and 18).
            twin = f"{unique.name}_new"
            yield from build_index(
                item,
                twin,
                compose(
                    "CREATE UNIQUE INDEX CONCURRENTLY {twin} ON {t} ({c} COLLATE {l})",
                    twin=twin,
                    t=item.name,
                    c=column.name,
                    l=column.collation,
                ),
            )
            drops.append(drop_constraint(item, unique.name))
            dropped.append(unique.name)
            adds.append(add_unique_using(item, unique.name, twin))
    alter = compose("ALTER TABLE {t} {changes}", t=item.name, changes=fragment(", ".join(changes)))
    names = ", ".join(column.name for column, _ in retyped)
    ways = [conversions.conversion(live.type, item.pattern.columns[column.name].type) for column, live in retyped]
    rewrites = any(way is not None and way.rewrites for way in ways)
    aside = dependents.of_columns(connection, item.live, [column.name for column, _ in retyped])
    aside += [it for it in dependents.of_constraints(connection, item.live, dropped) if it not in aside]
    reads = any(it.reads for it in aside)
    yield Step(
        item.name, f"convert {names}", dependents.around((*drops, alter, *adds), aside), rewrites=rewrites or reads
    )


def _uniques_to_recollate(item: Subject, column: declared.Column) -> list[catalog.Constraint]:
    if not column.collation:
        return []
    return [c for c in item.live.constraints.values() if c.kind == "u" and c.columns == (column.name,)]


def set_defaults(item: Subject) -> Iterator[Step]:
    changed = [
        column
        for column, live, pattern in item.columns
        if live.default != pattern.default and not (is_retyped(live, pattern) and live.default)
    ]
    if changed:
        statements = tuple(set_default(item, column) for column in changed)
        yield Step(item.name, f"set the default of {', '.join(c.name for c in changed)}", statements)
