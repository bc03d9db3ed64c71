"""The states that migrations lead through, worked out once for the rehearsal and the run.

Rendering models is half of what Django's executor spends on a migration: it renders anew all that is related to what
changed, on and on, which is nearly every model. Our operations look at one model and those that it refers to.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState, StateApps
from django.db.migrations.utils import resolve_relation  # type: ignore[attr-defined]
from django.db.models import Model
from django.db.transaction import atomic

from moeen.db.operations import Ours

#: What a state follows from: the classes of the applied migrations (a class is one file as it was read, its instances
#: are many), and the labels of the apps without migrations, whose models are real.
Behind = frozenset[type[Migration] | str]
#: App and model, as a state keeps them.
Key = tuple[str, str]


class State(ProjectState):
    """A state that renders the models that are asked for, each with those that it refers to.

    What refers to them is not there; `whole` gives the same state with all.
    """

    @classmethod
    def of(cls, state: ProjectState) -> State:
        """The same; nobody may change either afterwards."""
        return state if isinstance(state, cls) else cls(state.models, state.real_apps)

    @property
    def apps(self) -> Any:
        return _Rendering(self)

    @cached_property
    def _whole(self) -> ProjectState:
        return ProjectState({key: model.clone() for key, model in self.models.items()}, self.real_apps)

    def clone(self) -> State:
        return State({key: model.clone() for key, model in self.models.items()}, self.real_apps)


@dataclass(frozen=True)
class _Rendering:
    """What stands for a state's registry of models."""

    state: State

    def get_model(self, app_label: str, model_name: str = "") -> type[Model]:
        """The model, by its two names or as ``app.Model``. Raises LookupError."""
        key = resolve_relation(f"{app_label}.{model_name}" if model_name else app_label)
        kin = {each: self.state.models[each] for each in sorted(_kin(self.state, key))}
        mark = tuple(map(_mark, kin.values()))
        if mark not in _rendered:
            # The marks stay true as long as what they are made of is kept.
            _rendered[mark] = StateApps([*self.state.real_apps], kin), tuple(kin.values())
        return _rendered[mark][0].get_model(*key)


def _kin(state: State, key: Key) -> set[Key]:
    """The model, what it refers to, what that refers to, and so on."""
    found: set[Key] = set()
    further = [key]
    while further:
        at = further.pop()
        if at in state.models and at not in found:
            found.add(at)
            further += _referred(state.models[at])
    return found


def _referred(model: ModelState) -> Iterator[Key]:
    here = model.app_label, model.name_lower
    for field in model.fields.values():
        if field.remote_field:
            yield resolve_relation(field.remote_field.model, *here)
            if through := getattr(field.remote_field, "through", None):
                yield resolve_relation(through, *here)
    for base in model.bases:
        if isinstance(base, str) or (issubclass(base, Model) and base is not Model):
            yield resolve_relation(base, *here)
    for constraint in model.options["constraints"]:
        if to := getattr(constraint, "to", None):
            yield resolve_relation(to, *here)


def _mark(model: ModelState) -> tuple[Any, ...]:
    """Equal for two states of a model that are rendered alike: what changes one puts something new in its place."""
    fields = tuple((n, id(it), getattr(it.remote_field, "field_name", "")) for n, it in model.fields.items())
    options = tuple((name, id(value)) for name, value in model.options.items())
    return model.app_label, model.name, fields, options, model.bases, tuple(map(id, model.managers))


@dataclass(frozen=True)
class Step:
    """An operation, and the states before and after it, which nobody may change."""

    operation: Operation
    before: State
    after: State


_roots: dict[Behind, ProjectState] = {}
_steps: dict[tuple[Behind, type[Migration]], tuple[Step, ...]] = {}
_rendered: dict[tuple[Any, ...], tuple[StateApps, tuple[ModelState, ...]]] = {}


def whole(state: ProjectState) -> ProjectState:
    """The same state, as Django has it."""
    return state._whole if isinstance(state, State) else state


def root(behind: Behind, *, make: Callable[[], ProjectState]) -> ProjectState:
    """The state that follows."""
    if behind not in _roots:
        _roots[behind] = make()
    return _roots[behind]


def at(loader: MigrationLoader, nodes: Iterable[tuple[str, str]]) -> State:
    """The state that these migrations end in, with all that they need; nobody may change it."""
    ends = sorted(nodes)
    needed = loader.graph._generate_plan(ends, at_end=True)
    behind = frozenset({type(loader.graph.nodes[key]) for key in needed} | loader.unmigrated_apps)
    return State.of(root(behind, make=lambda: loader.project_state(ends, at_end=True)))


def steps(migration: Migration, *, state: ProjectState, behind: Behind) -> Sequence[Step]:
    """The migration's operations on ``state``, which is the one that follows."""
    key = behind, type(migration)
    if key not in _steps:
        made: list[Step] = []
        before = State.of(state)
        for operation in migration.operations:
            after = before.clone()
            operation.state_forwards(migration.app_label, after)
            made.append(Step(operation, before, after))
            before = after
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
                around = shown(step.operation, step.before), shown(step.operation, step.after)
                step.operation.database_forwards(migration.app_label, editor, *around)
            state = step.after
        return state

    made = copy.copy(migration)
    made.apply = apply  # type: ignore[method-assign, assignment]
    return made


def shown(operation: Operation, state: ProjectState) -> ProjectState:
    """The state as the operation may look at it: others than ours may ask for any model."""
    return state if isinstance(operation, Ours) else whole(state)
