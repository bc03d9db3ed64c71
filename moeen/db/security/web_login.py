"""The web's login: its name, how the embedded server gets it, and who must not be it.

It owns nothing and holds no right until it takes a role of row security, so an injected `RESET ROLE` gains nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from moeen.db.codes import Code
from moeen.db.errors import DATABASE_URL_FORM, ConfigurationError, MoeenError
from moeen.db.roles import ROLES, right_to_become
from moeen.db.security.trust import FILE_FUNCTIONS, SECRET_CATALOGS
from moeen.db.sql import compose, fragment

_ATTRIBUTES = sql.SQL("LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")
#: Predefined roles with which a login passes row security by, leaves the database, or looks over other logins.
_POWERFUL = (
    "pg_read_all_data",
    "pg_write_all_data",
    "pg_read_server_files",
    "pg_write_server_files",
    "pg_execute_server_program",
    "pg_create_subscription",
    # The texts of other logins' statements, and what may be done to their sessions and tables.
    "pg_monitor",
    "pg_read_all_stats",
    "pg_signal_backend",
    "pg_maintain",
)


class Refused(ConfigurationError):
    """The web would be served by a login that row security does not bind."""


class ServedByOwner(Refused):
    """The web has no login of its own: it would use DATABASE_URL, as the commands do."""


class NotMade(MoeenError):
    """The database has no login for the web yet."""

    default_code = Code.IDENTITY


@dataclass(frozen=True)
class Standing:
    """A login as the catalog has it. `powers`: why it must not serve. `lacks`: what it needs to serve and has not."""

    name: str
    powers: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


def name_for(database: str) -> str:
    """The login's usual name. It does not begin as the roles of row security do, which some statements name by that."""
    return f"web_{database}".encode()[:63].decode(errors="ignore")


def named(entry: Mapping[str, Any] | None, *, project: str) -> str:
    """The login of an entry of DATABASES as the database knows it, "" for None.

    Raises ConfigurationError where the entry leaves it open. Poolers of hosting projects want `<login>.<project>`.
    """
    if entry is None:
        return ""
    if not entry["USER"]:
        raise ConfigurationError(
            "WEB_DATABASE_URL names no login.",
            next_step=f"The wanted form: {DATABASE_URL_FORM}; `manage.py print_web_role_sql` makes the login.",
        )
    return str(entry["USER"]).removesuffix(f".{project}" if project else "")


def script(*, login: str, database: str) -> list[str]:
    """How an administrator makes it: statements, the password left open."""
    # NOINHERIT: it holds no right of its own until it takes a role.
    return [
        compose("CREATE ROLE {r} LOGIN NOINHERIT PASSWORD '...';", r=login),
        compose("GRANT CONNECT ON DATABASE {d} TO {r};", d=database, r=login),
        compose("GRANT {roles} TO {r};", roles=fragment(", ".join(ROLES)), r=login),
    ]


def steps(database: str) -> str:
    """What to do where the web has no login of its own, in lines."""
    lines = "\n".join(f"  {line}" for line in script(login=name_for(database), database=database))
    return (
        "After `manage.py migrate`, let an administrator run (manage.py print_web_role_sql prints it too):\n"
        f"{lines}\n"
        "Then name that login in WEB_DATABASE_URL, and give the web the IDENTITY_KEY that "
        "`manage.py rotate_identity_key --print` shows."
    )


def served_by_owner(owner: str, database: str) -> ServedByOwner:
    """What is said of DATABASE_URL alone."""
    return ServedByOwner(
        f"The web would be served as {owner or 'whoever connects'}, the login of DATABASE_URL and owner of the tables, "
        "whom row security does not bind.",
        next_step=steps(database),
    )


def refuse_powerful(connection: psycopg.Connection[Any]) -> None:
    """Raise Refused if the login of this session must not serve. It is the server's word: a pooler may change names."""
    found = standing(connection)
    if found is not None and found.powers:
        raise refusal(found, connection.info.dbname)


