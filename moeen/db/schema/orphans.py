"""Rows that a valid foreign key forbids: written while it was off, as replication and some imports do.

A restore adds the key anew, and fails on them.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db.findings import Finding, Fix, Severity
from moeen.db.kinds import Kind
from moeen.db.names import ObjectName

#: A table that is larger is looked through only if that is asked for.
LARGE_BYTES = 64 * 1024**2


def findings(
    connection: BaseDatabaseWrapper, *, deep: bool, of: Collection[str] | None = None
) -> tuple[list[Finding], list[str]]:
    """A finding for each key with orphans, and the tables that were not looked through, being large.

    ``of``: only keys from or to these tables of schema public.
    """
    wanted = None if of is None else {("public", table) for table in of}
    keys: list[tuple[ObjectName, sql.Composed, str]] = []
    large: list[str] = []
    with connection.cursor() as cursor:
        cursor.execute(_KEYS)
        rows = cursor.fetchall()
    for _, columns in groupby(rows, key=lambda row: row[0]):
        (_, name, schema, table, only, size, parent_schema, parent, *_), *_ = pairs = list(columns)
        if wanted is not None and wanted.isdisjoint([(schema, table), (parent_schema, parent)]):
            continue
        key = ObjectName(schema, table, name)
        if size > LARGE_BYTES and not deep:
            large.append(key.relation.pretty())
            continue
        joined = sql.SQL(" AND ").join(
            sql.SQL("p.{} OPERATOR({}.{}) c.{}").format(
                sql.Identifier(theirs), sql.Identifier(operators), sql.SQL(operator), sql.Identifier(ours)
            )
            for *_, ours, theirs, operators, operator in pairs
        )
        given = sql.SQL(" AND ").join(sql.SQL("c.{} IS NOT NULL").format(sql.Identifier(row[8])) for row in pairs)
        query = sql.SQL("FROM {} c WHERE {} AND NOT EXISTS (SELECT FROM {} p WHERE {})").format(
            sql.SQL("ONLY {}" if only else "{}").format(sql.Identifier(schema, table)), given,
            sql.Identifier(parent_schema, parent), joined,
        )  # fmt: skip
        keys.append((key, query, ObjectName(parent_schema, parent).pretty()))
    if not keys:
        return [], sorted(set(large))
    asked = [sql.SQL("SELECT {}::int, count(*) {}").format(sql.Literal(at), keys[at][1]) for at in range(len(keys))]
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(" UNION ALL ").join(asked).as_string(None))
        counts = dict(cursor.fetchall())
    why = "a restore adds the key anew and fails on these rows"
    found = [
        Finding(
            key.pretty(), Kind.ORPHANS_UNDER_KEY, "0", f"{counts[at]:,} rows refer to none of {parent}",
            Severity.BREAKS, Fix(advice=f"correct or remove them: SELECT * {query.as_string(None)}"), why, key,
        )
        for at, (key, query, parent) in enumerate(keys) if counts[at]
    ]  # fmt: skip
    return found, sorted(set(large))


# Keys of a partition are its parent's; those over periods and those that are not enforced are asked nothing.
_KEYS = """
    SELECT k.oid::bigint, k.conname::text, n.nspname::text, t.relname::text, t.relkind = 'r',
           pg_table_size(t.oid), m.nspname::text, r.relname::text,
           a.attname::text, b.attname::text, x.nspname::text, o.oprname::text
    FROM pg_constraint k
    JOIN pg_class t ON t.oid = k.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_class r ON r.oid = k.confrelid JOIN pg_namespace m ON m.oid = r.relnamespace
    CROSS JOIN LATERAL unnest(k.conkey, k.confkey, k.conpfeqop) WITH ORDINALITY AS u (ours, theirs, operator, place)
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.ours
    JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.theirs
    JOIN pg_operator o ON o.oid = u.operator JOIN pg_namespace x ON x.oid = o.oprnamespace
    WHERE k.contype = 'f' AND k.convalidated AND k.conparentid = 0
      AND NOT coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false)
      AND has_schema_privilege(n.oid, 'USAGE') AND has_schema_privilege(m.oid, 'USAGE')
      AND has_table_privilege(t.oid, 'SELECT') AND has_table_privilege(r.oid, 'SELECT')
      AND NOT row_security_active(t.oid) AND NOT row_security_active(r.oid)
    ORDER BY 1, u.place
"""
