"""How the questions about exposure are put: what they share in words and in SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from moeen.db.catalog import neighbours
from moeen.db.findings import Finding, Fix, Severity
from moeen.db.kinds import Kind

#: Parameters of every query: ``tables`` of ours in public, ``roles`` of ours, the ``platform``'s roles, and the roles
#: that are ``known`` to own what a platform brings.
Words = dict[str, list[str]]
Question = Callable[[Any, Words], Iterator[Finding]]

#: Our tables, and the views that show them, however far from them.
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
    )
"""
#: Schemas that others look after: PostgreSQL itself, and `validation` for ours.
NOT_ELSEWHERE = "('public', 'app', 'pg_catalog', 'information_schema', 'pg_toast')"
# A login that is bound by row security, and that counts: no superuser, and none of a platform's.
_LOGIN = "l.rolcanlogin AND NOT l.rolsuper AND l.rolname <> ALL (%(known)s)"


def members(role: str, *, but_owners: bool = False) -> str:
    """SQL: the logins that are in a role, by its oid, and may connect here, as an array of names; neighbours have a *.

    With ``but_owners``, not those that may act as the owner of our tables. Needs OURS then.
    """
    owners = "AND NOT EXISTS (SELECT FROM ours AS t WHERE pg_has_role(l.oid, t.relowner, 'MEMBER'))"
    return f"""ARRAY(
        SELECT l.rolname || CASE WHEN {neighbours.is_neighbours("l.oid")} THEN '*' ELSE '' END
        FROM pg_roles AS l
        WHERE {_LOGIN} AND pg_has_role(l.oid, {role}, 'MEMBER') AND {neighbours.reaches("l.oid")}
          {owners if but_owners else ""}
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
