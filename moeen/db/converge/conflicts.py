"""What of the clinic's own adoption's changes of rows would run into: told before, for a twin has no rows to tell it.

It is broken by a value that adoption maps or fills in; or it does not hold as it stands, whatever it calls itself: a
check that asks for the day, or whose function was replaced, is asked again of each row that is written or made anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from contextlib import contextmanager

import psycopg
from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db import catalog
from moeen.db.actions import Disinherit, DropConstraint, DropIndex, DropRule, FillValues
from moeen.db.converge import dependents
from moeen.db.converge.conversions import carried_over
from moeen.db.converge.future import future_rows
from moeen.db.converge.subject import Subject, is_retyped
from moeen.db.converge.values import fill_values
from moeen.db.findings import Finding, Fix
from moeen.db.kinds import Kind
from moeen.db.names import ObjectName
from moeen.db.sql import compose, fragment

_KEPT = "one that every row keeps, with the values that adoption maps or fills in"
_AFTERWARDS = "and after migrate, made anew for the values that then stand"
#: Classes of SQLSTATEs that say nothing of a row: the connection, the transaction, resources, an operator.
_NO_ROW = ("08", "25", "40", "53", "55", "57", "58")
_FAILS = "fails at some row"


def findings(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Finding]:
    """Heirs whose rows no step reaches, rules that turn writes into something else, and constraints."""
    if item.live.kind != "r":
        return
    yield from _heirs(connection, item)
    yield from _rules(connection, item)
    yield from _of_types(connection, item)
    fills = [action for step in fill_values(connection, carried_over(item)) for action in step.actions]
    filled = {column for action in fills if isinstance(action, FillValues) for column in action.columns}
    retyped = {column.name for column, live, pattern in item.columns if is_retyped(live, pattern)}
    if filled or retyped or item.missing:
        yield from _lost(connection, item, retyped)
        yield from _unfilled(connection, item, retyped)
        yield from _checks(connection, item)
        yield from _keys(connection, item, filled)
        yield from _uniques(connection, item, filled, retyped)


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


def _lost(connection: BaseDatabaseWrapper, item: Subject, retyped: Set[str]) -> Iterator[Finding]:
    """Expressions whose functions fail, tried on every row: every write would fail, or making an index anew."""
    with _restricted(connection) as is_restricted:
        broken = dict(_failing(connection, item, list(retyped), anew=True)) if is_restricted and retyped else {}
    broken |= _failing(connection, item, list(retyped), anew=False)
    for (name, kind), said in broken.items():
        fix = Fix(advice="write the schema before that name in the function, or ALTER FUNCTION ... SET search_path")
        if said.startswith(_FAILS):
            fix = Fix(advice="mend what it calls, or the rows at which that fails; or drop it")
        yield Finding(
            f"{item.name}.{name}", Kind(kind), "one that works at every row, by the path of ours", said, fix=fix
        )


def _failing(
    connection: BaseDatabaseWrapper, item: Subject, retyped: list[str], *, anew: bool
) -> Iterator[tuple[tuple[str, str], str]]:
    """(name, kind) of those that fail, and how; ``anew``: of the indexes on these columns alone."""
    with connection.cursor() as cursor:
        cursor.execute(_CALLING, {"table": item.live.oid, "columns": retyped})
        found = cursor.fetchall()
    for name, kind, expression, condition, is_made_anew in found:
        if is_made_anew or not anew:
            asked = _asked(
                connection, "SELECT count({e}) FROM {t} WHERE {c}", e=fragment(f"({expression})"),
                t=sql.Identifier("public", item.name), c=fragment(condition),
            )  # fmt: skip
            if said := _said(asked):
                yield (name, kind), said


def _unfilled(connection: BaseDatabaseWrapper, item: Subject, retyped: Set[str]) -> Iterator[Finding]:
    """Materialized views that could not be filled again, once they are set aside for a column's new type."""
    with _restricted(connection):
        trials = [(it, it.trial) for it in dependents.of_columns(connection, item.live, retyped) if it.trial]
        broken = {it.name: said for it, trial in trials if (said := _said(_asked(connection, trial)))}
    for name, said in broken.items():
        fix = Fix(advice="REFRESH MATERIALIZED VIEW fails of it, too: mend what it calls, or drop it")
        yield Finding(name, Kind.TABLE_DEFINITION, "one that can be filled again", said, fix=fix, name=item.table)


@contextmanager
def _restricted(connection: BaseDatabaseWrapper) -> Iterator[bool]:
    """The search path by which PostgreSQL fills indexes and materialized views: whether that is not the session's."""
    restricts: bool = connection.cursor().connection.info.server_version >= 170000
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if restricts:
            cursor.execute("SET LOCAL search_path = pg_catalog, pg_temp")
        yield restricts
        transaction.set_rollback(True, using=connection.alias)


def _checks(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Finding]:
    for constraint in _own(item, "c"):
        check = re.fullmatch(r"CHECK (\(.*\))( NO INHERIT)?", constraint.definition, re.DOTALL)
        if check and constraint.validated:
            yield from _broken_by(
                connection, item, constraint.name, constraint.definition,
                "SELECT count(*) FROM {r} WHERE NOT {c}", r=future_rows(item), c=fragment(check[1]),
            )  # fmt: skip


