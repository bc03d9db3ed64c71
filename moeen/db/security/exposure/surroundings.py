"""What stands around the tables: settings, parameters, logins, event triggers, default privileges, neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moeen.db.actions import DefaultPrivileges, Drop, Revoke, RevokeRole, RunSQL, TakeAttributes
from moeen.db.catalog import neighbours
from moeen.db.findings import Finding, Fix
from moeen.db.kinds import Kind
from moeen.db.names import ObjectName
from moeen.db.security.exposure.question import (
    AS_OWNER,
    LOGIN,
    OPERATORS,
    OURS,
    Question,
    Words,
    members,
    others,
    unsafe,
)
from moeen.db.sql import compose, elements

#: Setting -> what it may be, as regards row security.
_HARMLESS = {
    "session_replication_role": ("origin", "local"),
    "row_security": ("on", "true", "yes", "1"),
    "role": ("none", ""),
    "session_authorization": ("", "default"),
    "standard_conforming_strings": ("on", "true", "yes", "1"),
    "transform_null_equals": ("off", "false", "no", "0"),
    "pgrst.db_pre_request": ("app.bind_request",),
    "pgrst.db_anon_role": ("anon", ""),
}
#: What PostgREST may be told in the database, whatever it is: it decides neither who comes nor what runs for them.
_HARMLESS_TO_TELL = {
    f"pgrst.{name}"
    for name in (
        "db_aggregates_enabled", "db_config", "db_hoisted_tx_settings", "db_max_rows", "db_plan_enabled",
        "db_prepared_statements", "db_timezone_enabled", "log_level", "log_query", "openapi_mode",
        "openapi_security_active", "openapi_server_proxy_uri", "server_cors_allowed_origins", "server_timing_enabled",
        "server_trace_header",
    )
}  # fmt: skip
_WHY_SETTING = {
    "session_replication_role": "triggers and foreign keys do nothing then: the audit trail stops, too",
    "row_security": "policies hide nothing then: who is bound gets errors, who is not sees all rows",
    "role": "every session of the login begins in that role",
    "search_path": "names without a schema lead to somebody else's table or function",
}
_WHY_POSTGREST = "PostgREST takes it from the database, where its own login can set it and everybody can read it"
#: Settings of these names say who is asking, or are our own.
_OURS = ("request.", "moeen.", "app.")
#: What an owner of our tables gains nothing by; the others lead to the server's files and programs.
_SERVER_FILES = ("pg_execute_server_program", "pg_read_server_files", "pg_write_server_files")
_WHY_ATTRIBUTE = {
    "REPLICATION": "it copies the whole server, every row of this database included, and no policy is asked",
    "BYPASSRLS": "no policy binds it: whatever is granted to it, now or later, it has of all rows",
    "CREATEROLE": "it makes logins and lets them in; before PostgreSQL 16 it gives itself the owner's role",
}


def settings(cursor: Any, words: Words) -> Iterator[Finding]:
    """ALTER DATABASE and ALTER ROLE ... SET, for this database and for logins that may connect to it."""
    cursor.execute(_TRUSTED_SCHEMAS, words)
    trusted = {name for (name,) in cursor.fetchall()}
    cursor.execute(_SETTINGS, words)
    for database, role, entry in cursor.fetchall():
        name, _, value = entry.partition("=")
        if _is_harmless(name.lower(), value, trusted):
            continue
        whose = f"ROLE {compose('{r}', r=role)}" if role else ""
        place = f"DATABASE {compose('{d}', d=database)}" if database else ""
        at = " IN ".join(part for part in (whose, place) if part)
        where = " in ".join(part for part in (role, database) if part) or "every role"
        fix = Fix.by(RunSQL(ObjectName("", part=name), f"ALTER {at or 'ROLE ALL'} RESET {name}", narrows=True))
        why = _WHY_SETTING.get(name.lower(), "sessions begin with what the code, and the policies, do not count on")
        if name.lower().startswith("pgrst."):
            why = _WHY_POSTGREST
        # Whatever else is set may be a secret, such as what tokens are signed with.
        shown = value if name.lower() in _HARMLESS | _WHY_SETTING else "a value that is not shown"
        yield unsafe(f"{name} of {where}", Kind.SETTING, "not set", shown, fix, why)


def parameters(cursor: Any, words: Words) -> Iterator[Finding]:
    """GRANT SET ON PARAMETER (PostgreSQL 15 and newer): the right to change what is a superuser's otherwise."""
    cursor.execute("SELECT to_regclass('pg_catalog.pg_parameter_acl') IS NOT NULL")
    if not cursor.fetchone()[0]:
        return
    cursor.execute(_PARAMETERS, words)
    for name, role, rights in cursor.fetchall():
        revoke = Revoke(ObjectName("", part=name), rights, f"PARAMETER {name}", (role,))
        fix = Fix.by(revoke, advice="as a superuser")
        why = "session_replication_role and its kin switch off what everything else stands on"
        yield unsafe(name, Kind.PARAMETER_GRANT, f"not to {role}", f"{rights} to {role}", fix, why)


