"""The states that migrations lead through, worked out and rendered once for the rehearsal and the run.

Rendering models is half of what Django's executor spends on a migration, and both go the same way.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.transaction import atomic

#: What a state follows from: the classes of the applied migrations (a class is one file as it was read, its instances
#: are many), and the labels of the apps without migrations, whose models are real.
Behind = frozenset[type[Migration] | str]


@dataclass(frozen=True)
class Step:
    """An operation, and the states before and after it, which nobody may change."""

    operation: Operation
    before: ProjectState
    after: ProjectState


_roots: dict[Behind, ProjectState] = {}
_steps: dict[tuple[Behind, type[Migration]], tuple[Step, ...]] = {}


def root(behind: Behind, *, make: Callable[[], ProjectState]) -> ProjectState:
    """The state that follows."""
    if behind not in _roots:
        _roots[behind] = make()
    return _roots[behind]


def steps(migration: Migration, *, state: ProjectState, behind: Behind) -> Sequence[Step]:
    """The migration's operations on ``state``, which is the one that follows."""
    key = behind, type(migration)
    if key not in _steps:
        made: list[Step] = []
        for operation in migration.operations:
            after = state.clone()
            operation.state_forwards(migration.app_label, after)
            made.append(Step(operation, state, after))
            state = after
        _steps[key] = tuple(made)
    return _steps[key]


def ready(migration: Migration, walked: Sequence[Step]) -> Migration:
    """The migration, applied by way of these states."""

    def apply(state: ProjectState, editor: BaseDatabaseSchemaEditor, collect_sql: bool = False) -> ProjectState:
        for step in walked:
            # As Migration.apply does: an operation may ask for a transaction where the migration has none.
            alone = step.operation.atomic or (migration.atomic and step.operation.atomic is not False)
            inner = atomic(editor.connection.alias) if alone and not editor.atomic_migration else nullcontext()
            with inner:
                step.operation.database_forwards(migration.app_label, editor, step.before, step.after)
            state = step.after
        return state

    made = copy.copy(migration)
    made.apply = apply  # type: ignore[method-assign, assignment]
    return made
