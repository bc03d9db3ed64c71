"""SQL that tells the logins of this database from those of its neighbours: roles belong to the whole server.

Each gives a condition about the oid of a login. Superusers, who are in every role, are for the caller to leave out.
"""

from __future__ import annotations


def reaches(login: str) -> str:
    """Whether the login may connect to this database."""
    return f"has_database_privilege({login}, current_database(), 'CONNECT')"


def is_neighbours(login: str) -> str:
    """Whether it belongs to another database: as the owner there, or as a login that was let in by name there alone.

    Who may act as the owner of this database, or owns something in it, is no neighbour's.
    """
    return f"""(
        NOT pg_has_role({login}, (SELECT datdba FROM pg_database WHERE datname = current_database()), 'MEMBER')
        AND NOT EXISTS (SELECT FROM pg_shdepend AS s JOIN pg_database AS h ON h.oid = s.dbid
                        WHERE h.datname = current_database() AND s.refclassid = 'pg_authid'::regclass
                          AND s.refobjid = {login} AND s.deptype = 'o')
        AND (
            EXISTS (SELECT FROM pg_database AS o JOIN pg_roles AS w ON w.oid = o.datdba
                    WHERE o.datname <> current_database() AND NOT o.datistemplate AND NOT w.rolsuper
                      AND pg_has_role({login}, o.datdba, 'MEMBER'))
            OR {_named(login, "<>")} AND NOT {_named(login, "=")}
        )
    )"""  # noqa: S608 - our own words


def _named(login: str, how: str) -> str:
    return f"""EXISTS (SELECT FROM pg_database AS n CROSS JOIN aclexplode(n.datacl) AS x
                       WHERE n.datname {how} current_database() AND NOT n.datistemplate
                         AND x.grantee = {login} AND x.privilege_type = 'CONNECT')"""
