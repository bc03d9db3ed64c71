"""A table of an older database beside the shape its model declares: what differs, and what is in the way.

A live table is held against a *pattern*: a temporary table made from the model in a transaction that is rolled back,
so that PostgreSQL itself puts types, defaults and expressions into the form in which it shows the live ones.

Findings count what cannot be carried over; they never hold a row's contents. ``steps`` does the work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db import catalog
from moeen.db.adoption import Legacy
from moeen.db.converge import declared
from moeen.db.findings import Finding
from moeen.db.sql import compose, fragment

#: Functions of the older scripts; their triggers go, because the first breaks every write it guards.
LEGACY_FUNCTIONS = frozenset({"public.audit_trigger_function", "public.update_updated_at_column"})
#: How the older policies begin. All of them are for PUBLIC.
LEGACY_POLICIES = ("Users can ", "Admins can ", "System can ")


@dataclass(frozen=True)
class Subject:
    """One table under examination: as its model declares it, as it stands, and as the pattern says it should.

    ``later``: definitions of indexes that a later migration asks for; older ones like them are left for it.
    """

    want: declared.Table
    live: catalog.Table
    pattern: catalog.Table
    legacy: Legacy
    later: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.want.name

    @property
    def columns(self) -> Iterator[tuple[declared.Column, catalog.Column, catalog.Column]]:
        """(declared, live, pattern) of the columns that stand already."""
        for column in self.want.columns:
            if column.name in self.live.columns:
                yield column, self.live.columns[column.name], self.pattern.columns[column.name]

    @property
    def missing(self) -> tuple[declared.Column, ...]:
        return tuple(column for column in self.want.columns if column.name not in self.live.columns)


def subject(
    connection: BaseDatabaseWrapper,
    want: declared.Table,
    live: catalog.Table,
    legacy: Legacy,
    *,
    defaults: bool = True,
    later: frozenset[str] = frozenset(),
) -> Subject:
    """Make the pattern and put the three together; without ``defaults`` no function of ours need exist yet."""
    return Subject(want, live, make_pattern(connection, want, defaults=defaults), legacy, later)


def make_pattern(connection: BaseDatabaseWrapper, want: declared.Table, *, defaults: bool = True) -> catalog.Table:
    """The table as PostgreSQL shows it when it is made as declared, foreign keys aside; nothing of it stays."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for statement in declared.create_table(want if defaults else want.without_defaults(), temporary=True):
            cursor.execute(statement)
        table = catalog.read_temporary_table(connection, want.name)
        transaction.set_rollback(True, using=connection.alias)
    return table


# --- what is in the way -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Conversion:
    """How a live type becomes the declared one.

    ``misfit`` is the SQL condition, of ``{}``, for values that cannot; ``rewrites``: every row is touched under a lock.
    """

    misfit: str = ""
    rewrites: bool = False


def conversion(live: str, want: str) -> Conversion | None:
    """The way from one type to another that keeps every value; None where there is none."""
    one, other = _Type.parse(live), _Type.parse(want)
    if live == want or (one.name == other.name == "numeric" and not other.arguments):
        return Conversion()
    texts = {"character varying", "text"}
    if one.name in texts and other.name in texts:
        if not other.arguments or (one.arguments and one.arguments <= other.arguments):
            return Conversion()
        return Conversion(misfit=f"length({{}}) > {other.arguments[0]}", rewrites=True)
    if {one.name, other.name} <= {"timestamp without time zone", "timestamp with time zone"}:
        # Without USING, and in a session whose TimeZone is UTC, PostgreSQL 12+ keeps the stored values as they are.
        return Conversion() if other.name == "timestamp with time zone" else None
    integers = ["smallint", "integer", "bigint"]
    if one.name in integers and other.name in integers:
        if integers.index(one.name) <= integers.index(other.name):
            return Conversion(rewrites=True)
        limit = {"smallint": 2**15, "integer": 2**31}[other.name]
        return Conversion(misfit=f"{{}} NOT BETWEEN {-limit} AND {limit - 1}", rewrites=True)
    if one.name == other.name == "numeric" and other.arguments:
        precision, scale = other.arguments
        if one.arguments and one.arguments[0] <= precision and one.arguments[1] == scale:
            return Conversion()
        misfit = f"({{0}} <> round({{0}}, {scale}) OR abs({{0}}) >= 1e{precision - scale})"
        return Conversion(misfit=misfit, rewrites=True)
    return None


