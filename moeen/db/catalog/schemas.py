"""Which schemas of a database are kept by whoever is connected, and which are somebody else's."""

from __future__ import annotations

from typing import LiteralString

#: SQL of pg_namespace as n: whether the connected role, or one that it acts for, owns the schema or anything in it.
#: A hosted platform's (`auth`, `storage`) are the platform's to back up: they could not be restored by us.
KEPT: LiteralString = """(
    n.nspname = 'public' OR pg_has_role(n.nspowner, 'MEMBER') OR EXISTS (
        SELECT FROM pg_class c
        WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
          AND pg_has_role(c.relowner, 'MEMBER')
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e'))
)"""
#: And whether it is neither PostgreSQL's own nor the standard's.
NOT_BUILT_IN: LiteralString = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