def refusal(found: Standing, database: str) -> Refused:
    """What is said of a login with powers."""
    return Refused(
        f"The web would be served as {found.name}, whom row security does not bind: it {found.powers[0]}.",
        next_step=steps(database),
    )


def standing(connection: psycopg.Connection[Any], *, login: str = "") -> Standing | None:
    """That login, or the session's own, in the database of the connection; None where there is none of the name."""
    query = sql.SQL(_STANDING).format(
        login=sql.Literal(login) if login else sql.SQL("session_user"),
        roles=sql.Literal(list(ROLES)),
        powerful=sql.Literal(list(_POWERFUL)),
        files=sql.Literal(FILE_FUNCTIONS),
        catalogs=sql.Literal(list(SECRET_CATALOGS)),
        app=sql.SQL("(SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'app')"),
        take=sql.Literal(right_to_become(connection.info.server_version)),
    )
    # No parameters and no prepared statement, so that it goes through every pooler.
    row = psycopg.ClientCursor(connection).execute(query.as_string(None).encode()).fetchone()
    if row is None:
        return None
    name, powers, untaken, connects = row
    lacks = [f"may not become {', '.join(untaken)}"] if untaken else []
    return Standing(name, tuple(powers), (*lacks, *(() if connects else ("may not connect",))))


def ensure(administrator: psycopg.Connection[Any], *, login: str) -> bool:
    """Make the login of the connection's database what it must be. Whether anything was changed.

    `administrator`: a superuser's, in autocommit mode. Nothing is done before the roles of row security stand.
    """
    count = administrator.execute("SELECT count(*) FROM pg_roles WHERE rolname = ANY (%s)", [list(ROLES)]).fetchone()
    if count != (len(ROLES),):
        return False
    statements = list(_missing(administrator, login))
    with administrator.transaction():
        for statement in statements:
            administrator.execute(statement)
    return bool(statements)


def _missing(administrator: psycopg.Connection[Any], login: str) -> Iterator[sql.Composed]:
    """The statements after which the login is what `script()` makes, and nothing more."""
    name, database = sql.Identifier(login), sql.Identifier(administrator.info.dbname)
    row = administrator.execute(
        """SELECT rolcanlogin AND NOT (rolinherit OR rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication
                                       OR rolbypassrls)
           FROM pg_roles WHERE rolname = %s""",
        [login],
    ).fetchone()
    if row is None:
        yield sql.SQL("CREATE ROLE {} {}").format(name, _ATTRIBUTES)
    elif row != (True,):
        yield sql.SQL("ALTER ROLE {} {}").format(name, _ATTRIBUTES)
    held = set()
    for role, grantor, right in administrator.execute(
        """SELECT pg_get_userbyid(m.roleid)::text, pg_get_userbyid(m.grantor)::text,
                  m.set_option AND NOT m.inherit_option AND NOT m.admin_option
           FROM pg_auth_members m JOIN pg_roles u ON u.oid = m.member WHERE u.rolname = %s""",
        [login],
    ):
        if right and role in ROLES:
            held.add(role)
        else:
            words = sql.SQL("REVOKE {} FROM {} GRANTED BY {} CASCADE")
            yield words.format(sql.Identifier(role), name, sql.Identifier(grantor))
    wanted = [sql.Identifier(role) for role in ROLES if role not in held]
    if wanted:
        yield sql.SQL("GRANT {} TO {} WITH ADMIN FALSE, INHERIT FALSE, SET TRUE").format(
            sql.SQL(", ").join(wanted), name
        )
    granted = administrator.execute(
        """SELECT FROM pg_database d, aclexplode(d.datacl) a JOIN pg_roles u ON u.oid = a.grantee
           WHERE d.datname = current_database() AND u.rolname = %s AND a.privilege_type = 'CONNECT'""",
        [login],
    ).fetchone()
    if granted is None:
        yield sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, name)