@dataclass(frozen=True)
class _Type:
    name: str
    arguments: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> _Type:
        """``numeric(10,2)`` -> numeric, (10, 2); ``timestamp(3) without time zone`` keeps its name whole."""
        arguments = re.search(r"\(([\d,]+)\)", text)
        name = re.sub(r"\([\d,]+\)", "", text)
        return cls(name, tuple(map(int, arguments[1].split(","))) if arguments else ())


def carried_over(item: Subject) -> Subject:
    """The table without the columns whose type cannot be converted, nor the constraints that stand on them.

    Of a table that is free of findings that is all of it; of another, what migrate would do if those were mended.
    """
    refused = {column.name for column, stands, pattern in item.columns if conversion(stands.type, pattern.type) is None}
    if not refused:
        return item
    want = replace(
        item.want,
        columns=tuple(column for column in item.want.columns if column.name not in refused),
        constraints=tuple(c for c in item.want.constraints if refused.isdisjoint(c.columns)),
        foreign_keys=tuple(key for key in item.want.foreign_keys if refused.isdisjoint(key.columns)),
    )
    return replace(item, want=want)


def structural_findings(connection: BaseDatabaseWrapper, item: Subject) -> list[Finding]:
    """Mismatches of shape that no step can mend."""
    live, name = item.live, item.name
    if live.kind != "r":
        kinds = {"v": "a view", "m": "a materialized view", "p": "a partitioned table", "f": "a foreign table"}
        return [Finding(name, "kind", "a table", kinds.get(live.kind, live.kind))]
    found = []
    keys = [c for c in live.constraints.values() if c.kind == "p"]
    wanted_key = next(c.columns for c in item.want.constraints if c.kind == "p")
    key = keys[0].columns if keys else ()
    if key != wanted_key:
        found.append(
            Finding(name, "primary key", f"({', '.join(wanted_key)})", f"({', '.join(key)})" if key else "none")
        )
    views = catalog.dependent_views(connection, live)
    for column, stands, pattern in item.columns:
        where = f"{name}.{column.name}"
        if stands.generated:
            found.append(Finding(where, "generated column", "a plain column", "GENERATED ALWAYS"))
        if conversion(stands.type, pattern.type) is None:
            found.append(Finding(where, "type", pattern.type, stands.type))
        elif is_retyped(stands, pattern) and column.name in views:
            users = ", ".join(sorted(views[column.name]))
            fix = "drop these views, migrate, make them again"
            found.append(Finding(where, "type in use", "no view that reads it", users, fix=fix))
    populated = has_rows(connection, name)
    for column in item.missing:
        if column.not_null and not column.default and populated:
            wanted = "present already, or a db_default or null=True in the model: the table holds rows"
            found.append(Finding(f"{name}.{column.name}", "new column", wanted, "missing, NOT NULL without default"))
    for extra in live.columns.keys() - item.want.names:
        stands = live.columns[extra]
        if stands.not_null and not (stands.default or stands.identity or stands.generated):
            found.append(
                Finding(
                    f"{name}.{extra}",
                    "unknown column",
                    "a default, or no NOT NULL: new rows would be refused",
                    "NOT NULL without default",
                    fix=compose("ALTER TABLE {t} ALTER COLUMN {c} DROP NOT NULL", t=name, c=extra),
                )
            )
    return found


