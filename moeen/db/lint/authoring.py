"""Migrations as makemigrations writes them: with our converging operations in place of Django's plain ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db.migrations import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.writer import MigrationWriter

from moeen.db.lint.project import project_apps
from moeen.db.lint.rules import REPLACEMENTS
from moeen.db.operations import CONVERGING

_CLASS = "class Migration(migrations.Migration):\n"
_ONLINE = "\n    atomic = False  # works online, in transactions of its own\n"


def converge(changes: Mapping[str, Iterable[Migration]]) -> None:
    """Put our operations in the place of Django's, in new migrations (app label -> migrations) of the project's apps.

    A migration with one of them stops being atomic: they work in short transactions of their own.
    """
    ours = {config.label for config in project_apps()}
    for label in ours & changes.keys():
        for migration in changes[label]:
            operations = [replacement(operation) for operation in migration.operations]
            migration.operations = operations  # type: ignore[misc]
            if any(isinstance(operation, CONVERGING) for operation in operations):
                migration.atomic = False  # type: ignore[misc]


def replacement(operation: Operation) -> Operation:
    """Our operation for Django's plain one, or the operation itself."""
    ours = REPLACEMENTS.get(type(operation))
    if ours is None:
        return operation
    _, args, kwargs = operation.deconstruct()
    made: Operation = ours(*args, **kwargs)
    return made


class Writer(MigrationWriter):
    """Django's writer, which has no words for ``atomic = False``."""

    def as_string(self) -> str:
        text = super().as_string()
        return text if self.migration.atomic else text.replace(_CLASS, _CLASS + _ONLINE, 1)


@contextmanager
def our_writer(command_module: Any) -> Iterator[None]:
    """Within it, Django's makemigrations command (its module is given) writes with our writer."""
    djangos = command_module.MigrationWriter
    command_module.MigrationWriter = Writer
    try:
        yield
    finally:
        command_module.MigrationWriter = djangos
