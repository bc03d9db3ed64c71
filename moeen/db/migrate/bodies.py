"""A clinic's own functions that work with a type which columns of ours lose: what fails in them later, told before.

PostgreSQL keeps no dependency of a body that is text, and a twin calls no function.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db import statements


def look(connection: BaseDatabaseWrapper, columns: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """In words: functions that name an enum or a domain of these columns (table -> names), or are called with one."""
    pairs = [(table, name) for table, names in columns.items() for name in names]
    with connection.cursor() as cursor:
        cursor.execute(_WORKING, [[table for table, _ in pairs], [name for _, name in pairs]])
        found = cursor.fetchall()
    said = dict[tuple[str, str], list[str]]()
    for function, body, is_given, kind, table, column in found:
        words = set(re.findall(r"\w+", _without_comments(body).lower()))
        if kind.lower() in words or (is_given and {table, column} & words):
            said.setdefault((function, kind), []).append(f"{table}.{column}")
    return tuple(
        f"Function {function} works with type {kind}, which {', '.join(places)} will no longer have: such a comparison "
        "fails then. Cast there first: COLUMN::text = VALUE::text works before and after."
        for (function, kind), places in said.items()
    )


def _without_comments(body: str) -> str:
    return "".join(" " if token.kind == "comment" else token.text for token in statements.tokens(body))


_WORKING = """
    SELECT format('%%s(%%s)', p.oid::regproc, pg_get_function_identity_arguments(p.oid)), p.prosrc,
           t.oid = ANY (p.proargtypes::oid[]), t.typname::text, w.tablename, w.columnname
    FROM unnest(%s::text[], %s::text[]) AS w (tablename, columnname)
    JOIN pg_class AS c ON c.relnamespace = 'public'::regnamespace AND c.relname = w.tablename
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = w.columnname AND NOT a.attisdropped
    JOIN pg_type AS t ON t.oid = a.atttypid AND t.typtype IN ('e', 'd')
    JOIN pg_proc AS p ON p.oid >= 16384 AND p.prosqlbody IS NULL
         AND (strpos(lower(p.prosrc), lower(t.typname)) > 0 OR t.oid = ANY (p.proargtypes::oid[]))
    JOIN pg_language AS l ON l.oid = p.prolang AND l.lanname IN ('sql', 'plpgsql')
    JOIN pg_namespace AS n ON n.oid = p.pronamespace AND n.nspname <> 'app'
    WHERE NOT EXISTS (SELECT FROM pg_depend AS e
                      WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
    ORDER BY 1, 4, 5, 6
"""
