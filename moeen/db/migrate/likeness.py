"""How like its source a twin is: what pg_dump leaves out is added, and what could not be made there is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from moeen.db.security.trust import PLATFORM_OWNERS
from moeen.db.sql import fragment

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Lacking:
    """An object of the source that the twin has not. ``extension``: the one it needs that is not on this machine."""

    kind: str
    name: str
    why: str
    extension: str = ""


def finish(source: Connection, made: Connection) -> None:
    """The record of the applied migrations, and indexes whose build failed, which pg_dump does not tell of."""
    if source.execute("SELECT to_regclass('public.django_migrations')").fetchone() != (None,):
        rows = source.execute("SELECT app, name, applied FROM public.django_migrations ORDER BY id").fetchall()
        with made.cursor() as cursor:
            cursor.executemany("INSERT INTO public.django_migrations (app, name, applied) VALUES (%s, %s, %s)", rows)
    invalid = source.execute(
        """SELECT n.nspname, c.relname, pg_get_indexdef(i.indexrelid)
           FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
           JOIN pg_namespace AS n ON n.oid = c.relnamespace
           WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_'"""
    ).fetchall()
    for schema, name, definition in invalid:
        made.execute(fragment(definition))
        made.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass",
            [sql.Identifier(schema, name).as_string(made)],
        )


def lacking(source: Connection, made: Connection, *, said: str, stood_in: frozenset[str]) -> Iterator[Lacking]:
    """What stands in the source and not on the twin, a hosting platform's own objects aside."""
    stands = {(kind, name) for kind, name, *_ in made.execute(_OBJECTS, {"others": []})}
    errors = re.findall(r"ERROR: +(.+)", said)
    for kind, name, extensions in source.execute(_OBJECTS, {"others": list(PLATFORM_OWNERS)}):
        if (kind, name) not in stands:
            needed = next((each for each in extensions if each in stood_in), "")
            bare = re.split(r"[.(]", name)[-1] if "(" not in name else name.partition("(")[0].rpartition(".")[2]
            why = next((error for error in errors if bare in error), errors[0] if errors else "it could not be made")
            yield Lacking(kind, name, why, needed)


# Both sessions have an empty search path, so names are whole. Of an extension's members only the extension counts.
_OBJECTS = """
    WITH platform AS (
        SELECT n.oid FROM pg_namespace AS n JOIN pg_roles AS r ON r.oid = n.nspowner
        WHERE n.nspname ~ '^pg_' OR n.nspname = 'information_schema' OR r.rolname = ANY (%(others)s)
    ), member AS (
        SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
    ), object AS (
        SELECT CASE c.relkind WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' WHEN 'v' THEN 'view'
                              WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind,
               c.oid::regclass::text AS name, 'pg_class'::regclass AS class, c.oid
        FROM pg_class AS c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I')
          AND c.relnamespace NOT IN (SELECT oid FROM platform)
        UNION ALL
        SELECT 'constraint', k.conrelid::regclass || '.' || k.conname, 'pg_constraint'::regclass, k.oid
        FROM pg_constraint AS k WHERE k.conrelid <> 0 AND k.contype IN ('c', 'f', 'p', 'u', 'x')
          AND k.connamespace NOT IN (SELECT oid FROM platform)
        UNION ALL
        SELECT 'trigger', t.tgrelid::regclass || '.' || t.tgname, 'pg_trigger'::regclass, t.oid
        FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
        WHERE NOT t.tgisinternal AND c.relnamespace NOT IN (SELECT oid FROM platform)
        UNION ALL
        SELECT 'policy', p.polrelid::regclass || '.' || p.polname, 'pg_policy'::regclass, p.oid
        FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
        WHERE c.relnamespace NOT IN (SELECT oid FROM platform)
        UNION ALL
        SELECT 'rule', r.ev_class::regclass || '.' || r.rulename, 'pg_rewrite'::regclass, r.oid
        FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
        WHERE r.rulename <> '_RETURN' AND c.relnamespace NOT IN (SELECT oid FROM platform)
        UNION ALL
        SELECT 'function', p.oid::regprocedure::text, 'pg_proc'::regclass, p.oid
        FROM pg_proc AS p WHERE p.pronamespace NOT IN (SELECT oid FROM platform)
        UNION ALL
        SELECT 'type', t.oid::regtype::text, 'pg_type'::regclass, t.oid
        FROM pg_type AS t WHERE t.typtype IN ('e', 'd') AND t.typnamespace NOT IN (SELECT oid FROM platform)
    )
    SELECT o.kind, o.name,
           ARRAY(SELECT DISTINCT e.extname::text FROM pg_depend AS d
                 JOIN member AS m ON m.classid = d.refclassid AND m.objid = d.refobjid
                 JOIN pg_depend AS x ON x.classid = m.classid AND x.objid = m.objid AND x.deptype = 'e'
                 JOIN pg_extension AS e ON e.oid = x.refobjid
                 WHERE d.classid = o.class AND d.objid = o.oid)
    FROM object AS o
    WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = o.class AND m.objid = o.oid)
    ORDER BY 1, 2
"""
