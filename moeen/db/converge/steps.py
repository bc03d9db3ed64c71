"""The steps that bring a live table to the shape its model declares, online.

Every step is one short transaction, or one CONCURRENTLY statement, and leaves a working table behind. Planning again
after a stop gives the steps that are left. Objects that neither the model nor the older scripts know are kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.actions import Action, Comment
from moeen.db.converge.columns import add_columns, convert_columns, set_defaults
from moeen.db.converge.constraints import add_checks, add_foreign_keys, add_uniques
from moeen.db.converge.indexes import add_indexes, drop_replaced_indexes
from moeen.db.converge.leftovers import drop_leftovers
from moeen.db.converge.step import Step
from moeen.db.converge.subject import Subject
from moeen.db.converge.values import fill_values, require_values


def plan(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Step]:
    """The steps for one table, in order; none when it has its shape. The table must be free of findings."""
    yield from drop_leftovers(connection, item)
    yield from add_columns(item)
    yield from convert_columns(connection, item)
    yield from set_defaults(item)
    fill = list(fill_values(connection, item))
    yield from fill
    yield from require_values(connection, item, fill)
    yield from add_checks(item)
    yield from add_uniques(item)
    yield from add_indexes(item)
    yield from add_foreign_keys(item)
    yield from drop_replaced_indexes(item)
    yield from _describe(item)


def _describe(item: Subject) -> Iterator[Step]:
    """Comments. Row security comes with the policies, in one transaction: nobody finds the table empty meanwhile."""
    actions: list[Action] = []
    for column in item.want.columns:
        live = item.live.columns.get(column.name)
        if column.comment != (live.comment if live else ""):
            actions.append(Comment(item.has(column.name), "column", column.comment))
    if item.live.comment != item.want.comment:
        actions.append(Comment(item.table, "table", item.want.comment))
    if actions:
        yield Step("describe", tuple(actions))