def memberships(cursor: Any, words: Words) -> Iterator[Finding]:
    """Memberships of logins that reach this database, and of our roles, in roles that row security does not bind.

    Those are PostgreSQL's own pg_* roles, the owners of our tables, and roles with attributes as below.
    """
    cursor.execute(_MEMBERSHIPS, words | {"files": list(_SERVER_FILES)})
    for role, member, logins, why, database in cursor.fetchall():
        names = [name for name in logins if not name.endswith("*")]
        fix = Fix.by(RevokeRole(ObjectName("", part=role), member), advice="as an administrator")
        if not names and logins:  # a neighbour works with it
            advice = "it belongs to another database; if CONNECT is its own, not everybody's, here"
            fix = Fix.by(_shut_out(member, database), advice=advice)
        through = [name.removesuffix("*") for name in logins if name.removesuffix("*") != member]
        found = "a member" + (f", through which {', '.join(through)}" if through else "")
        yield unsafe(f"{member} in {role}", Kind.MEMBERSHIP, "none", found, fix, why)


def attributes(cursor: Any, words: Words) -> Iterator[Finding]:
    """Logins with an attribute that passes row security by.

    REPLICATION, and CREATEROLE before PostgreSQL 16, need no right to connect here: the one copies the whole server,
    the other gives itself any role that is no superuser's.
    """
    cursor.execute(_ATTRIBUTES, words)
    for login, attribute in cursor.fetchall():
        advice = "as an administrator; what the clinic's own work needs goes into SCHEMA_ALLOWED"
        fix = Fix.by(TakeAttributes(ObjectName("", part=login), (attribute,)), advice=advice)
        why = _WHY_ATTRIBUTE[attribute]
        yield unsafe(f"{login} {attribute}", Kind.POWERFUL_LOGIN, f"no {attribute}", "a login with it", fix, why)


def event_triggers(cursor: Any, words: Words) -> Iterator[Finding]:
    """Code that runs at every change of the schema, as whoever makes the change."""
    cursor.execute(_EVENT_TRIGGERS, words)
    for name, function, owner in cursor.fetchall():
        fix = Fix.by(Drop(ObjectName("", part=name), "EVENT TRIGGER"), advice="as a superuser")
        why = "its owner can change what it does, and migrate runs it with the rights of the owner of the tables"
        yield unsafe(name, Kind.EVENT_TRIGGER_ELSEWHERE, "of a trusted owner", f"{function} of {owner}", fix, why)


def defaults(cursor: Any, words: Words) -> Iterator[Finding]:
    """Default privileges of others that make tables of ours, as the connected role may; validation asks the owner's."""
    cursor.execute(_DEFAULTS, words)
    for role, schema, what, grantees in cursor.fetchall():
        at = ObjectName("", part=role)
        fix = Fix.by(DefaultPrivileges(at, role, schema, what, tuple(grantees)))
        named = " ".join(part for part in (role, schema, what) if part)
        why = "whatever a later migration makes is open to these roles"
        yield unsafe(named, Kind.DEFAULT_PRIVILEGES_OF_ANOTHER, "to nobody", f"to {', '.join(grantees)}", fix, why)


def _shut_out(role: str, database: str) -> Revoke:
    return Revoke(ObjectName("", part=database), "CONNECT", compose("DATABASE {d}", d=database), (role,))


def neighbours_logins(cursor: Any, words: Words) -> Iterator[Finding]:
    """Logins of another database that hold our roles there, and may connect here by name."""
    cursor.execute(_NEIGHBOURS, words)
    for login, grantee, database, roles in cursor.fetchall():
        fix = Fix.by(_shut_out(grantee, database))
        found = f"may connect and become {', '.join(roles)}"
        why = "it belongs to another database of the server, whose people it serves with these roles"
        yield unsafe(login, Kind.NEIGHBOURS_LOGIN, "no way into this database", found, fix, why)


QUESTIONS: tuple[Question, ...] = (
    settings,
    parameters,
    memberships,
    attributes,
    event_triggers,
    defaults,
    neighbours_logins,
)


