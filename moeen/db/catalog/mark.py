"""A mark of the catalog: as long as it stays, nothing in the catalog has changed, and nobody need read it again.

Every row that describes an object carries in ``xmin`` the transaction that wrote it, which vacuum leaves in place. The
mark is the sum of hashes over these rows, and over what belongs to the whole server: roles, memberships, the rights on
the database, and which log it writes, since a database put back to an earlier moment counts transactions anew. It is
cheap, and errs on one side: a table that was only rewritten, or a session's temporary one, gives another mark, and no
change keeps the one before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any

from psycopg import sql

from moeen.db.catalog.queries import ROLES
from moeen.db.sql import compose, fragment

#: Catalogs of objects with an oid of their own.
_OBJECTS = (
    "pg_class", "pg_proc", "pg_type", "pg_constraint", "pg_trigger", "pg_policy", "pg_attrdef", "pg_rewrite",
    "pg_event_trigger", "pg_extension", "pg_enum", "pg_default_acl", "pg_operator", "pg_opclass", "pg_opfamily",
    "pg_collation", "pg_conversion", "pg_statistic_ext", "pg_ts_config", "pg_ts_dict", "pg_ts_parser",
    "pg_ts_template",
)  # fmt: skip
#: Catalogs of parts -> the column with the oid of what they are of.
_PARTS = {
    "pg_attribute": "attrelid",
    "pg_index": "indexrelid",
    "pg_sequence": "seqrelid",
    "pg_inherits": "inhrelid",
    "pg_description": "objoid",
    "pg_depend": "objid",
}
#: What stands below this was there before anybody made anything (FirstNormalObjectId).
_FIRST = 16384
_SUM = """
    SELECT {label}, sum(hashtextextended(c.{key}::text || ' ' || c.xmin::text, 0)) FROM pg_catalog.{name} AS c
    WHERE c.{key} >= {first}
"""
_SUMS = [
    compose(_SUM, label=sql.Literal(name), key=key, name=name, first=sql.Literal(_FIRST))
    for name, key in [*((name, "oid") for name in _OBJECTS), *_PARTS.items()]
]
_OTHERS = """
    SELECT 'schemas', sum(hashtextextended(c.oid::text || ' ' || c.xmin::text, 0)) FROM pg_catalog.pg_namespace AS c
    UNION ALL
    SELECT 'comments on schemas', sum(hashtextextended(c.objoid::text || ' ' || c.xmin::text, 0))
    FROM pg_catalog.pg_description AS c WHERE c.classoid = 'pg_catalog.pg_namespace'::regclass
    UNION ALL
    SELECT 'roles', sum(hashtextextended(ROW(c.oid, c.rolname, c.rolsuper, c.rolinherit, c.rolcreaterole, c.rolcreatedb,
                                             c.rolcanlogin, c.rolreplication, c.rolbypassrls)::text, 0))
    FROM pg_catalog.pg_roles AS c
    UNION ALL
    SELECT 'members', sum(hashtextextended(c::text, 0)) FROM pg_catalog.pg_auth_members AS c
    UNION ALL
    SELECT 'database', hashtextextended(concat_ws(' ', c.datname, c.datdba, c.datacl), 0)
    FROM pg_catalog.pg_database AS c WHERE c.datname = current_database()
    UNION ALL
    SELECT 'session', hashtextextended(concat_ws(' ', current_setting('server_version'), session_user,
                                                 (SELECT system_identifier FROM pg_catalog.pg_control_system()),
                                                 (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())), 0)
"""
_MARK = compose(
    "SELECT md5(string_agg(concat_ws(' ', s.name, s.sum), ',' ORDER BY s.name)) FROM ({sums}) AS s (name, sum)",
    sums=fragment(" UNION ALL ".join([*_SUMS, _OTHERS])),
)


def mark(cursor: Any, *, roles: Collection[str]) -> str:
    """The mark of the connected database, 32 hex digits. `roles`: those whose members count.

    Whether a member counts rests on other databases as well (see `neighbours`), so it is asked as a reading asks it.
    """
    cursor.execute(_MARK)
    (found,) = cursor.fetchone()
    cursor.execute(ROLES, [list(roles)])
    return hashlib.sha256(f"{found} {sorted(cursor.fetchall())}".encode()).hexdigest()[:32]
