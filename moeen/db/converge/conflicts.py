"""What of the clinic's own adoption's changes of rows would run into: told before, for a twin has no rows to tell it.

What was valid yesterday holds for every row; it is broken by a value that adoption maps or fills in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set

import psycopg
from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db import catalog
from moeen.db.actions import Disinherit, DropConstraint, DropIndex, DropRule, FillValues
from moeen.db.converge.conversions import carried_over
from moeen.db.converge.future import future_rows
from moeen.db.converge.subject import Subject
from moeen.db.converge.values import fill_values
from moeen.db.findings import Finding, Fix
from moeen.db.kinds import Kind
from moeen.db.names import ObjectName
from moeen.db.sql import compose, fragment

_KEPT = "one that the values keep which adoption maps or fills in"
_AFTERWARDS = "and after migrate, made anew for the values that then stand"


def findings(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Finding]:
    """Heirs whose rows no step reaches, rules that turn writes into something else, and constraints."""
    if item.live.kind != "r":
        return
    yield from _heirs(connection, item)
    yield from _rules(connection, item)
    yield from _of_types(connection, item)
    yield from _lost(connection, item)
    fills = [action for step in fill_values(connection, carried_over(item)) for action in step.actions]
    filled = {column for action in fills if isinstance(action, FillValues) for column in action.columns}
    if filled:
        yield from _checks(connection, item, filled)
        yield from _keys(connection, item, filled)
        yield from _uniques(connection, item, filled)


def _heirs(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT n.nspname, c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
               JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE i.inhparent = %s ORDER BY 1, 2""",
            [item.live.oid],
        )
        heirs = [ObjectName(*row) for row in cursor.fetchall()]
    for heir in heirs:
        fix = Fix.by(Disinherit(heir, item.table), advice="it stays, as a table for itself")
        words = f"{heir.pretty()} inherits from it"
        yield Finding(item.name, Kind.INHERITING_TABLE, "no heir, whose rows no policy of ours guards", words, fix=fix)


def _rules(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Finding]:
    """A rule that does something instead, or at an UPDATE: what is filled in might not arrive."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT rulename::text, pg_get_ruledef(oid, true) FROM pg_rewrite
               WHERE ev_class = %s AND (is_instead OR ev_type = '2') AND ev_enabled <> 'D' ORDER BY 1""",
            [item.live.oid],
        )
        rules = cursor.fetchall()
    for name, definition in rules:
        fix = Fix.by(DropRule(item.has(name)))
        yield Finding(
            f"{item.name}.{name}", Kind.UNEXPECTED_RULE, "no rule that turns writes away", definition, fix=fix
        )


def _of_types(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Finding]:
    """Indexes and checks that name values of a type which a column is to have no more: nothing compares the two."""
    retyped = [column.name for column, live, pattern in item.columns if live.type != pattern.type]
    with connection.cursor() as cursor:
        cursor.execute(_NAMING_TYPES, {"table": item.live.oid, "columns": [n for n in retyped if n in item.plain]})
        found = cursor.fetchall()
    for name, definition, kind in found:
        if name not in item.pattern.constraints and name not in item.legacy.constraints:
            yield _broken(item, name, definition, expected=f"one that does without type {kind}, which its column loses")


def _lost(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Finding]:
    """Expressions whose functions look for names where our sessions do not, tried on a row: every write would fail."""
    with connection.cursor() as cursor:
        cursor.execute(_CALLING, {"table": item.live.oid})
        found = cursor.fetchall()
    for name, kind, expression in found:
        try:
            with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
                cursor.execute("SET LOCAL transaction_read_only = on")
                cursor.execute(compose("SELECT {e} FROM {t} LIMIT 1", e=fragment(expression), t=item.name))
                transaction.set_rollback(True, using=connection.alias)
        except DatabaseError as error:
            # Of any other class the server's words may hold what a row does.
            if isinstance(cause := error.__cause__, psycopg.Error) and (cause.sqlstate or "").startswith("42"):
                fix = Fix(
                    advice="write the schema before that name in the function, or ALTER FUNCTION ... SET search_path"
                )
                expected = "one that works with search_path = public"
                yield Finding(f"{item.name}.{name}", Kind(kind), expected, str(cause.diag.message_primary), fix=fix)


def _checks(connection: BaseDatabaseWrapper, item: Subject, filled: Set[str]) -> Iterator[Finding]:
    for constraint in _own(item, "c", filled):
        check = re.fullmatch(r"CHECK (\(.*\))( NO INHERIT)?", constraint.definition, re.DOTALL)
        if check and constraint.validated:
            count = _count(
                connection, "SELECT count(*) FROM {r} WHERE NOT {c}", r=future_rows(item), c=fragment(check[1])
            )
            if count:
                yield _broken(item, constraint.name, f"{constraint.definition}: {count} rows would break it")


def _keys(connection: BaseDatabaseWrapper, item: Subject, filled: Set[str]) -> Iterator[Finding]:
    for key in _own(item, "f", filled):
        pairs = zip(key.columns, key.references_columns, strict=True)
        same = [compose("there.{a}::text = {t}.{b}::text", a=b, t=item.name, b=a) for a, b in pairs]
        given = [compose("{t}.{b} IS NOT NULL", t=item.name, b=column) for column in key.columns]
        count = _count(
            connection,
            "SELECT count(*) FROM {r} WHERE {g} AND NOT EXISTS (SELECT FROM {there} AS there WHERE {s})",
            r=future_rows(item),
            g=fragment(" AND ".join(given)),
            there=fragment(_referenced(key)),
            s=fragment(" AND ".join(same)),
        )
        if count:
            yield _broken(item, key.name, f"{key.definition}: {count} rows would break it")


