"""How the questions about exposure are put: what they share in words and in SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from moeen.db.catalog import neighbours
from moeen.db.findings import Finding, Fix, Severity
from moeen.db.kinds import Kind

#: Parameters of every query: ``tables`` of ours in public, ``roles`` of ours; of a platform, the roles that its
#: requests come as (``platform``) by the login ``api``, those ``known`` to own what it brings, its ``administrators``.
Words = dict[str, list[str]]
Question = Callable[[Any, Words], Iterator[Finding]]

#: Our tables and who owns them and our functions; the views that show them, however far from them; and who may act as
#: whom. Since PostgreSQL 16 a membership may be one that gives nothing.
OURS = """
    RECURSIVE ours AS (
        SELECT c.oid, c.relname, c.relowner, c.relnamespace::regnamespace::text AS schema
        FROM pg_class AS c
        WHERE c.relkind IN ('r', 'p') AND (c.relnamespace = to_regnamespace('app')
              OR c.relnamespace = to_regnamespace('public') AND c.relname = ANY (%(tables)s))
    ), showing AS (
        SELECT oid FROM ours
        UNION
        SELECT v.oid FROM showing AS s
        JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid
                           AND d.classid = 'pg_rewrite'::regclass
        JOIN pg_rewrite AS r ON r.oid = d.objid
        JOIN pg_class AS v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm')
    ), owners AS (
        SELECT relowner AS role FROM ours UNION SELECT proowner FROM pg_proc WHERE pronamespace = to_regnamespace('app')
    ), memberships AS (
        SELECT m.roleid, m.member FROM pg_auth_members AS m
        WHERE NOT to_jsonb(m) @> '{"set_option": false, "inherit_option": false, "admin_option": false}'
    ), acting AS (
        SELECT l.oid AS login, l.oid AS role FROM pg_roles AS l WHERE l.rolcanlogin
        UNION
        SELECT a.login, m.roleid FROM acting AS a JOIN memberships AS m ON m.member = a.role
    )
"""
#: SQL: whether a schema n is another than those that `validation` looks after, and none that ends with its session.
ELSEWHERE = "(n.nspname NOT IN ('public', 'app') AND n.nspname !~ '^pg_temp_')"
#: What stands in PostgreSQL's own schemas since initdb has lower oids (src/include/access/transam.h).
FIRST_OID = 16384
#: SQL about the login l: whether it is known to act for our owner: the owner, an operator's session, a platform's.
OPERATORS = "l.oid IN (TABLE owners) OR l.rolname = session_user OR l.rolname = ANY (%(administrators)s)"
#: SQL about the login l: whether it may act as our owner, who may do everything to our tables anyhow.
AS_OWNER = "EXISTS (SELECT FROM acting AS o WHERE o.login = l.oid AND o.role IN (TABLE owners))"
#: A login l that counts: one that is bound by row security, and none of a platform's.
LOGIN = "l.rolcanlogin AND NOT l.rolsuper AND l.rolname <> ALL (%(known)s)"


def members(role: str, *, but: str = "false") -> str:
    """SQL: the logins that may act as a role, by its oid, and connect here, as an array of names; neighbours have a *.

    ``but``: SQL about the login l, those that are not meant. Needs OURS.
    """
    return f"""ARRAY(
        SELECT l.rolname || CASE WHEN {neighbours.is_neighbours("l.oid")} THEN '*' ELSE '' END
        FROM acting AS a JOIN pg_roles AS l ON l.oid = a.login
        WHERE a.role = {role} AND {LOGIN} AND {neighbours.reaches("l.oid")} AND NOT ({but})
        ORDER BY 1)"""  # noqa: S608 - our own words


def others(acl: str, owner: str, *privileges: str) -> str:
    """SQL: who beside the owner and superusers holds a right (any, or one of these), as an array of names."""
    listed = ", ".join(f"'{privilege}'" for privilege in privileges)
    return f"""ARRAY(
        SELECT DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee)::text END
        FROM aclexplode({acl}) AS x
        WHERE x.grantee <> {owner} AND NOT EXISTS (SELECT FROM pg_roles AS g WHERE g.oid = x.grantee AND g.rolsuper)
          {f"AND x.privilege_type IN ({listed})" if listed else ""}
        ORDER BY 1)"""  # noqa: S608 - our own words


def is_of_extension(catalog: str, oid: str) -> str:
    """SQL: whether an extension brought the object."""
    return f"""EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = '{catalog}'::regclass AND e.objid = {oid}
                       AND e.deptype = 'e')"""


def unsafe(where: str, kind: Kind, expected: str, found: str, fix: Fix, why: str) -> Finding:
    """A finding of the one severity there is here."""
    return Finding(where, kind, expected, found, Severity.UNSAFE, fix, why)
