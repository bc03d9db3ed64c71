"""Values are mapped and filled in, and NULL is refused where every row must hold one."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db.actions import (
    Action,
    AddCheck,
    CreateTrigger,
    DropConstraint,
    DropTrigger,
    FillValues,
    SetNotNull,
    Validate,
    together,
)
from moeen.db.catalog.sizes import has_rows
from moeen.db.converge import declared
from moeen.db.converge.conversions import current, mapped
from moeen.db.converge.step import Step
from moeen.db.converge.subject import Subject
from moeen.db.sql import compose


def fill_values(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Step]:
    """Map older values and fill NULLs that have a documented meaning, in batches, touching only such rows."""
    changes = {}
    for column, live, _ in () if item.empty else item.columns:
        value = mapped(item, column)
        if value == current(item, column.name) or (live.not_null and column.name not in item.legacy.values):
            continue
        changes[column.name] = value
    names = {name: sql.Identifier(name) for name in changes}
    sets = sql.SQL(", ").join(sql.SQL("{} = {}").format(names[name], value) for name, value in changes.items())
    differs = sql.SQL(" OR ").join(
        sql.SQL("{} IS DISTINCT FROM {}").format(current(item, name), value) for name, value in changes.items()
    )
    if changes and has_rows(connection, item.name, differs):
        fill = FillValues(item.table, sets.as_string(None), differs.as_string(None), tuple(changes))
        yield Step(f"fill {', '.join(changes)}", (fill,))


def require_values(connection: BaseDatabaseWrapper, item: Subject, fill: list[Step]) -> Iterator[Step]:
    """NOT NULL, proven by a validated check beforehand so that SET NOT NULL need not scan under its lock."""
    columns = []
    for column in item.want.columns:
        live = item.live.columns.get(column.name)
        added_required = live is None and (column.constant or not column.default)
        if not column.not_null or (live and live.not_null) or added_required:
            continue
        if column.prefix and _lacks_ids(connection, item, column):
            yield from _guard(item, column)
        else:
            columns.append(column)
    if not columns:
        return
    proof = item.has(f"{item.name}_adoption_not_null")
    held = sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(sql.Identifier(c.name)) for c in columns)
    listed = ", ".join(c.name for c in columns)
    check = AddCheck(proof, compose("CHECK ({held})", held=held))
    yield Step(f"refuse NULL in {listed}", (DropConstraint(proof), check))
    yield from fill  # rows that came in between; it finds none as a rule
    yield Step(f"prove that {listed} hold values", (Validate(proof),))
    required = together(*(SetNotNull(item.has(column.name), proven=True) for column in columns))
    guards = [action for column in columns if column.prefix for action in _drop_guard(item, column)]
    yield Step(f"set NOT NULL on {listed}", (required, DropConstraint(proof), *guards))


def _lacks_ids(connection: BaseDatabaseWrapper, item: Subject, column: declared.Column) -> bool:
    if column.name not in item.live.columns:
        return has_rows(connection, item.name)
    return has_rows(connection, item.name, sql.SQL("{} IS NULL").format(sql.Identifier(column.name)))


def _guard(item: Subject, column: declared.Column) -> Iterator[Step]:
    """Until older rows have their ids: nobody writes a NULL, and an older row that is changed gets its id then.

    Without the trigger the NOT VALID check would refuse every UPDATE of a row that has no id yet.
    """
    check, trigger = guard_names(item.name, column.name)
    if check in item.live.constraints and trigger in item.live.triggers:
        return
    definition = compose(
        "CREATE OR REPLACE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON {t} FOR EACH ROW"
        " WHEN (NEW.{c} IS NULL) EXECUTE FUNCTION app.fill_public_id({prefix})",
        trigger=trigger,
        t=item.name,
        c=column.name,
        prefix=sql.Literal(column.prefix),
    )
    required = AddCheck(item.has(check), compose("CHECK ({c} IS NOT NULL)", c=column.name))
    actions = (CreateTrigger(item.has(trigger), definition), DropConstraint(item.has(check)), required)
    yield Step(f"guard {column.name} until the backfill", actions)


def guard_names(table: str, column: str) -> tuple[str, str]:
    """The NOT VALID check and the trigger that stand while older rows lack their public id."""
    # Triggers fire in the order of their names: this one after <table>_updated_at_set, which looks at public_id.
    return f"{table}_{column}_required", f"{table}_without_{column}"


def _drop_guard(item: Subject, column: declared.Column) -> tuple[Action, ...]:
    check, trigger = guard_names(item.name, column.name)
    return DropConstraint(item.has(check)), DropTrigger(item.has(trigger))
