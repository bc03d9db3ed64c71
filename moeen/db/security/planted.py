"""Functions and operators that somebody put into schema public to be called in place of PostgreSQL's own.

PostgreSQL takes what fits its arguments best, in whatever schema of the search path: `public.quote_ident(name)` comes
before its own, which takes a text. Sessions of operators have public in their path and act as the owner of the tables,
or as a superuser, so what fits there runs with their rights.
"""

from __future__ import annotations

from typing import Any

import psycopg

from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.security.trust import PLATFORM_ADMINISTRATORS, PLATFORM_OWNERS


class Planted(MoeenError):
    """Something in schema public could be called in place of PostgreSQL's own, and is of nobody who is trusted."""

    default_code = Code.STRANGERS_SCHEMA


def refuse(connection: psycopg.Connection[Any]) -> None:
    """Raise Planted before anything of it can be called. The connection is in autocommit mode.

    Trusted are superusers, a platform's owners, and who owns the database or the tables or is the connected role.
    """
    with connection.transaction(), psycopg.Cursor(connection) as cursor:
        if connection.info.server_version >= 170000:  # the database's own may be too short for any work
            cursor.execute("SET LOCAL transaction_timeout = 0")
        cursor.execute("SELECT pg_catalog.set_config('search_path', 'pg_catalog', true)")
        found = cursor.execute(_QUERY, [[*PLATFORM_OWNERS, *PLATFORM_ADMINISTRATORS]]).fetchall()
    if found:
        lines = "\n".join(f"  {kind.lower()} {name} of {owner}" for kind, name, owner in found)
        moves = "; ".join(f"ALTER {kind} {name} SET SCHEMA own" for kind, name, _ in found)
        raise Planted(
            f"Schema public holds what would be called in place of PostgreSQL's own, with our rights. Nothing was "
            f"done.\n{lines}",
            next_step="Find out who made it and why. Where nobody needs it, drop it; otherwise, as its owner or a "
            f"superuser: CREATE SCHEMA IF NOT EXISTS own; {moves}; and REVOKE CREATE ON SCHEMA public FROM PUBLIC.",
            exit_code=FINDINGS,
        )


# Of the same arguments, PostgreSQL's own comes first.
_QUERY = """
    SELECT f.kind, f.name, o.rolname::text
    FROM (
        SELECT 'ROUTINE' AS kind, p.oid::regprocedure::text AS name, p.proowner AS owner FROM pg_proc AS p
        WHERE p.pronamespace = to_regnamespace('public')
          AND EXISTS (SELECT FROM pg_proc AS b
                      WHERE b.proname = p.proname AND b.pronamespace = to_regnamespace('pg_catalog'))
          AND NOT EXISTS (SELECT FROM pg_proc AS b WHERE b.proname = p.proname AND b.proargtypes = p.proargtypes
                                                     AND b.pronamespace = to_regnamespace('pg_catalog'))
        UNION ALL
        SELECT 'OPERATOR', p.oid::regoperator::text, p.oprowner FROM pg_operator AS p
        WHERE p.oprnamespace = to_regnamespace('public')
          AND EXISTS (SELECT FROM pg_operator AS b
                      WHERE b.oprname = p.oprname AND b.oprnamespace = to_regnamespace('pg_catalog'))
          AND NOT EXISTS (SELECT FROM pg_operator AS b
                          WHERE b.oprname = p.oprname AND b.oprleft = p.oprleft AND b.oprright = p.oprright
                            AND b.oprnamespace = to_regnamespace('pg_catalog'))
    ) AS f
    JOIN pg_roles AS o ON o.oid = f.owner
    JOIN pg_roles AS i ON i.rolname = current_user
    JOIN pg_database AS d ON d.datname = current_database()
    WHERE NOT o.rolsuper AND o.oid <> i.oid AND o.oid <> d.datdba AND o.rolname <> ALL (%s)
      -- A superuser has everybody's rights, and calls what anybody made.
      AND (i.rolsuper OR NOT pg_has_role(o.oid, 'USAGE'))
      AND NOT EXISTS (SELECT FROM pg_class AS c
                      WHERE c.oid = to_regclass('public.django_migrations') AND c.relowner = o.oid)
    ORDER BY 1, 2
"""
