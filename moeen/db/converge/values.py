"""Values are mapped and filled in, and NULL is refused where every row must hold one."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db.catalog.sizes import has_rows
from moeen.db.converge import declared
from moeen.db.converge.conversions import mapped
from moeen.db.converge.step import Step, drop_constraint, validate
from moeen.db.converge.subject import Subject
from moeen.db.sql import compose


def fill_values(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Step]:
    """Map older values and fill NULLs that have a documented meaning, in batches, touching only such rows."""
    changes = {}
    for column, live, _ in item.columns:
        value = mapped(item, column)
        if isinstance(value, sql.Identifier) or (live.not_null and column.name not in item.legacy.values):
            continue
        changes[column.name] = value
    assignments = [sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in changes.items()]
    differs = [sql.SQL("{} IS DISTINCT FROM {}").format(sql.Identifier(name), value) for name, value in changes.items()]
    condition = sql.SQL("({})").format(sql.SQL(" OR ").join(differs))
    if not changes or not has_rows(connection, item.name, condition):
        return
    statement = compose(
        "UPDATE {t} SET {assignments} WHERE {condition}",
        t=item.name,
        assignments=sql.SQL(", ").join(assignments),
        condition=condition,
    )
    yield Step(item.name, f"fill {', '.join(changes)}", (statement,), batched=True)


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
    name = f"{item.name}_adoption_not_null"
    proof = sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(sql.Identifier(c.name)) for c in columns)
    add = compose("ALTER TABLE {t} ADD CONSTRAINT {n} CHECK ({p}) NOT VALID", t=item.name, n=name, p=proof)
    listed = ", ".join(c.name for c in columns)
    yield Step(item.name, f"refuse NULL in {listed}", (drop_constraint(item, name), add))
    yield from fill  # rows that came in between; it finds none as a rule
    yield Step(item.name, f"prove that {listed} hold values", (validate(item, name),))
    sets = sql.SQL(", ").join(sql.SQL("ALTER COLUMN {} SET NOT NULL").format(sql.Identifier(c.name)) for c in columns)
    drops = [drop_constraint(item, name)]
    for column in columns:
        if column.prefix:
            drops += _drop_guard(item, column)
    set_not_null = compose("ALTER TABLE {t} {sets}", t=item.name, sets=sets)
    yield Step(item.name, f"set NOT NULL on {listed}", (set_not_null, *drops))


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
    statements = (
        compose(
            "CREATE OR REPLACE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON {t} FOR EACH ROW"
            " WHEN (NEW.{c} IS NULL) EXECUTE FUNCTION app.fill_public_id({prefix})",
            trigger=trigger,
            t=item.name,
            c=column.name,
            prefix=sql.Literal(column.prefix),
        ),
        drop_constraint(item, check),
        compose(
            "ALTER TABLE {t} ADD CONSTRAINT {n} CHECK ({c} IS NOT NULL) NOT VALID",
            t=item.name,
            n=check,
            c=column.name,
        ),
    )
    yield Step(item.name, f"guard {column.name} until the backfill", statements)


def guard_names(table: str, column: str) -> tuple[str, str]:
    """The NOT VALID check and the trigger that stand while older rows lack their public id."""
    # Triggers fire in the order of their names: this one after <table>_updated_at_set, which looks at public_id.
    return f"{table}_{column}_required", f"{table}_without_{column}"


def _drop_guard(item: Subject, column: declared.Column) -> list[str]:
    check, trigger = guard_names(item.name, column.name)
    drop_trigger = compose("DROP TRIGGER IF EXISTS {trigger} ON {t}", trigger=trigger, t=item.name)
    return [drop_constraint(item, check), drop_trigger]
