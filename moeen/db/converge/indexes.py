"""Indexes are built online; one of the older scripts that is just what is wanted is taken over."""

from __future__ import annotations

from collections.abc import Iterator

from moeen.db.actions import DropIndex, RenameIndex, build_anew
from moeen.db.converge.columns import on_retyped_column
from moeen.db.converge.leftovers import older_indexes
from moeen.db.converge.step import Step
from moeen.db.converge.subject import Subject


def drop_replaced_indexes(item: Subject) -> Iterator[Step]:
    renamed = {old for old, _ in _renamed_indexes(item)}
    for index in older_indexes(item):
        awaited = index.valid and not index.unique and index.definition in item.later
        if index.name not in renamed and not awaited and not on_retyped_column(item, index):
            yield Step(f"drop index {index.name}", (DropIndex(item.has(index.name)),))


def add_indexes(item: Subject) -> Iterator[Step]:
    renamed = {new: old for old, new in _renamed_indexes(item)}
    for index in item.want.indexes:
        pattern, live = item.pattern.indexes[index.name], item.live.indexes.get(index.name)
        if live and live.valid and live.definition == pattern.definition:
            continue
        if index.name in renamed:
            old = renamed[index.name]
            yield Step(f"rename index {old}", (RenameIndex(item.has(old), index.name),))
        else:
            yield Step(f"build index {index.name}", build_anew(index.build()))


def _renamed_indexes(item: Subject) -> Iterator[tuple[str, str]]:
    """(older name, today's) of indexes of the older scripts that are just what is wanted."""
    taken: set[str] = set()
    for index in item.want.indexes:
        pattern = item.pattern.indexes[index.name]
        for older in older_indexes(item):
            same = (older.unique, older.definition, older.valid) == (pattern.unique, pattern.definition, True)
            free = index.name not in item.live.indexes and older.name not in taken
            if same and free and not on_retyped_column(item, older):
                taken.add(older.name)
                yield older.name, index.name
                break