def value_findings(
    connection: BaseDatabaseWrapper, item: Subject, live_tables: Mapping[str, catalog.Table]
) -> list[Finding]:
    """Rows that the declared constraints would refuse, counted; never their contents."""
    if item.live.kind != "r":
        return []
    rows = _future_rows(item)
    conditions = dict(_conditions(item))
    found = []
    with connection.cursor() as cursor:
        if conditions:
            counts = sql.SQL(", ").join(sql.SQL("count(*) FILTER (WHERE {})").format(c) for c in conditions.values())
            cursor.execute(compose("SELECT {counts} FROM {rows}", counts=counts, rows=rows))
            for (where, kind, expected), count in zip(conditions, cursor.fetchone(), strict=True):
                if count:
                    found.append(Finding(where, kind, expected, f"{count} {_rows(count)}"))
        for where, expressions, condition in _unproven_uniques(item):
            cursor.execute(
                compose(
                    "SELECT count(*) FROM (SELECT FROM {rows} WHERE ROW({e}) IS NOT NULL AND ({c})"
                    " GROUP BY {e} HAVING count(*) > 1) AS repeated",
                    rows=rows,
                    e=expressions,
                    c=condition,
                )
            )
            (count,) = cursor.fetchone()
            if count:
                found.append(Finding(where, "duplicates", "every value once", f"{count} repeated"))
        for key, condition in _unproven_foreign_keys(item, live_tables):
            cursor.execute(compose("SELECT count(*) FROM {t} WHERE {c}", t=item.name, c=condition))
            (count,) = cursor.fetchone()
            if count:
                where = f"{item.name}.{', '.join(key.columns)}"
                orphans = f"{count} {_rows(count)} without one"
                found.append(Finding(where, "orphans", f"a row of {key.to_table}", orphans))
    return found


def _future_rows(item: Subject) -> sql.Composable:
    """The table's rows as they will be, under the table's own name, as a FROM item.

    Values are mapped and NULLs filled as the steps will do; a column that cannot be converted counts as NULL.
    """
    parts = []
    for column in item.want.columns:
        stands = item.live.columns.get(column.name)
        way = stands and conversion(stands.type, item.pattern.columns[column.name].type)
        value: sql.Composable = sql.SQL("NULL")
        if way:
            value = mapped(item, column)
        elif stands is None and column.constant:
            value = fragment(column.default)
        # A cast to varchar(n) cuts silently, and one to a number that is too small fails: misfits keep their type.
        texts = column.type.startswith("varchar")
        kind = "text" if texts else stands.type if stands and way and way.misfit else column.type
        parts.append(sql.SQL("({})::{} AS {}").format(value, fragment(kind), sql.Identifier(column.name)))
    table = sql.Identifier(item.name)
    return sql.SQL("(SELECT {} FROM {}) AS {}").format(sql.SQL(", ").join(parts), table, table)


def mapped(item: Subject, column: declared.Column) -> sql.Composable:
    """The value a row will have in this column, in terms of what it has now."""
    value: sql.Composable = sql.Identifier(column.name)
    mapping = item.legacy.values.get(column.name)
    if mapping:
        whens = [sql.SQL("WHEN {} THEN {}").format(sql.Literal(a), sql.Literal(b)) for a, b in mapping.items()]
        value = sql.SQL("CASE {} {} ELSE {} END").format(value, sql.SQL(" ").join(whens), value)
    substitutes = _substitutes(item, column)
    return sql.SQL("coalesce({})").format(sql.SQL(", ").join([value, *substitutes])) if substitutes else value


def _substitutes(item: Subject, column: declared.Column) -> list[sql.Composable]:
    """What a NULL becomes where none is allowed: the constant default; for a time, the row's other times."""
    if not column.not_null or not column.constant:
        return []
    if not column.is_clock:
        return [fragment(column.default)]
    others = [c.name for c in item.want.columns if c.is_clock and c.name != column.name]
    return [sql.Identifier(name) for name in others if name in item.live.columns]


def _conditions(item: Subject) -> Iterator[tuple[tuple[str, str, str], sql.Composable]]:
    """(object, kind, expected) -> the condition on a future row that a finding counts."""
    for column, stands, pattern in item.columns:
        way, name = conversion(stands.type, pattern.type), sql.Identifier(column.name)
        where = f"{item.name}.{column.name}"
        if way is None:
            continue
        if way.misfit:
            yield (where, "values too large", pattern.type), fragment(way.misfit).format(name)
        if column.not_null and not column.prefix and not stands.not_null:
            yield (where, "empty values", "a value in every row"), sql.SQL("{} IS NULL").format(name)
    for constraint in item.want.constraints:
        standing, pattern_of = item.live.constraints.get(constraint.name), item.pattern.constraints[constraint.name]
        proven = standing and standing.validated and standing.definition == pattern_of.definition
        if constraint.kind == "c" and not proven:
            check = fragment(constraint.body.removeprefix("CHECK "))
            where = f"{item.name}.{constraint.name.removeprefix(item.name + '_').removesuffix('_check')}"
            yield (where, "values not allowed", constraint.body), sql.SQL("NOT {}").format(check)


