"""What a database consists of besides its rows: every object, who owns it, who may use it, as text that compares.

Read with raw SQL over the connection that holds the snapshot, so that it belongs to the very moment of the dump.
Definitions are PostgreSQL's own normal forms under an empty search path. An owner's own grants appear only where they
are not all there can be, and an owner is called `<owner>` in them, so that a restore to another owner compares alike.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from moeen.db.catalog.normal import expression
from moeen.db.catalog.schemas import KEPT, NOT_BUILT_IN

Connection = psycopg.Connection[tuple[Any, ...]]
#: kind -> name -> definition
Inventory = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Scope:
    """The schemas that a backup covers, and those it leaves out because they are somebody else's."""

    schemas: list[str]
    left_out: list[str]


@dataclass(frozen=True)
class Role:
    """A role that objects or grants of the database name; no password, and no superuser is ever made from it."""

    name: str
    login: bool
    inherit: bool
    createrole: bool
    createdb: bool
    bypassrls: bool
    member_of: list[str]


@dataclass(frozen=True)
class Settings:
    """What belongs to the database itself, and is in no dump of it.

    `provider` of its locale is PostgreSQL's letter for it (c, i or b), `locale` its name unless it is libc's. Both are
    "" in a backup from before they were recorded. A privilege that may be given on ends with an asterisk.
    """

    owner: str
    encoding: str
    collate: str
    ctype: str
    grants: dict[str, str]
    settings: dict[str, list[str]]
    provider: str = ""
    locale: str = ""
    icu_rules: str = ""
    connection_limit: int = -1
    comment: str = ""


def scope(connection: Connection) -> Scope:
    """All schemas but PostgreSQL's own, and those that are somebody else's."""
    rows = connection.execute(
        sql.SQL("SELECT n.nspname, {kept} FROM pg_namespace n WHERE {known} ORDER BY 1").format(
            kept=sql.SQL(KEPT), known=sql.SQL(NOT_BUILT_IN)
        )
    ).fetchall()
    return Scope([name for name, ours in rows if ours], [name for name, ours in rows if not ours])


def read(connection: Connection, schemas: list[str]) -> Inventory:
    """Everything of these schemas; kinds without objects are there, and empty."""
    found: Inventory = {}
    for kind, query in _QUERIES.items():
        rows = connection.execute(_CTE + query, {"schemas": schemas}).fetchall()
        found[kind] = {name: expression(definition) for name, definition in rows}
    return found


def fingerprint(inventory: Inventory) -> str:
    """SHA-256 of the whole, owners and event triggers aside: equal means equal schema."""
    parts = {kind: objects for kind, objects in inventory.items() if kind not in ("owner", "event trigger")}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def system(connection: Connection) -> str:
    """The number that initdb gave the server, which a copy of its files keeps and no other server has."""
    row = connection.execute("SELECT system_identifier::text FROM pg_control_system()").fetchone()
    assert row is not None
    return str(row[0])


def place(connection: Connection) -> str:
    """Which database of which running server it is, by whatever address: a copy of a server is another."""
    row = connection.execute(
        """SELECT concat_ws(' ', system_identifier, extract(epoch FROM pg_postmaster_start_time()), current_database())
           FROM pg_control_system()"""
    ).fetchone()
    assert row is not None
    return str(row[0])


def roles(connection: Connection) -> list[Role]:
    """The roles that anything in this database refers to, and its owner."""
    rows = connection.execute(
        """
        SELECT r.rolname, r.rolcanlogin, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolbypassrls,
               ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                     WHERE m.member = r.oid ORDER BY 1)
        FROM pg_roles r
        WHERE r.rolname !~ '^pg_' AND (
            r.oid IN (SELECT s.refobjid FROM pg_shdepend s
                      WHERE s.refclassid = 'pg_authid'::regclass
                        AND (s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                             OR (s.classid = 'pg_database'::regclass
                                 AND s.objid = (SELECT oid FROM pg_database WHERE datname = current_database()))))
            OR r.oid = (SELECT datdba FROM pg_database WHERE datname = current_database())
            -- The cluster's first superuser is in no list of dependencies.
            OR r.oid IN (SELECT relowner FROM pg_class WHERE oid >= 16384
                         UNION SELECT proowner FROM pg_proc p
                               WHERE oid >= 16384 AND NOT EXISTS (
                                   SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                                      AND d.deptype = 'i')
                         UNION SELECT nspowner FROM pg_namespace WHERE oid >= 16384
                         UNION SELECT typowner FROM pg_type WHERE oid >= 16384
                         UNION SELECT defaclrole FROM pg_default_acl
                         UNION SELECT (aclexplode(relacl)).grantee FROM pg_class
                         UNION SELECT (aclexplode(nspacl)).grantee FROM pg_namespace
                         UNION SELECT (aclexplode(proacl)).grantee FROM pg_proc))
        ORDER BY 1
        """
    ).fetchall()
    return [Role(*row) for row in rows]


