"""The steps that bring a live table to the shape its model declares, online, and their execution.

Every step is one short transaction, or one CONCURRENTLY statement, and leaves a working table behind. Planning again
after a stop gives the steps that are left. Objects that neither the model nor the older scripts know are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db import catalog
from moeen.db.converge import adoption, declared, locks
from moeen.db.converge.adoption import (
    LEGACY_FUNCTIONS,
    LEGACY_POLICIES,
    Subject,
    has_rows,
    is_retyped,
    mapped,
    same_reference,
)
from moeen.db.sql import compose, fragment

#: Pages of 8 kB that one batch of a data step covers: about 8 MB, a few thousand to a few ten thousand rows.
BATCH_PAGES = 1000


@dataclass(frozen=True)
class Step:
    """Statements that run together: in one transaction, or alone when ``concurrently``.

    A ``batched`` step's statement is run for one range of pages after the other, each time with the range added to its
    WHERE clause, which comes last. ``rewrites``: it changes a type in a way that touches every row under its lock.
    """

    table: str
    purpose: str
    statements: tuple[str, ...]
    concurrently: bool = False
    batched: bool = False
    rewrites: bool = False


def plan(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Step]:
    """The steps for one table, in order; none when it has its shape. The table must be free of findings."""
    yield from _drop_leftovers(item)
    yield from _add_columns(item)
    yield from _convert_columns(item)
    yield from _set_defaults(item)
    fill = list(_fill_values(connection, item))
    yield from fill
    yield from _require_values(connection, item, fill)
    yield from _add_checks(item)
    yield from _add_uniques(item)
    yield from _add_indexes(item)
    yield from _add_foreign_keys(item)
    yield from _drop_replaced_indexes(item)
    yield from _describe(item)


def relax(live: catalog.Table, before: declared.Table, after: declared.Table) -> Iterator[Step]:
    """The steps that take away what one shape asks for and the next does not; columns stay."""
    constraints, indexes, columns = _released(live, before, after)
    statements = [compose("ALTER TABLE {t} DROP CONSTRAINT IF EXISTS {n}", t=live.name, n=n) for n in constraints]
    statements += [compose("ALTER TABLE {t} ALTER COLUMN {c} DROP NOT NULL", t=live.name, c=c) for c in columns]
    if statements:
        yield Step(live.name, f"release {', '.join((*constraints, *columns))}", tuple(statements))
    for name in indexes:
        statement = compose("DROP INDEX CONCURRENTLY IF EXISTS {name}", name=name)
        yield Step(live.name, f"drop index {name}", (statement,), concurrently=True)


def relaxed(live: catalog.Table, before: declared.Table, after: declared.Table) -> catalog.Table:
    """The table as it stands after these steps."""
    constraints, indexes, columns = _released(live, before, after)
    return replace(
        live,
        constraints={name: it for name, it in live.constraints.items() if name not in constraints},
        indexes={name: it for name, it in live.indexes.items() if name not in (*constraints, *indexes)},
        columns={n: replace(it, not_null=it.not_null and n not in columns) for n, it in live.columns.items()},
    )


def _released(
    live: catalog.Table, before: declared.Table, after: declared.Table
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Names of the live constraints, indexes, and NOT NULL columns that only ``before`` asked for."""
    asked, kept = (
        {c.name for c in shape.constraints} | {k.name for k in shape.foreign_keys} for shape in (before, after)
    )
    constraints = sorted((asked - kept) & live.constraints.keys())
    indexes = sorted(({i.name for i in before.indexes} - {i.name for i in after.indexes}) & live.indexes.keys())
    nullable = {column.name for column in after.columns if not column.not_null}
    columns = [c.name for c in before.columns if c.not_null and c.name in nullable and live.columns[c.name].not_null]
    return tuple(constraints), tuple(indexes), tuple(columns)


def execute(connection: BaseDatabaseWrapper, step: Step) -> None:
    """Run one step, trying again while its locks cannot be had. Raises locks.GaveUp.

    Concurrent and batched steps need a connection outside any transaction.
    """
    purpose = f"{step.purpose} on {step.table}"
    if step.batched:
        for pages in _page_ranges(connection, step.table):
            statements = [f"{statement} AND {pages}" for statement in step.statements]
            locks.patiently(connection, partial(_run_together, connection, statements), purpose=purpose)
    elif step.concurrently:
        locks.patiently(connection, partial(_run_alone, connection, step.statements), purpose=purpose)
    else:
        locks.patiently(
            connection, partial(_run_together, connection, step.statements), purpose=purpose, table=step.table
        )