def _rows(count: int) -> str:
    return "row" if count == 1 else "rows"


def _unproven_uniques(item: Subject) -> Iterator[tuple[str, sql.Composable, sql.Composable]]:
    """Uniques that nothing live guarantees yet: where, the expressions to group by, and which rows count."""
    proven = {c.columns for c in item.live.constraints.values() if c.kind in "pu"}
    for constraint in item.want.constraints:
        names = constraint.columns
        if constraint.kind == "u" and names not in proven and set(names) <= item.live.columns.keys():
            yield f"{item.name}.{', '.join(names)}", sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL("true")
    for index in item.want.indexes:
        pattern = item.pattern.indexes[index.name]
        live = item.live.indexes.get(index.name)
        if index.unique and not (live and live.valid and live.definition == pattern.definition):
            keys, _, condition = pattern.definition.removeprefix("btree ").partition(" WHERE ")
            yield f"{item.name}.{index.name}", fragment(_first_bracket(keys)), fragment(condition or "true")


def _first_bracket(text: str) -> str:
    """``(lower(name), id) INCLUDE (x)`` -> ``lower(name), id``."""
    depth = 0
    for place, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return text[1:place]
    return text


def _unproven_foreign_keys(
    item: Subject, live_tables: Mapping[str, catalog.Table]
) -> Iterator[tuple[declared.ForeignKey, sql.Composable]]:
    """Foreign keys that nothing live guarantees yet, with the condition that finds orphans."""
    for key in item.want.foreign_keys:
        if not set(key.columns) <= item.live.columns.keys() or any(same_reference(c, key) for c in _valid_keys(item)):
            continue
        there = live_tables.get(key.to_table)
        filled = [sql.SQL("{} IS NOT NULL").format(sql.Identifier(item.name, name)) for name in key.columns]
        given = sql.SQL(" AND ").join(filled)
        if there is None or there.kind != "r" or not set(key.to_columns) <= there.columns.keys():
            yield key, given
            continue
        pairs = list(zip(key.columns, key.to_columns, strict=True))
        if any(item.live.columns[a].type != there.columns[b].type for a, b in pairs):
            continue  # a mismatch of types is a finding of its own
        same = sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier("there", b), sql.Identifier(item.name, a)) for a, b in pairs
        )
        yield (
            key,
            sql.SQL("{} AND NOT EXISTS (SELECT FROM {} AS there WHERE {})").format(
                given, sql.Identifier(key.to_table), same
            ),
        )


def _valid_keys(item: Subject) -> list[catalog.Constraint]:
    return [c for c in item.live.constraints.values() if c.kind == "f" and c.validated]


def same_reference(live: catalog.Constraint, key: declared.ForeignKey) -> bool:
    return (live.columns, live.references, live.references_columns) == (key.columns, key.to_table, key.to_columns)


def has_rows(connection: BaseDatabaseWrapper, table: str, condition: sql.Composable | None = None) -> bool:
    with connection.cursor() as cursor:
        where = sql.SQL("true") if condition is None else condition
        cursor.execute(compose("SELECT EXISTS (SELECT FROM {t} WHERE {w})", t=table, w=where))
        (answer,) = cursor.fetchone()
    return bool(answer)


def is_retyped(live: catalog.Column, pattern: catalog.Column) -> bool:
    return (live.type, live.collation) != (pattern.type, pattern.collation)


def findings(
    connection: BaseDatabaseWrapper, items: Sequence[Subject], live_tables: Mapping[str, catalog.Table]
) -> list[Finding]:
    """Everything that is in the way of adopting these tables."""
    found: list[Finding] = []
    for item in items:
        found += structural_findings(connection, item)
        found += value_findings(connection, item, live_tables)
    return found