def _keys(connection: BaseDatabaseWrapper, item: Subject, filled: Set[str]) -> Iterator[Finding]:
    for key in _own(item, "f"):
        if filled.isdisjoint(key.columns):
            continue
        pairs = zip(key.columns, key.references_columns, strict=True)
        same = [compose("there.{a}::text = {t}.{b}::text", a=b, t=item.name, b=a) for a, b in pairs]
        given = [compose("{t}.{b} IS NOT NULL", t=item.name, b=column) for column in key.columns]
        yield from _broken_by(
            connection, item, key.name, key.definition,
            "SELECT count(*) FROM {r} WHERE {g} AND NOT EXISTS (SELECT FROM {there} AS there WHERE {s})",
            r=future_rows(item), g=fragment(" AND ".join(given)), there=fragment(_referenced(key)),
            s=fragment(" AND ".join(same)),
        )  # fmt: skip


def _uniques(connection: BaseDatabaseWrapper, item: Subject, filled: Set[str], retyped: Set[str]) -> Iterator[Finding]:
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
        given = _names(f"{words} {condition}", filled)
        if name in item.pattern.indexes or not (given or _names(f"{words} {condition}", retyped)):
            continue
        if excludes:
            if given:
                yield _broken(item, name, f"{item.live.indexes[name].definition}: rows get values that it looks at")
            continue
        yield from _broken_by(
            connection, item, name, f"({words})",
            "SELECT count(*) FROM (SELECT FROM {r} WHERE ROW({e}) IS NOT NULL AND {c} GROUP BY {e}"
            " HAVING count(*) > 1) AS repeated",
            r=future_rows(item), e=fragment(words), c=fragment(condition),
        )  # fmt: skip


def _own(item: Subject, kind: str) -> Iterator[catalog.Constraint]:
    ours = {*item.pattern.constraints, *(key.name for key in item.want.foreign_keys)}
    for constraint in item.live.constraints.values():
        if constraint.kind == kind and constraint.name not in ours:
            yield constraint


def _broken_by(
    connection: BaseDatabaseWrapper, item: Subject, name: str, words: str, query: str, **parts: sql.Composable
) -> Iterator[Finding]:
    """Where rows break it, which the query counts, or it fails at one.

    That it does not fit the columns' new types, the twin meets too.
    """
    asked = _asked(connection, query, **parts)
    if isinstance(asked, int):
        found = f"{asked} {'row breaks' if asked == 1 else 'rows break'} it" if asked else ""
    else:
        found = _said(asked) if _said(asked).startswith(_FAILS) else ""
    if found:
        yield _broken(item, name, f"{words}: {found}")


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


def _asked(connection: BaseDatabaseWrapper, query: str, **parts: sql.Composable) -> int | psycopg.Error:
    """What the query counts, or why it fails. Nothing can be written meanwhile."""
    text = sql.SQL(query).format(**parts).as_string(None) if parts else query
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute("SET LOCAL transaction_read_only = on")
            cursor.execute(text)
            (count,) = cursor.fetchone()
            transaction.set_rollback(True, using=connection.alias)
            return int(count)
    except DatabaseError as error:
        if isinstance(error.__cause__, psycopg.Error):
            return error.__cause__
        raise


def _said(asked: int | psycopg.Error) -> str:
    """Why it fails, "" where it does not, or for no row. Of a row only that, not what is in it."""
    state = "" if isinstance(asked, int) else asked.sqlstate or ""
    if isinstance(asked, int) or state.startswith(_NO_ROW):
        return ""
    return str(asked.diag.message_primary) if state.startswith("42") else f"{_FAILS}: {type(asked).__name__}"


# Of functions and operators that PostgreSQL brings no dependency is kept.
_CALLING = """
    WITH found AS (
        SELECT k.conname::text AS name, 'constraint definition' AS kind,
               pg_get_expr(k.conbin, k.conrelid) AS expression, 'true' AS condition, false AS is_index,
               'pg_constraint'::regclass AS class, k.oid
        FROM pg_constraint AS k WHERE k.conrelid = %(table)s AND k.contype = 'c'
        UNION ALL
        SELECT a.attname::text, 'column generated', pg_get_expr(d.adbin, d.adrelid), 'true', false,
               'pg_attrdef'::regclass, d.oid
        FROM pg_attrdef AS d JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
        WHERE d.adrelid = %(table)s AND a.attgenerated <> ''
        UNION ALL
        SELECT c.relname::text, 'index definition', e.expression, e.condition, true, 'pg_class'::regclass, c.oid
        FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        CROSS JOIN LATERAL (
            SELECT pg_get_indexdef(i.indexrelid, n::int, false), coalesce(pg_get_expr(i.indpred, i.indrelid), 'true')
            FROM unnest(i.indkey::int[]) WITH ORDINALITY AS k (attribute, n) WHERE k.attribute = 0
            UNION ALL SELECT pg_get_expr(i.indpred, i.indrelid), 'true' WHERE i.indpred IS NOT NULL
        ) AS e (expression, condition)
        WHERE i.indrelid = %(table)s
    )
    SELECT name, kind, expression, condition, is_index AND EXISTS (
        SELECT FROM pg_depend AS d JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.classid = found.class AND d.objid = found.oid AND d.refobjid = %(table)s
          AND a.attname = ANY (%(columns)s))
    FROM found
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
