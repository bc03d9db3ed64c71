"""What the older scripts left on a table: broken triggers, leaky policies, indexes under other names."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db import catalog, registry
from moeen.db.actions import Action, DropConstraint, DropPolicy, DropTrigger
from moeen.db.converge import dependents
from moeen.db.converge.step import Step
from moeen.db.converge.subject import Subject

#: Functions of the older scripts; their triggers go, because the first breaks every write it guards.
LEGACY_FUNCTIONS = frozenset({"public.audit_trigger_function", "public.update_updated_at_column"})
#: How the older policies begin. All of them are for PUBLIC.
LEGACY_POLICIES = ("Users can ", "Admins can ", "System can ")


def drop_leftovers(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Step]:
    """Broken triggers, leaky policies, constraints that have no place: gone before anything is written.

    A constraint that a table of the clinic's own refers to stays; so does one whose index is the replica identity,
    without which changes of a published table are refused, or the order of its rows.
    """
    actions: list[Action] = [
        DropTrigger(item.has(trigger.name))
        for trigger in item.live.triggers.values()
        if trigger.function in LEGACY_FUNCTIONS
    ]
    actions += [
        DropPolicy(item.has(policy.name))
        for policy in item.live.policies.values()
        if policy.name.startswith(LEGACY_POLICIES) and policy.roles == ("public",)
    ]
    actions += [
        DropConstraint(item.has(name))
        for name in item.legacy.constraints
        if name in item.live.constraints
        and not dependents.of_constraints(connection, item.live, [name])
        and not dependents.is_marked(connection, item.live, name)
    ]
    if actions:
        yield Step("drop what the older scripts left", tuple(actions))


def older_indexes(item: Subject) -> list[catalog.Index]:
    """Indexes that the older scripts made; any other, whatever its name begins with, is the clinic's own and stays."""
    names = registry.facts().older_indexes | {f"idx_{item.name}_public_id"}
    return [it for it in item.live.indexes.values() if it.name in names and not (it.constraint or it.unique)]