# MEMBER is any way into a role, the right to grant it to oneself included; USAGE is holding its rights all the time.
_STANDING = """
    WITH owners AS (
        SELECT relowner AS role FROM pg_catalog.pg_class
        WHERE relnamespace = pg_catalog.to_regnamespace('public') AND relkind IN ('r', 'p')
        UNION SELECT proowner FROM pg_catalog.pg_proc WHERE pronamespace = pg_catalog.to_regnamespace('app')
        UNION SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname IN ('public', 'app')
        UNION SELECT datdba FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
    )
    SELECT l.rolname::text, pg_catalog.array_remove(ARRAY[
        CASE WHEN l.rolsuper THEN 'is a superuser' END,
        CASE WHEN l.rolbypassrls THEN 'has BYPASSRLS' END,
        CASE WHEN l.oid IN (TABLE owners) THEN 'owns tables or functions' END,
        (SELECT 'may become ' || pg_catalog.min(r.rolname) || ', who owns tables or functions'
         FROM pg_catalog.pg_roles AS r
         WHERE r.oid IN (TABLE owners) AND pg_catalog.pg_has_role(l.oid, r.oid, 'MEMBER')
         HAVING pg_catalog.count(*) > 0),
        (SELECT 'may become ' || pg_catalog.min(r.rolname) || ', who passes row security by'
         FROM pg_catalog.pg_roles AS r
         WHERE (r.rolsuper OR r.rolbypassrls OR r.rolreplication OR r.rolcreaterole OR r.rolname = ANY ({powerful}))
           AND r.oid <> l.oid AND pg_catalog.pg_has_role(l.oid, r.oid, 'MEMBER')
         HAVING pg_catalog.count(*) > 0),
        CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_class AS c
                          WHERE c.relnamespace = {app} AND c.relname = 'identity_keys'
                          AND pg_catalog.has_any_column_privilege(l.oid, c.oid, 'SELECT, INSERT, UPDATE'))
               OR EXISTS (SELECT FROM pg_catalog.pg_proc AS f
                          WHERE f.pronamespace = {app} AND f.proname = 'add_identity_key'
                          AND pg_catalog.has_function_privilege(l.oid, f.oid, 'EXECUTE'))
             THEN 'reads or makes the keys that identities are signed with' END,
        (SELECT 'may call ' || pg_catalog.min(f.proname) || ', which leads to files of the server'
         FROM pg_catalog.pg_proc AS f JOIN pg_catalog.pg_init_privs AS i
           ON i.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND i.objoid = f.oid
         WHERE f.proname ~ {files} AND pg_catalog.has_function_privilege(l.oid, f.oid, 'EXECUTE')
         HAVING pg_catalog.count(*) > 0),
        (SELECT 'reads ' || pg_catalog.min(c.relname) || ', past every policy'
         FROM pg_catalog.pg_class AS c
         WHERE c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace AND c.relname = ANY ({catalogs})
           AND pg_catalog.has_any_column_privilege(l.oid, c.oid, 'SELECT, INSERT, UPDATE')
         HAVING pg_catalog.count(*) > 0),
        CASE WHEN l.rolcreaterole THEN 'may create roles' END,
        CASE WHEN l.rolreplication THEN 'has REPLICATION' END,
        (SELECT 'holds the rights of ' || pg_catalog.string_agg(r.rolname, ', ' ORDER BY r.rolname) || ' all the time'
         FROM pg_catalog.pg_roles AS r
         WHERE r.rolname = ANY ({roles}) AND pg_catalog.pg_has_role(l.oid, r.oid, 'USAGE')
         HAVING pg_catalog.count(*) > 0)
    ]::pg_catalog.text[], NULL),
    ARRAY(SELECT r.rolname::text FROM pg_catalog.pg_roles AS r
          WHERE r.rolname = ANY ({roles}) AND NOT pg_catalog.pg_has_role(l.oid, r.oid, {take}) ORDER BY 1),
    pg_catalog.has_database_privilege(l.oid, pg_catalog.current_database(), 'CONNECT')
    FROM pg_catalog.pg_roles AS l WHERE l.rolname = {login}
"""