def settings(connection: Connection) -> Settings:
    """Owner, encoding, locale, grants, settings, limit and comment of the connected database."""
    # Columns that not every version has are read by name: 15 to 18 call the locale differently, 14 knows libc's alone.
    row = connection.execute(
        """
        SELECT pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,
               coalesce((SELECT jsonb_object_agg(grantee, privileges) FROM (
                   SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END AS grantee,
                          string_agg(DISTINCT a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END, ', ')
                          AS privileges
                   FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
                   WHERE a.grantee <> d.datdba GROUP BY 1) g), '{}'),
               coalesce((SELECT jsonb_object_agg(name, s.setconfig) FROM (
                   SELECT CASE setrole WHEN 0 THEN '' ELSE pg_get_userbyid(setrole)::text END AS name, setconfig
                   FROM pg_db_role_setting WHERE setdatabase = d.oid) s), '{}'),
               coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'),
               coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', ''),
               coalesce(to_jsonb(d) ->> 'daticurules', ''),
               d.datconnlimit, coalesce(shobj_description(d.oid, 'pg_database'), '')
        FROM pg_database d WHERE d.datname = current_database()
        """
    ).fetchone()
    assert row is not None
    return Settings(*row)


# What an extension brought along is the extension's: CREATE EXTENSION makes it again.
_CTE = """
WITH rel AS (
    SELECT c.*, format('%%I.%%I', n.nspname, c.relname) AS label
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
      AND c.relpersistence <> 't'
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), proc AS (
    SELECT p.*, format('%%I.%%I(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS label
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = ANY (%(schemas)s)
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
), typ AS (
    SELECT t.*, format('%%I.%%I', n.nspname, t.typname) AS label
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname = ANY (%(schemas)s) AND t.typtype IN ('e', 'd', 'r')
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
), held AS (
    SELECT 'relation ' || label AS label, relowner AS owner,
           coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)) AS acl,
           acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner) AS usual
    FROM rel WHERE relkind <> 'c'
    UNION ALL
    SELECT 'column ' || label || '.' || quote_ident(a.attname), relowner, a.attacl, NULL::aclitem[]
    FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
    UNION ALL
    SELECT 'function ' || label, proowner, coalesce(proacl, acldefault('f', proowner)), acldefault('f', proowner)
    FROM proc
    UNION ALL
    SELECT 'type ' || label, typowner, coalesce(typacl, acldefault('T', typowner)), acldefault('T', typowner) FROM typ
    UNION ALL
    SELECT 'schema ' || quote_ident(nspname), nspowner, coalesce(nspacl, acldefault('n', nspowner)),
           acldefault('n', nspowner)
    FROM pg_namespace WHERE nspname = ANY (%(schemas)s)
), granted AS (
    SELECT h.label, a.grantee = h.owner AS own,
           CASE WHEN a.grantee = h.owner THEN '<owner>' WHEN a.grantee = 0 THEN 'PUBLIC'
                ELSE pg_get_userbyid(a.grantee)::text END AS grantee,
           -- Once, however many have granted it.
           string_agg(DISTINCT a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END, ', ') AS privileges
    FROM held h CROSS JOIN aclexplode(h.acl) a GROUP BY h.label, h.owner, a.grantee
), usually AS (
    SELECT h.label,
           string_agg(DISTINCT a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END, ', ') AS privileges
    FROM held h CROSS JOIN aclexplode(h.usual) a WHERE a.grantee = h.owner GROUP BY h.label
)
"""
_QUERIES = {
    "schema": """
        SELECT quote_ident(nspname), coalesce(obj_description(oid, 'pg_namespace'), '')
        FROM pg_namespace WHERE nspname = ANY (%(schemas)s) ORDER BY 1""",
    "extension": """
        SELECT e.extname, n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname <> 'plpgsql' ORDER BY 1""",
    # Theirs is a superuser's power; they are named here, and neither restored nor compared.
    "event trigger": """
        SELECT evtname::text, evtevent::text FROM pg_event_trigger ORDER BY 1""",
    "type": """
        SELECT label, format('%%s %%s %%s %%s', typtype,
                 ARRAY(SELECT enumlabel FROM pg_enum e WHERE e.enumtypid = typ.oid ORDER BY enumsortorder),
                 CASE WHEN typtype = 'd' THEN format_type(typbasetype, typtypmod) || ' ' || typnotnull
                           || ' ' || coalesce(typdefault, '') END,
                 ARRAY(SELECT pg_get_constraintdef(c.oid) FROM pg_constraint c
                       WHERE c.contypid = typ.oid AND c.contype = 'c' ORDER BY 1))
        FROM typ ORDER BY 1""",
    "table": """
        SELECT label,
               format('kind=%%s rls=%%s forced=%%s persistence=%%s options=%%s partition=%%s bound=%%s comment=%%s',
                 relkind, relrowsecurity, relforcerowsecurity, relpersistence, reloptions,
                 CASE WHEN relkind = 'p' THEN pg_get_partkeydef(oid) END, pg_get_expr(relpartbound, oid),
                 obj_description(oid, 'pg_class'))
        FROM rel WHERE relkind IN ('r', 'p', 'f', 'c') ORDER BY 1""",
    "column": """
        SELECT rel.label || '.' || quote_ident(a.attname),
               format('%%s notnull=%%s default=%%s collation=%%s identity=%%s generated=%%s comment=%%s',
                      format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
                      CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
                      a.attidentity, a.attgenerated, col_description(rel.oid, a.attnum))
        FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE rel.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') ORDER BY 1""",
    # NOT NULL is listed as a constraint from 18 on; the columns say it on every version.
    "constraint": """
        SELECT rel.label || ' ' || quote_ident(c.conname),
               format('%%s validated=%%s comment=%%s', pg_get_constraintdef(c.oid), c.convalidated,
                      obj_description(c.oid, 'pg_constraint'))
        FROM rel JOIN pg_constraint c ON c.conrelid = rel.oid
        WHERE c.contype IN ('c', 'f', 'p', 'u', 'x') ORDER BY 1""",
    # Those that pg_dump writes: one that is being made CONCURRENTLY, or never was, is not among them.
    "index": """
        SELECT i.indexrelid::regclass::text,
               format('%%s comment=%%s', pg_get_indexdef(i.indexrelid), obj_description(i.indexrelid, 'pg_class'))
        FROM rel JOIN pg_index i ON i.indrelid = rel.oid
        WHERE i.indisready AND (i.indisvalid OR rel.relkind = 'p') ORDER BY 1""",
    "trigger": """
        SELECT rel.label || ' ' || quote_ident(t.tgname),
               format('%%s enabled=%%s', pg_get_triggerdef(t.oid), t.tgenabled)
        FROM rel JOIN pg_trigger t ON t.tgrelid = rel.oid AND NOT t.tgisinternal ORDER BY 1""",
    "policy": """
        SELECT rel.label || ' ' || quote_ident(p.polname),
               format('%%s permissive=%%s to=%%s using=%%s check=%%s', p.polcmd, p.polpermissive,
                      ARRAY(SELECT CASE r WHEN 0 THEN 'public' ELSE pg_get_userbyid(r)::text END
                            FROM unnest(p.polroles) r ORDER BY 1),
                      pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
        FROM rel JOIN pg_policy p ON p.polrelid = rel.oid ORDER BY 1""",
    "rule": """
        SELECT rel.label || ' ' || quote_ident(r.rulename), pg_get_ruledef(r.oid)
        FROM rel JOIN pg_rewrite r ON r.ev_class = rel.oid AND r.rulename <> '_RETURN' ORDER BY 1""",
    "view": """
        SELECT label, format('%%s %%s options=%%s comment=%%s', relkind, pg_get_viewdef(oid), reloptions,
                             obj_description(oid, 'pg_class'))
        FROM rel WHERE relkind IN ('v', 'm') ORDER BY 1""",
    "sequence": """
        SELECT label, format('%%s start=%%s increment=%%s min=%%s max=%%s cache=%%s cycle=%%s',
                             format_type(s.seqtypid, NULL), seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle)
        FROM rel JOIN pg_sequence s ON s.seqrelid = rel.oid ORDER BY 1""",
    "function": """
        SELECT label, CASE WHEN prokind = 'a' THEN 'aggregate' ELSE pg_get_functiondef(oid) END
                      || coalesce(' -- ' || obj_description(oid, 'pg_proc'), '')
        FROM proc ORDER BY 1""",
    # The functions that make a range are the first superuser's, whoever made its type.
    "owner": """
        SELECT label, pg_get_userbyid(owner)::text FROM held
        WHERE label NOT LIKE 'column %%' AND label <> 'schema public'
          AND label NOT IN (SELECT 'function ' || label FROM proc JOIN pg_depend d
                            ON d.classid = 'pg_proc'::regclass AND d.objid = proc.oid AND d.deptype = 'i')
        ORDER BY 1""",
    "grant": """
        SELECT g.label || ' to ' || g.grantee, g.privileges FROM granted g
        LEFT JOIN usually u ON u.label = g.label
        WHERE NOT (g.own AND g.privileges IS NOT DISTINCT FROM u.privileges)
        UNION ALL
        SELECT u.label || ' to <owner>', 'nothing' FROM usually u
        WHERE NOT EXISTS (SELECT FROM granted g WHERE g.label = u.label AND g.own)
        ORDER BY 1""",
    "default grant": """
        SELECT format('%%s in %%s for %%s to %%s', d.defaclobjtype, coalesce(n.nspname, '*'),
                      pg_get_userbyid(d.defaclrole),
                      CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END),
               string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)
        FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
        CROSS JOIN aclexplode(d.defaclacl) a
        WHERE d.defaclnamespace = 0 OR n.nspname = ANY (%(schemas)s) GROUP BY 1 ORDER BY 1""",
}
