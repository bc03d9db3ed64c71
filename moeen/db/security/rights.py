"""What grants and policies together let a role do, read live: a command, its columns, the condition on its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db.roles import PREFIX

COMMANDS = {"S": "SELECT", "I": "INSERT", "U": "UPDATE", "D": "DELETE"}
#: The condition of a right to every row.
ALWAYS = "true"


@dataclass(frozen=True)
class Right:
    """`columns`: of the table's `total` those it is about, none for DELETE. `condition`: PostgreSQL's own text.

    `policies`: those that let it through, none where the table has no row security.
    """

    table: str
    role: str
    command: str
    columns: frozenset[str]
    total: int
    condition: str = ALWAYS
    policies: tuple[str, ...] = ()


def read(
    connection: BaseDatabaseWrapper, *, roles: Sequence[str], tables: Iterable[str] | None = None
) -> tuple[Right, ...]:
    """The rights of database roles on tables of schema public, all of them or those named; no row is looked at."""
    words = {"names": list(roles), "tables": None if tables is None else list(tables)}
    with connection.cursor() as cursor:
        cursor.execute(_RIGHTS, words)
        return tuple(
            Right(
                table, role.removeprefix(PREFIX), letter, frozenset(columns), total,
                ALWAYS if ALWAYS in conditions or not secured else " OR ".join(conditions), tuple(policies),
            )
            for table, role, letter, columns, total, secured, policies, conditions in cursor.fetchall()
        )  # fmt: skip


def columns(connection: BaseDatabaseWrapper) -> dict[str, tuple[str, ...]]:
    """Table of schema public -> its columns, whoever asks."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_class c
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') GROUP BY c.relname"""
        )
        return {table: tuple(names) for table, names in cursor.fetchall()}


def reaches(connection: BaseDatabaseWrapper, right: Right, *, key: str, value: Any) -> bool:
    """Whether the row of this key is one that the right is about, asked as whoever is bound."""
    if right.condition == ALWAYS:
        return True
    query = sql.SQL("SELECT EXISTS (SELECT FROM public.{} WHERE {} = %s AND ({}))").format(
        sql.Identifier(right.table), sql.Identifier(key), sql.SQL(right.condition.replace("%", "%%"))
    )
    with connection.cursor() as cursor:
        cursor.execute(query.as_string(None), [value])
        return bool(cursor.fetchone() == (True,))


def may_execute(connection: BaseDatabaseWrapper, role: str, function: str) -> bool:
    """Whether the role may call the function (`app.name(text)`); False where there is none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_function_privilege(%s, to_regprocedure(%s), 'EXECUTE')", [PREFIX + role, function])
        return bool(cursor.fetchone() == (True,))


# A restrictive policy asks for a signature, and says nothing of rows.
_RIGHTS = """
    SELECT c.relname::text, r.rolname::text, k.letter,
           CASE WHEN k.letter = 'D' THEN '{}'::text[] ELSE g.columns END, g.total,
           c.relrowsecurity, p.names, p.conditions
    FROM pg_class c
    CROSS JOIN pg_roles r
    CROSS JOIN (VALUES ('S', 'SELECT', 'r'), ('I', 'INSERT', 'a'), ('U', 'UPDATE', 'w'), ('D', 'DELETE', 'd'))
               AS k (letter, name, command)
    CROSS JOIN LATERAL (
        SELECT count(*) AS total, array_remove(array_agg(
            CASE WHEN k.letter <> 'D' AND has_column_privilege(r.oid, c.oid, a.attnum, k.name) THEN a.attname::text END
        ), NULL) AS columns
        FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    ) AS g
    CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(p.polname::text ORDER BY p.polname), '{}') AS names,
               coalesce(array_agg(coalesce(
                   CASE WHEN k.letter = 'I' THEN pg_get_expr(p.polwithcheck, p.polrelid) END,
                   pg_get_expr(p.polqual, p.polrelid), '') ORDER BY p.polname), '{}') AS conditions
        FROM pg_policy p
        WHERE c.relrowsecurity AND p.polrelid = c.oid AND p.polpermissive
          AND p.polcmd IN ('*', k.command::"char")
          AND p.polroles && ARRAY[0::oid, r.oid]
    ) AS p
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND (%(tables)s::text[] IS NULL OR c.relname = ANY (%(tables)s::text[])) AND r.rolname = ANY (%(names)s::text[])
      AND CASE WHEN k.letter = 'D' THEN has_table_privilege(r.oid, c.oid, 'DELETE') ELSE cardinality(g.columns) > 0 END
      AND (NOT c.relrowsecurity OR cardinality(p.names) > 0)
"""