def _run_together(connection: BaseDatabaseWrapper, statements: Sequence[str]) -> None:
    # VALIDATE reads the whole table under a lock that stops nobody.
    unlimited = any("VALIDATE CONSTRAINT" in statement for statement in statements)
    with locks.short_transaction(connection, unlimited=unlimited), connection.cursor() as cursor:
        # timestamp to timestamptz keeps the stored values only when the session counts in UTC.
        cursor.execute("SELECT set_config('TimeZone', 'UTC', true)")
        for statement in statements:
            cursor.execute(statement)


def _run_alone(connection: BaseDatabaseWrapper, statements: Sequence[str]) -> None:
    # CONCURRENTLY takes no part in a transaction; its locks stop neither readers nor writers, so it may wait.
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _page_ranges(connection: BaseDatabaseWrapper, table: str) -> Iterator[str]:
    """Conditions on ctid that cover the table as long as it is now; TID range scans came with PostgreSQL 14."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::int", [f'"{table}"'])
        (pages,) = cursor.fetchone()
    for first in range(0, pages, BATCH_PAGES):
        tids = [sql.Literal(f"({page},0)") for page in (first, first + BATCH_PAGES)]
        yield sql.SQL("ctid >= {}::tid AND ctid < {}::tid").format(*tids).as_string(None)


# --- what the older scripts left ----------------------------------------------------------------------------------


def _drop_leftovers(item: Subject) -> Iterator[Step]:
    """Broken triggers, leaky policies, constraints that have no place: gone before anything is written."""
    statements = [
        compose("DROP TRIGGER IF EXISTS {trigger} ON {table}", trigger=trigger.name, table=item.name)
        for trigger in item.live.triggers.values()
        if trigger.function in LEGACY_FUNCTIONS
    ]
    statements += [
        compose("DROP POLICY IF EXISTS {policy} ON {table}", policy=policy.name, table=item.name)
        for policy in item.live.policies.values()
        if policy.name.startswith(LEGACY_POLICIES) and policy.roles == ("public",)
    ]
    statements += [
        compose("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}", table=item.name, name=name)
        for name in item.legacy.constraints
        if name in item.live.constraints
    ]
    if statements:
        yield Step(item.name, "drop what the older scripts left", tuple(statements))


def older_index_pattern(table: str) -> str:
    """What the names of the older scripts' indexes are LIKE."""
    return f"idx_{table}%".replace("_", r"\_")


def _older_indexes(item: Subject) -> list[catalog.Index]:
    """Indexes under the older scripts' names."""
    return [
        index
        for index in item.live.indexes.values()
        if index.name.startswith(f"idx_{item.name}") and not index.constraint
    ]


def _on_retyped_column(item: Subject, index: catalog.Index) -> bool:
    return any(name in index.definition for name in _retyped_names(item))


def _retyped_names(item: Subject) -> list[str]:
    return [column.name for column, live, pattern in item.columns if is_retyped(live, pattern)]


def _drop_replaced_indexes(item: Subject) -> Iterator[Step]:
    renamed = {old for old, _ in _renamed_indexes(item)}
    for index in _older_indexes(item):
        awaited = index.valid and not index.unique and index.definition in item.later
        if index.name not in renamed and not awaited and not _on_retyped_column(item, index):
            yield _drop_index(item, index.name)


def _drop_index(item: Subject, name: str) -> Step:
    statement = compose("DROP INDEX CONCURRENTLY IF EXISTS {name}", name=name)
    return Step(item.name, f"drop index {name}", (statement,), concurrently=True)


# --- columns ------------------------------------------------------------------------------------------------------


def _add_columns(item: Subject) -> Iterator[Step]:
    statements = []
    for column in item.missing:
        if column.constant or not column.default:
            statements.append(compose("ALTER TABLE {t} ADD COLUMN {d}", t=item.name, d=column.definition))
        else:
            # A volatile default would rewrite the table: the column first, its default for new rows after.
            parts = {"t": item.name, "c": column.name}
            statements.append(compose("ALTER TABLE {t} ADD COLUMN {c} {type}", type=column.type_sql, **parts))
            statements.append(_set_default(item, column))
    if statements:
        yield Step(item.name, f"add {', '.join(c.name for c in item.missing)}", tuple(statements))


