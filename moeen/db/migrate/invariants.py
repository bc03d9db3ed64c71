"""What must hold after every single migration, asked in one quick query."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.findings import Finding, Severity
from moeen.db.kinds import Kind

_QUERY = r"""
    SELECT c.oid::regclass || '.' || i.relname, 'index invalid', 'valid', 'invalid: left by an interrupted build',
           'slow'
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
    WHERE c.relnamespace = 'public'::regnamespace AND NOT x.indisvalid
    UNION ALL
    SELECT c.oid::regclass || '.' || k.conname, 'constraint not valid', 'validated', 'NOT VALID', 'unsafe'
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    WHERE c.relnamespace = 'public'::regnamespace AND NOT k.convalidated
      -- What is NOT ENFORCED (PostgreSQL 18) was never to be proven.
      AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
      AND k.conname <> c.relname || '_public_id_required'
    UNION ALL
    -- A table that is adopted stays open until its policies are made.
    SELECT c.oid::regclass::text, 'table row security', 'enabled', 'off', 'unsafe'
    FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
      AND EXISTS (SELECT FROM pg_policy p JOIN pg_roles r ON r.oid = ANY (p.polroles)
                  WHERE p.polrelid = c.oid AND starts_with(r.rolname::text, 'moeen_'))
    UNION ALL
    SELECT c.oid::regclass || '.public_id', 'missing constraint', want.what, 'missing', 'unsafe'
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'public_id' AND NOT a.attisdropped
    JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    CROSS JOIN (VALUES ('u', 'unique'), ('c', 'a check of its form')) AS want (kind, what)
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND pg_get_expr(d.adbin, d.adrelid) LIKE '%app.generate_public_id(%'
      AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype::text = want.kind
                      AND k.conkey = ARRAY[a.attnum])
"""


def findings(connection: BaseDatabaseWrapper) -> list[Finding]:
    """Invalid indexes, unproven constraints, open tables, public ids without their constraints; empty: all is well."""
    with connection.cursor() as cursor:
        # psycopg takes % for a parameter only when parameters are given.
        cursor.execute(_QUERY)
        return sorted(
            Finding(where, Kind(kind), expected, found, Severity(severity))
            for where, kind, expected, found, severity in cursor
        )
