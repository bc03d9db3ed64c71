"""What stands in a database, read without the toolkit under test: its catalog as lines of text, its rows as text.

``connection`` is psycopg's or Django's; both give cursors alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Row = dict[str, str | None]
Rows = dict[str, dict[str, Row]]  # table -> key -> column -> text


def lines(connection: Any, *, schemas: Iterable[str] = ("public", "app")) -> set[str]:
    """The catalog of these schemas, one line an object or part; equal sets mean equal schemas, column order aside."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW search_path")
        (path,) = cursor.fetchone()
        # Names of objects on the search path are shown without their schema.
        cursor.execute("SELECT set_config('search_path', 'pg_catalog', false)")
        try:
            cursor.execute(_LINES, {"schemas": list(schemas)})
            return {line for (line,) in cursor.fetchall()}
        finally:
            cursor.execute("SELECT set_config('search_path', %s, false)", [path])


def schemas(connection: Any) -> set[str]:
    """The names of all schemas but PostgreSQL's own."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'")
        return {name for (name,) in cursor.fetchall()}


def everything(connection: Any) -> dict[str, object]:
    """Catalog and rows of all schemas, and the cluster's roles: equal means that nothing at all was changed."""
    names = sorted(schemas(connection))
    return {
        "schemas": names,
        "catalog": lines(connection, schemas=names),
        "rows": {table: digest(connection, table) for table in tables(connection)},
        "roles": roles(connection),
    }


def roles(connection: Any) -> list[str]:
    """The roles of the cluster, PostgreSQL's own aside."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1")
        return [name for (name,) in cursor.fetchall()]


def tables(connection: Any) -> list[str]:
    """The tables of schema public."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return [name for (name,) in cursor.fetchall()]


def digest(connection: Any, table: str) -> tuple[object, ...]:
    """How many rows a table of schema public has, what they hold, and where and since when they lie."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT count(*), md5(string_agg(t::text || ctid || xmin, E'\\n' ORDER BY ctid))
                FROM public."{table.replace('"', '""')}" AS t"""
        )
        return tuple(cursor.fetchone())


def rows(connection: Any, names: Iterable[str] | None = None) -> Rows:
    """Every row of these tables (of all that have an id), every value as text, moments as UTC."""
    found: Rows = {}
    with connection.cursor() as cursor:
        for table in tables(connection) if names is None else names:
            cursor.execute(
                """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
                   WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname""",
                [f'public."{table}"'],
            )
            columns = dict(cursor.fetchall())
            if "id" not in columns or table.startswith(("django_", "auth_")):
                continue
            shown = [
                f"""("{name}" AT TIME ZONE 'UTC')::text""" if kind.endswith("with time zone") else f'"{name}"::text'
                for name, kind in columns.items()
            ]
            cursor.execute(f'SELECT id::text, {", ".join(shown)} FROM public."{table}"')
            found[table] = {key: dict(zip(columns, values, strict=True)) for key, *values in cursor.fetchall()}
    return found


def changes(before: Rows, after: Rows) -> list[tuple[str, str, str, str | None, str | None]]:
    """(table, key, column, old, new) of every value that is gone or not the same; new columns and rows don't count."""
    found: list[tuple[str, str, str, str | None, str | None]] = []
    for table, old_rows in before.items():
        for key, old in old_rows.items():
            new = after.get(table, {}).get(key)
            if new is None:
                found.append((table, key, "the whole row", "present", "gone"))
                continue
            found += [
                (table, key, column, value, new.get(column, "no such column"))
                for column, value in old.items()
                if new.get(column, "no such column") != value
            ]
    return found


_LINES = r"""
WITH rel AS (
    SELECT c.*, format('%I.%I', n.nspname, c.relname) AS full_name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (:schemas)
), proc AS (
    SELECT p.*, format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS full_name
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = ANY (:schemas)
)
SELECT format('relation %s kind=%s rls=%s forced=%s persistence=%s view=%s comment=%s', full_name, relkind,
              relrowsecurity, relforcerowsecurity, relpersistence,
              CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END, obj_description(oid, 'pg_class'))
FROM rel WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
UNION ALL
SELECT format('column %s.%I %s notnull=%s default=%s collation=%s identity=%s generated=%s comment=%s',
              rel.full_name, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
              pg_get_expr(d.adbin, d.adrelid), l.collname, a.attidentity, a.attgenerated,
              col_description(rel.oid, a.attnum))
FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE rel.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
UNION ALL
SELECT format('constraint %s %I %s validated=%s comment=%s', rel.full_name, c.conname, pg_get_constraintdef(c.oid),
              c.convalidated, obj_description(c.oid, 'pg_constraint'))
FROM rel JOIN pg_constraint c ON c.conrelid = rel.oid
WHERE c.contype IN ('c', 'f', 'p', 'u', 'x')
UNION ALL
SELECT format('index %s valid=%s ready=%s comment=%s', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready,
              obj_description(i.indexrelid, 'pg_class'))
FROM rel JOIN pg_index i ON i.indrelid = rel.oid
UNION ALL
SELECT format('trigger %s enabled=%s comment=%s', pg_get_triggerdef(t.oid), t.tgenabled,
              obj_description(t.oid, 'pg_trigger'))
FROM rel JOIN pg_trigger t ON t.tgrelid = rel.oid AND NOT t.tgisinternal
UNION ALL
SELECT format('policy %s %I %s permissive=%s roles=%s using=%s check=%s', rel.full_name, p.polname, p.polcmd,
              p.polpermissive, ARRAY(SELECT r::regrole::text FROM unnest(p.polroles) AS r ORDER BY 1),
              pg_get_expr(p.polqual, p.polrelid),
              pg_get_expr(p.polwithcheck, p.polrelid))
FROM rel JOIN pg_policy p ON p.polrelid = rel.oid
UNION ALL
SELECT format('rule %s %s', rel.full_name, pg_get_ruledef(r.oid))
FROM rel JOIN pg_rewrite r ON r.ev_class = rel.oid AND r.rulename <> '_RETURN'
UNION ALL
SELECT format('function %s %s %s', proc.full_name,
              CASE WHEN prokind = 'a' THEN 'aggregate' ELSE pg_get_functiondef(oid) END,
              obj_description(oid, 'pg_proc'))
FROM proc
UNION ALL
SELECT format('type %I.%I %s %s', n.nspname, t.typname, t.typtype,
              ARRAY(SELECT enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY enumsortorder))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = ANY (:schemas) AND t.typtype IN ('e', 'd', 'r')
""".replace("%", "%%").replace(":schemas", "%(schemas)s")