def _set_default(item: Subject, column: declared.Column) -> str:
    default = fragment(f"SET DEFAULT {column.default}" if column.default else "DROP DEFAULT")
    return compose("ALTER TABLE {t} ALTER COLUMN {c} {default}", t=item.name, c=column.name, default=default)


def _convert_columns(item: Subject) -> Iterator[Step]:
    retyped = [(column, live) for column, live, pattern in item.columns if is_retyped(live, pattern)]
    if not retyped:
        return
    # An index on such a column would be rebuilt under the lock: it goes first, and its successor is built online.
    for index in _older_indexes(item):
        if _on_retyped_column(item, index):
            yield _drop_index(item, index.name)
    drops, adds, changes = [], [], []
    for column, live in retyped:
        changes.append(compose("ALTER COLUMN {c} TYPE {type}", c=column.name, type=column.type_sql))
        if live.default and column.default:
            # Said anew, or the older default stays wrapped in casts.
            changes.append(compose("ALTER COLUMN {c} SET DEFAULT {d}", c=column.name, d=fragment(column.default)))
        for unique in _uniques_to_recollate(item, column):
            # An index that has the new collation already is taken over without a rebuild (tried on 15 and 18).
            twin = f"{unique.name}_new"
            yield from _build_index(
                item,
                twin,
                compose(
                    "CREATE UNIQUE INDEX CONCURRENTLY {twin} ON {t} ({c} COLLATE {l})",
                    twin=twin,
                    t=item.name,
                    c=column.name,
                    l=column.collation,
                ),
            )
            drops.append(_drop_constraint(item, unique.name))
            adds.append(_add_unique_using(item, unique.name, twin))
    alter = compose("ALTER TABLE {t} {changes}", t=item.name, changes=fragment(", ".join(changes)))
    names = ", ".join(column.name for column, _ in retyped)
    ways = [adoption.conversion(live.type, item.pattern.columns[column.name].type) for column, live in retyped]
    rewrites = any(way is not None and way.rewrites for way in ways)
    yield Step(item.name, f"convert {names}", (*drops, alter, *adds), rewrites=rewrites)


def _uniques_to_recollate(item: Subject, column: declared.Column) -> list[catalog.Constraint]:
    if not column.collation:
        return []
    return [c for c in item.live.constraints.values() if c.kind == "u" and c.columns == (column.name,)]


def _set_defaults(item: Subject) -> Iterator[Step]:
    changed = [
        column
        for column, live, pattern in item.columns
        if live.default != pattern.default and not (is_retyped(live, pattern) and live.default)
    ]
    if changed:
        statements = tuple(_set_default(item, column) for column in changed)
        yield Step(item.name, f"set the default of {', '.join(c.name for c in changed)}", statements)


# --- values -------------------------------------------------------------------------------------------------------


def _fill_values(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Step]:
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


def _require_values(connection: BaseDatabaseWrapper, item: Subject, fill: list[Step]) -> Iterator[Step]:
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
    yield Step(item.name, f"refuse NULL in {listed}", (_drop_constraint(item, name), add))
    yield from fill  # rows that came in between; it finds none as a rule
    yield Step(item.name, f"prove that {listed} hold values", (_validate(item, name),))
    sets = sql.SQL(", ").join(sql.SQL("ALTER COLUMN {} SET NOT NULL").format(sql.Identifier(c.name)) for c in columns)
    drops = [_drop_constraint(item, name)]
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
        _drop_constraint(item, check),
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
    return [_drop_constraint(item, check), drop_trigger]


# --- constraints and indexes --------------------------------------------------------------------------------------


def _add_checks(item: Subject) -> Iterator[Step]:
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
            changes.append(_drop_constraint(item, constraint.name))
        body = fragment(f"{constraint.body} NOT VALID")
        changes.append(compose("ALTER TABLE {t} ADD CONSTRAINT {n} {b}", t=item.name, n=constraint.name, b=body))
        unproven.append(constraint.name)
    if changes:
        yield Step(item.name, f"add checks {', '.join(unproven)}", tuple(changes))
    if unproven:
        validations = sql.SQL(", ").join(sql.SQL("VALIDATE CONSTRAINT {}").format(sql.Identifier(n)) for n in unproven)
        statement = compose("ALTER TABLE {t} {v}", t=item.name, v=validations)
        yield Step(item.name, f"prove checks {', '.join(unproven)}", (statement,))