def _uniques(connection: BaseDatabaseWrapper, item: Subject, filled: Set[str]) -> Iterator[Finding]:
    """Rows that differ in a NULL only become alike. Whether they exclude each other otherwise, nothing tells."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT c.relname::text, i.indisexclusion, coalesce(pg_get_expr(i.indpred, i.indrelid), 'true'),
                      ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, false) FROM generate_series(1, i.indnkeyatts) AS k)
               FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
               WHERE i.indrelid = %s AND (i.indisunique OR i.indisexclusion) AND i.indisvalid ORDER BY 1""",
            [item.live.oid],
        )
        found = cursor.fetchall()
    for name, excludes, condition, expressions in found:
        words = ", ".join(expressions)
        if name in item.pattern.indexes or not _names(f"{words} {condition}", filled):
            continue
        if excludes:
            yield _broken(item, name, f"{item.live.indexes[name].definition}: rows get values that it looks at")
            continue
        count = _count(
            connection,
            "SELECT count(*) FROM (SELECT FROM {r} WHERE ROW({e}) IS NOT NULL AND {c} GROUP BY {e}"
            " HAVING count(*) > 1) AS repeated",
            r=future_rows(item),
            e=fragment(words),
            c=fragment(condition),
        )
        if count:
            yield _broken(item, name, f"({words}): {count} values would be there more than once")


def _own(item: Subject, kind: str, filled: Set[str]) -> Iterator[catalog.Constraint]:
    ours = {*item.pattern.constraints, *(key.name for key in item.want.foreign_keys)}
    for constraint in item.live.constraints.values():
        if constraint.kind == kind and constraint.name not in ours and not filled.isdisjoint(constraint.columns):
            yield constraint


def _broken(item: Subject, name: str, found: str, *, expected: str = _KEPT) -> Finding:
    constraint = name in item.live.constraints
    fix = Fix.by((DropConstraint if constraint else DropIndex)(item.has(name)), advice=_AFTERWARDS)
    kind = Kind.CONSTRAINT_DEFINITION if constraint else Kind.INDEX_DEFINITION
    return Finding(f"{item.name}.{name}", kind, expected, found, fix=fix)


def _referenced(key: catalog.Constraint) -> str:
    """The table that it refers to, as PostgreSQL wrote it into the definition."""
    found = re.search(r" REFERENCES (.+)\([^()]*\)", key.definition)
    assert found is not None
    return found[1]


def _names(text: str, columns: Set[str]) -> bool:
    return any(re.search(rf"\b{re.escape(column)}\b", text) for column in columns)


def _count(connection: BaseDatabaseWrapper, query: str, **parts: sql.Composable) -> int:
    """What the query counts; 0 where it does not fit the columns' new types, which the twin meets too."""
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute(sql.SQL(query).format(**parts).as_string(None))
            (count,) = cursor.fetchone()
            return int(count)
    except DatabaseError:
        return 0


# Of functions and operators that PostgreSQL brings no dependency is kept.
_CALLING = """
    WITH found AS (
        SELECT k.conname::text AS name, 'constraint definition' AS kind,
               pg_get_expr(k.conbin, k.conrelid) AS expression, 'pg_constraint'::regclass AS class, k.oid
        FROM pg_constraint AS k WHERE k.conrelid = %(table)s AND k.contype = 'c'
        UNION ALL
        SELECT a.attname::text, 'column generated', pg_get_expr(d.adbin, d.adrelid), 'pg_attrdef'::regclass, d.oid
        FROM pg_attrdef AS d JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
        WHERE d.adrelid = %(table)s AND a.attgenerated <> ''
        UNION ALL
        SELECT c.relname::text, 'index definition', e.expression, 'pg_class'::regclass, c.oid
        FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        CROSS JOIN LATERAL (
            SELECT pg_get_indexdef(i.indexrelid, n::int, false)
            FROM unnest(i.indkey::int[]) WITH ORDINALITY AS k (attribute, n) WHERE k.attribute = 0
            UNION ALL SELECT pg_get_expr(i.indpred, i.indrelid) WHERE i.indpred IS NOT NULL
        ) AS e (expression)
        WHERE i.indrelid = %(table)s
    )
    SELECT name, kind, expression FROM found
    WHERE EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = found.class AND d.objid = found.oid
                  AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass))
    ORDER BY 1, 3
"""
_NAMING_TYPES = """
    SELECT coalesce(k.conname, c.relname)::text, coalesce(pg_get_constraintdef(k.oid), pg_get_indexdef(c.oid)),
           format_type(a.atttypid, NULL)
    FROM pg_attribute AS a
    JOIN pg_depend AS d ON d.refclassid = 'pg_type'::regclass AND d.refobjid = a.atttypid
    LEFT JOIN pg_constraint AS k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid AND k.contype = 'c'
    LEFT JOIN pg_index AS i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
    LEFT JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE a.attrelid = %(table)s AND a.attname = ANY (%(columns)s) AND %(table)s IN (k.conrelid, i.indrelid)
    ORDER BY 1
"""
