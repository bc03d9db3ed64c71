"""Columns are added, brought to their type, and given their default."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db import catalog
from moeen.db.actions import (
    Action,
    AddColumn,
    AddUnique,
    BuildIndex,
    Change,
    ChangeType,
    DropConstraint,
    DropIndex,
    Lock,
    SetDefault,
    SetIdentity,
    build_anew,
    together,
)
from moeen.db.converge import conversions, declared, dependents, zones
from moeen.db.converge.leftovers import older_indexes
from moeen.db.converge.step import Step
from moeen.db.converge.subject import Subject, is_retyped
from moeen.db.sql import compose, fragment


def on_retyped_column(item: Subject, index: catalog.Index) -> bool:
    return any(name in index.definition for name in _retyped_names(item))


def _retyped_names(item: Subject) -> list[str]:
    return [column.name for column, live, pattern in item.columns if is_retyped(live, pattern)]


def add_columns(item: Subject) -> Iterator[Step]:
    actions: list[Action] = []
    for column in item.missing:
        target = item.has(column.name)
        if column.constant or not column.default:
            actions.append(
                AddColumn(target, column.type_sql, default=column.default, not_null=column.not_null, steady=True)
            )
        else:
            # A volatile default would rewrite the table: the column first, its default for new rows after.
            actions += [AddColumn(target, column.type_sql), SetDefault(target, column.default)]
    if actions:
        yield Step(f"add {', '.join(c.name for c in item.missing)}", tuple(actions))


def convert_columns(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Step]:
    retyped = [(column, live) for column, live, pattern in item.columns if is_retyped(live, pattern)]
    if not retyped:
        return
    # An index on such a column would be rebuilt under the lock: it goes first, and its successor is built online.
    for index in older_indexes(item):
        if on_retyped_column(item, index):
            yield Step(f"drop index {index.name}", (DropIndex(item.has(index.name)),))
    drops, adds, dropped = list[Action](), list[Action](), list[str]()
    changes: list[Change] = []
    for column, live in retyped:
        if _voids(item, column):
            drops += _freed(item, live)
        change = _change_type(item, column)
        if live.default and (change.using or not column.default) and not _voids(item, column):
            # PostgreSQL would fail to cast it. What is dropped goes first, what is set comes last.
            changes.append(SetDefault(item.has(column.name)))
        changes.append(change)
        if live.default and column.default:
            # Said anew, or the older default stays wrapped in casts.
            changes.append(SetDefault(item.has(column.name), column.default))
        for unique in _uniques_to_recollate(item, column):
            # An index that has the new collation already is taken over without a rebuild (tried on 15 and 18).
            twin = f"{unique.name}_new"
            body = compose("({c} COLLATE {l})", c=column.name, l=column.collation)
            yield Step(f"build index {twin}", build_anew(BuildIndex(item.has(twin), body, unique=True)))
            drops.append(DropConstraint(item.has(unique.name)))
            dropped.append(unique.name)
            adds.append(AddUnique(item.has(unique.name), twin))
    aside = dependents.of_columns(connection, item.live, [column.name for column, _ in retyped])
    aside += [it for it in dependents.of_constraints(connection, item.live, dropped) if it not in aside]
    if any(_voids(item, column) for column, _ in retyped):
        drops.insert(0, RequireEmpty(item.table))
    actions = dependents.around(item.table, (*drops, together(*changes), *adds), aside)
    yield Step(f"convert {', '.join(column.name for column, _ in retyped)}", actions)


def _change_type(item: Subject, column: declared.Column) -> ChangeType:
    way = conversions.way(item, column.name)
    if way is not None and way.voids:
        return ChangeType(item.has(column.name), column.type_sql, using="NULL", keeps=True)
    checked = any(c.kind == "c" and column.name in c.columns for c in item.live.constraints.values())
    name = sql.Identifier(column.name)
    placed = zones.placed(item, column, name)
    if placed is None and way is not None and way.using:
        placed = fragment(way.using).format(name)
    using = placed.as_string(None) if placed else ""
    keeps = not using and (way is None or not way.rewrites)
    return ChangeType(item.has(column.name), column.type_sql, using=using, keeps=keeps, proven_anew=checked)


def _voids(item: Subject, column: declared.Column) -> bool:
    way = conversions.way(item, column.name)
    return way is not None and way.voids


def _freed(item: Subject, live: catalog.Column) -> Iterator[Change]:
    """A column of an empty table, to be of another type altogether, loses what made its values."""
    target = item.has(live.name)
    for constraint in item.live.constraints.values():
        if constraint.kind in "fc" and live.name in constraint.columns:
            yield DropConstraint(item.has(constraint.name))
    if live.identity:
        yield SetIdentity(target)
    elif live.default:
        yield SetDefault(target, "")


@dataclass(frozen=True)
class RequireEmpty(Action):
    """The table is locked, and the transaction fails where a row came in meanwhile."""

    lock = Lock.ACCESS_EXCLUSIVE
    scans = True

    def statements(self) -> tuple[str, ...]:
        table = self.target.identifier()
        check = compose(
            "DO $do$ BEGIN IF EXISTS (SELECT FROM {t}) THEN RAISE 'the table holds rows by now'; END IF; END $do$",
            t=table,
        )
        return (compose("LOCK TABLE {t} IN ACCESS EXCLUSIVE MODE", t=table), check)


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
        actions = tuple(SetDefault(item.has(column.name), column.default) for column in changed)
        yield Step(f"set the default of {', '.join(c.name for c in changed)}", actions)