def _add_uniques(item: Subject) -> Iterator[Step]:
    by_columns = {(c.kind, c.columns): c for c in item.live.constraints.values() if c.kind in "pu"}
    for constraint in item.want.constraints:
        if constraint.kind not in "pu":
            continue
        live = by_columns.get((constraint.kind, constraint.columns))
        if live:
            if live.name != constraint.name:
                yield _rename_constraint(item, live.name, constraint.name)
            continue
        create = compose(
            "CREATE UNIQUE INDEX CONCURRENTLY {n} ON {t} ({c})", n=constraint.name, t=item.name, c=constraint.columns
        )
        index = item.live.indexes.get(constraint.name)
        if not (index and index.valid and index.unique):
            yield from _build_index(item, constraint.name, create)
        add = _add_unique_using(item, constraint.name, constraint.name)
        yield Step(item.name, f"add unique {constraint.name}", (add,))


def _add_unique_using(item: Subject, name: str, index: str) -> str:
    return compose("ALTER TABLE {t} ADD CONSTRAINT {n} UNIQUE USING INDEX {i}", t=item.name, n=name, i=index)


def _add_indexes(item: Subject) -> Iterator[Step]:
    renamed = {new: old for old, new in _renamed_indexes(item)}
    for index in item.want.indexes:
        pattern, live = item.pattern.indexes[index.name], item.live.indexes.get(index.name)
        if live and live.valid and live.definition == pattern.definition:
            continue
        if index.name in renamed:
            statement = compose("ALTER INDEX {old} RENAME TO {new}", old=renamed[index.name], new=index.name)
            yield Step(item.name, f"rename index {renamed[index.name]}", (statement,))
        else:
            yield from _build_index(item, index.name, index.concurrent)


def _renamed_indexes(item: Subject) -> Iterator[tuple[str, str]]:
    """(older name, today's) of indexes of the older scripts that are just what is wanted."""
    taken: set[str] = set()
    for index in item.want.indexes:
        pattern = item.pattern.indexes[index.name]
        for older in _older_indexes(item):
            same = (older.unique, older.definition, older.valid) == (pattern.unique, pattern.definition, True)
            free = index.name not in item.live.indexes and older.name not in taken
            if same and free and not _on_retyped_column(item, older):
                taken.add(older.name)
                yield older.name, index.name
                break


def _build_index(item: Subject, name: str, create: str) -> Iterator[Step]:
    """Build an index online; what an interrupted build left is invalid, and IF NOT EXISTS would accept it."""
    drop = compose("DROP INDEX CONCURRENTLY IF EXISTS {name}", name=name)
    yield Step(item.name, f"build index {name}", (drop, create), concurrently=True)


def _add_foreign_keys(item: Subject) -> Iterator[Step]:
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
            yield Step(item.name, f"prove foreign key {key.name}", (_validate(item, name),))
        swap = [_drop_constraint(item, other) for other in others]
        if name != key.name:
            swap += _rename_constraint(item, name, key.name).statements
        if swap:
            yield Step(item.name, f"put foreign key {key.name} in its place", tuple(swap))


def _rename_constraint(item: Subject, old: str, new: str) -> Step:
    statement = compose("ALTER TABLE {t} RENAME CONSTRAINT {old} TO {new}", t=item.name, old=old, new=new)
    return Step(item.name, f"rename constraint {old}", (statement,))


def _drop_constraint(item: Subject, name: str) -> str:
    return compose("ALTER TABLE {t} DROP CONSTRAINT IF EXISTS {n}", t=item.name, n=name)


def _validate(item: Subject, name: str) -> str:
    return compose("ALTER TABLE {t} VALIDATE CONSTRAINT {n}", t=item.name, n=name)


# --- what describes and closes it ---------------------------------------------------------------------------------


def _describe(item: Subject) -> Iterator[Step]:
    statements = []
    if not item.live.row_security:
        statements.append(declared.enable_row_security(item.name))
    for column in item.want.columns:
        live = item.live.columns.get(column.name)
        if column.comment != (live.comment if live else ""):
            statements.append(declared.comment_on_column(item.name, column.name, column.comment))
    if item.live.comment != item.want.comment:
        statements.append(declared.comment_on_table(item.name, item.want.comment))
    if statements:
        yield Step(item.name, "describe and close", tuple(statements))
