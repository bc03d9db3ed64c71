"""Checks, uniques and foreign keys are added online, and proven."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from moeen.db.converge.step import Step, add_unique_using, build_index, drop_constraint, rename_constraint, validate
from moeen.db.converge.subject import Subject, same_reference
from moeen.db.sql import compose, fragment


def add_checks(item: Subject) -> Iterator[Step]:
    changes, unproven = [], []
    for constraint in item.want.constraints:
        if constraint.kind != "c":
            continue
        pattern, live = item.pattern.constraints[constraint.name], item.live.constraints.get(constraint.name)
        if live and live.definition == pattern.definition:
            if not live.validated:
                unproven.append(constraint.name)
            continue
        if live:
            changes.append(drop_constraint(item, constraint.name))
        body = fragment(f"{constraint.body} NOT VALID")
        changes.append(compose("ALTER TABLE {t} ADD CONSTRAINT {n} {b}", t=item.name, n=constraint.name, b=body))
        unproven.append(constraint.name)
    if changes:
        yield Step(item.name, f"add checks {', '.join(unproven)}", tuple(changes))
    if unproven:
        validations = sql.SQL(", ").join(sql.SQL("VALIDATE CONSTRAINT {}").format(sql.Identifier(n)) for n in unproven)
        statement = compose("ALTER TABLE {t} {v}", t=item.name, v=validations)
        yield Step(item.name, f"prove checks {', '.join(unproven)}", (statement,))


def add_uniques(item: Subject) -> Iterator[Step]:
    by_columns = {(c.kind, c.columns): c for c in item.live.constraints.values() if c.kind in "pu"}
    for constraint in item.want.constraints:
        if constraint.kind not in "pu":
            continue
        live = by_columns.get((constraint.kind, constraint.columns))
        if live:
            if live.name != constraint.name:
                yield rename_constraint(item, live.name, constraint.name)
            continue
        create = compose(
            "CREATE UNIQUE INDEX CONCURRENTLY {n} ON {t} ({c})", n=constraint.name, t=item.name, c=constraint.columns
        )
        index = item.live.indexes.get(constraint.name)
        if not (index and index.valid and index.unique):
            yield from build_index(item, constraint.name, create)
        add = add_unique_using(item, constraint.name, constraint.name)
        yield Step(item.name, f"add unique {constraint.name}", (add,))


def add_foreign_keys(item: Subject) -> Iterator[Step]:
    for key in item.want.foreign_keys:
        twins = [c for c in item.live.constraints.values() if c.kind == "f" and same_reference(c, key)]
        same = next((c for c in twins if c.on_delete == key.on_delete and not c.deferrable), None)
        others = [c.name for c in twins if same is None or c.name != same.name]
        if key.name in item.live.constraints and (same is None or same.name != key.name):
            others = list({*others, key.name})
        name = same.name if same else (f"{key.name}_new" if others else key.name)
        if same is None:
            body = fragment(f"{key.body} NOT VALID")
            add = compose("ALTER TABLE {t} ADD CONSTRAINT {n} {b}", t=item.name, n=name, b=body)
            yield Step(item.name, f"add foreign key {key.name}", (add,))
        if same is None or not same.validated:
            yield Step(item.name, f"prove foreign key {key.name}", (validate(item, name),))
        swap = [drop_constraint(item, other) for other in others]
        if name != key.name:
            swap += rename_constraint(item, name, key.name).statements
        if swap:
            yield Step(item.name, f"put foreign key {key.name} in its place", tuple(swap))
