"""Checks, uniques and foreign keys are added online, and proven."""

from __future__ import annotations

from collections.abc import Iterator

from moeen.db.actions import (
    Action,
    AddCheck,
    AddForeignKey,
    AddUnique,
    BuildIndex,
    DropConstraint,
    RenameConstraint,
    SwapForeignKey,
    Validate,
    build_anew,
    together,
)
from moeen.db.converge.step import Step
from moeen.db.converge.subject import Subject, same_reference
from moeen.db.sql import compose


def add_checks(item: Subject) -> Iterator[Step]:
    actions: list[Action] = []
    unproven = []
    for constraint in item.want.constraints:
        if constraint.kind != "c":
            continue
        pattern, live = item.pattern.constraints[constraint.name], item.live.constraints.get(constraint.name)
        if live and live.definition == pattern.definition:
            if not live.validated:
                unproven.append(constraint.name)
            continue
        if live:
            actions.append(DropConstraint(item.has(constraint.name)))
        actions.append(AddCheck(item.has(constraint.name), constraint.body))
        unproven.append(constraint.name)
    if actions:
        yield Step(f"add checks {', '.join(unproven)}", tuple(actions))
    if unproven:
        proof = together(*(Validate(item.has(name)) for name in unproven))
        yield Step(f"prove checks {', '.join(unproven)}", (proof,))


def add_uniques(item: Subject) -> Iterator[Step]:
    for constraint in item.want.constraints:
        if constraint.kind not in "pu":
            continue
        name, pattern = constraint.name, item.pattern.constraints[constraint.name]
        # Of several that say the same the one of our name; the clinic's own may be DEFERRABLE, or know one NULL alone.
        standing = [c for c in item.live.constraints.values() if c.definition == pattern.definition]
        live = next((c for c in standing if c.name == name), standing[0] if standing else None)
        if live:
            if live.name != name:
                yield Step(f"rename constraint {live.name}", (RenameConstraint(item.has(live.name), name),))
            continue
        index = item.live.indexes.get(name)
        if not (index and index.valid and index.unique):
            body = compose("({c})", c=constraint.columns)
            yield Step(f"build index {name}", build_anew(BuildIndex(item.has(name), body, unique=True)))
        yield Step(f"add unique {name}", (AddUnique(item.has(name), name),))


def add_foreign_keys(item: Subject) -> Iterator[Step]:
    for key in item.want.foreign_keys:
        twins = [c for c in item.live.constraints.values() if c.kind == "f" and same_reference(c, key)]
        # Beside the one of our name (or the one that a stopped run made for it) another is the clinic's own, and stays.
        twins = [c for c in twins if c.name in (key.name, f"{key.name}_new")] or twins
        same = next((c for c in twins if c.on_delete == key.on_delete and not c.deferrable), None)
        others = [c.name for c in twins if same is None or c.name != same.name]
        if key.name in item.live.constraints and (same is None or same.name != key.name):
            others = list({*others, key.name})
        name = same.name if same else (f"{key.name}_new" if others else key.name)
        if same is None:
            yield Step(f"add foreign key {key.name}", (AddForeignKey(item.has(name), key.body),))
        if same is None or not same.validated:
            yield Step(f"prove foreign key {key.name}", (Validate(item.has(name)),))
        if others or name != key.name:
            stands_as = name if name != key.name else ""
            swap = SwapForeignKey(item.has(key.name), tuple(others), stands_as)
            yield Step(f"put foreign key {key.name} in its place", (swap,))