def _is_harmless(name: str, value: str, trusted: set[str]) -> bool:
    if name in _HARMLESS:
        return value.lower() in _HARMLESS[name]
    if name == "search_path":
        return _is_safe_path(elements(value), trusted)
    if name in ("pgrst.db_schemas", "pgrst.db_schema", "pgrst.db_extra_search_path"):
        return not {"app", "auth"} & {word.strip() for word in value.split(",")}
    return name in _HARMLESS_TO_TELL or not name.startswith((*_OURS, "pgrst."))


def _is_safe_path(path: list[str], trusted: set[str]) -> bool:
    """pg_temp last or nowhere; before public none but PostgreSQL's own and the login's; after it, trusted ones."""
    if "pg_temp" in path[:-1]:
        return False
    named = [schema for schema in path if schema not in ("pg_temp", "pg_catalog", "$user", "")]
    before = named[: named.index("public")] if "public" in named else named
    return not before and set(named) - {"public"} <= trusted


# Schemas that nobody else can put anything into.
_TRUSTED_SCHEMAS = f"""
    WITH {OURS}
    SELECT n.nspname::text FROM pg_namespace AS n JOIN pg_roles AS w ON w.oid = n.nspowner
    WHERE (w.rolsuper OR w.rolname = ANY (%(known)s) OR n.nspowner IN (SELECT relowner FROM ours))
      AND {others("n.nspacl", "n.nspowner", "CREATE")} <@ ARRAY(SELECT pg_get_userbyid(relowner)::text FROM ours)
"""  # noqa: S608 - our own words
_SETTINGS = f"""
    WITH {OURS}
    SELECT coalesce(d.datname, '')::text, coalesce(r.rolname, '')::text, entry
    FROM pg_db_role_setting AS s
    LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
    LEFT JOIN pg_roles AS r ON r.oid = s.setrole
    CROSS JOIN unnest(s.setconfig) AS entry
    WHERE (s.setdatabase = 0 OR d.datname = current_database())
      AND (s.setrole = 0 OR NOT r.rolsuper AND r.rolname <> ALL (%(known)s)
           AND (r.rolname = ANY (%(roles)s) OR cardinality({members("r.oid")}) > 0))
    ORDER BY 1, 2, 3
"""  # noqa: S608 - our own words
_PARAMETERS = f"""
    WITH {OURS}
    SELECT p.parname, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE g.rolname::text END,
           string_agg(DISTINCT x.privilege_type, ', ')
    FROM pg_parameter_acl AS p CROSS JOIN aclexplode(p.paracl) AS x LEFT JOIN pg_roles AS g ON g.oid = x.grantee
    WHERE x.grantee = 0
       OR NOT g.rolsuper AND g.rolname <> ALL (%(known)s)
          AND (g.rolname = ANY (%(roles)s) OR cardinality({members("g.oid", but=AS_OWNER)}) > 0)
    GROUP BY 1, 2
"""  # noqa: S608 - our own words
# The login of a platform's API is in a role with BYPASSRLS, which holds no table of ours, as long as it has it.
_MEMBERSHIPS = f"""
    WITH {OURS}, powerful AS (
        SELECT p.oid, p.rolname, 'whoever acts as the owner of our tables is bound by no policy of them' AS why
        FROM pg_roles AS p WHERE p.oid IN (TABLE owners)
        UNION ALL
        SELECT p.oid, p.rolname, 'it reads or writes all tables, the server''s files, or other people''s query texts'
        FROM pg_roles AS p WHERE p.rolname ~ '^pg_' AND p.oid < 16384
        UNION ALL
        SELECT p.oid, p.rolname, 'row security does not bind that role, and whoever may take it'
        FROM pg_roles AS p
        WHERE (p.rolsuper OR p.rolbypassrls OR p.rolreplication OR p.rolcreaterole) AND p.oid NOT IN (TABLE owners)
          AND p.rolname <> ALL (%(roles)s)  -- of these validation says it
    ), found AS (
        SELECT p.rolname::text AS role, u.rolname::text AS member, u.rolname = ANY (%(roles)s) AS is_ours, p.why,
               CASE WHEN p.oid IN (TABLE owners) THEN {members("u.oid", but=OPERATORS)}
                    WHEN p.rolname = ANY (%(files)s) THEN {members("u.oid")}
                    ELSE {members("u.oid", but=AS_OWNER)} END AS logins
        FROM memberships AS m
        JOIN powerful AS p ON p.oid = m.roleid
        JOIN pg_roles AS u ON u.oid = m.member AND u.rolname !~ '^pg_' AND NOT u.rolsuper
        WHERE u.rolname <> ALL (%(known)s)
          AND NOT (p.rolname = ANY (%(platform)s) AND u.rolname = ANY (%(api)s))
    )
    SELECT DISTINCT role, member, logins, why, current_database()::text
    FROM found WHERE is_ours OR cardinality(logins) > 0
"""  # noqa: S608 - our own words
_ATTRIBUTES = f"""
    WITH {OURS}
    SELECT l.rolname::text, a.attribute
    FROM pg_roles AS l
    CROSS JOIN LATERAL (
        VALUES ('REPLICATION', l.rolreplication, true), ('BYPASSRLS', l.rolbypassrls, false),
               ('CREATEROLE', l.rolcreaterole, current_setting('server_version_num')::int < 160000)
    ) AS a (attribute, has, reaches_all)
    WHERE {LOGIN} AND l.rolname <> ALL (%(roles)s) AND NOT ({OPERATORS}) AND a.has
      AND (a.reaches_all OR {neighbours.reaches("l.oid")})
"""  # noqa: S608 - our own words
_EVENT_TRIGGERS = f"""
    WITH {OURS}
    SELECT e.evtname::text, p.oid::regprocedure::text,
           CASE WHEN w.rolsuper OR w.rolname = ANY (%(known)s) THEN f.rolname ELSE w.rolname END::text
    FROM pg_event_trigger AS e
    JOIN pg_proc AS p ON p.oid = e.evtfoid
    JOIN pg_roles AS w ON w.oid = e.evtowner
    JOIN pg_roles AS f ON f.oid = p.proowner
    WHERE e.evtenabled <> 'D'
      AND EXISTS (SELECT FROM (VALUES (w.oid, w.rolname, w.rolsuper), (f.oid, f.rolname, f.rolsuper))
                              AS o (oid, name, is_superuser)
                  WHERE NOT o.is_superuser AND o.name <> ALL (%(known)s)
                    AND o.oid NOT IN (SELECT relowner FROM ours))
"""  # noqa: S608 - our own words
_DEFAULTS = f"""
    WITH {OURS}, makers AS (
        SELECT relowner AS oid FROM ours UNION SELECT oid FROM pg_roles WHERE rolname = current_user
    ), main AS (
        SELECT relowner FROM ours WHERE schema = 'public' GROUP BY relowner ORDER BY count(*) DESC, relowner LIMIT 1
    )
    SELECT w.rolname::text, coalesce(n.nspname, '')::text,
           CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' ELSE 'FUNCTIONS' END, grantees
    FROM pg_default_acl AS d
    JOIN pg_roles AS w ON w.oid = d.defaclrole
    LEFT JOIN pg_namespace AS n ON n.oid = d.defaclnamespace
    CROSS JOIN LATERAL (
        SELECT array_agg(DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE g.rolname::text END) AS grantees
        FROM aclexplode(d.defaclacl) AS x LEFT JOIN pg_roles AS g ON g.oid = x.grantee
        WHERE x.grantee <> d.defaclrole AND NOT coalesce(g.rolsuper, false)
          AND x.grantee NOT IN (SELECT relowner FROM ours)
          AND coalesce(g.rolname, '') <> ALL (%(platform)s::text[] || %(known)s::text[])
          AND NOT (x.grantee = 0 AND d.defaclobjtype = 'f' AND d.defaclnamespace = 0)
    ) AS x
    WHERE d.defaclobjtype IN ('r', 'S', 'f') AND (n.nspname IS NULL OR n.nspname IN ('public', 'app'))
      AND d.defaclrole IN (SELECT oid FROM makers) AND d.defaclrole NOT IN (SELECT relowner FROM main)
      AND cardinality(grantees) > 0
"""  # noqa: S608 - our own words
_NEIGHBOURS = f"""
    SELECT l.rolname::text, g.rolname::text, d.datname::text, roles
    FROM pg_roles AS l
    JOIN pg_database AS d ON d.datname = current_database()
    CROSS JOIN aclexplode(d.datacl) AS x
    JOIN pg_roles AS g ON g.oid = x.grantee
    CROSS JOIN LATERAL (SELECT ARRAY(SELECT r.rolname::text FROM pg_roles AS r
                                     WHERE r.rolname = ANY (%(roles)s) AND pg_has_role(l.oid, r.oid, 'MEMBER')
                                     ORDER BY 1) AS roles) AS held
    WHERE l.rolcanlogin AND NOT l.rolsuper AND l.rolname <> ALL (%(known)s) AND x.privilege_type = 'CONNECT'
      AND pg_has_role(l.oid, x.grantee, 'USAGE') AND cardinality(roles) > 0 AND {neighbours.is_neighbours("l.oid")}
"""  # noqa: S608 - our own words
