"""Objects in any schema that show our rows, or that others were given rights on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moeen.db.actions import (
    Detach,
    Disinherit,
    Drop,
    DropConstraint,
    DropRule,
    DropTrigger,
    Revoke,
    RunSQL,
    SetParameters,
    SetRowSecurity,
)
from moeen.db.actions.tables import INVOKER
from moeen.db.findings import Finding, Fix
from moeen.db.kinds import Kind
from moeen.db.names import ObjectName
from moeen.db.security.exposure.question import (
    AS_OWNER,
    ELSEWHERE,
    FIRST_OID,
    OURS,
    Question,
    Words,
    is_of_extension,
    members,
    others,
    unsafe,
)
from moeen.db.security.trust import FILE_FUNCTIONS
from moeen.db.sql import compose, role_sql


def views(cursor: Any, words: Words) -> Iterator[Finding]:
    """A view shows what its owner sees; a materialized one holds rows as they were."""
    cursor.execute(_VIEWS, words)
    for name, kind, old, readers in cursor.fetchall():
        at = ObjectName.of("table", name)
        found = f"readable by {', '.join(readers)}" if readers else "nobody else may read it yet"
        if kind == "m":
            fix = Fix.by(Drop(at, "MATERIALIZED VIEW"), advice="it holds copies of rows; if nobody needs them")
            yield unsafe(name, Kind.MATERIALIZED_VIEW, "nothing that holds our rows", found, fix, _COPY)
        else:
            drop = Fix.by(Drop(at, "VIEW"), advice="before PostgreSQL 15 no view can be bound")
            fix = drop if old else Fix.by(SetParameters(at, INVOKER))
            yield unsafe(name, Kind.OWNERS_VIEW, "security_invoker", f"its owner's rights, {found}", fix, _VIEW)


def rules(cursor: Any, words: Words) -> Iterator[Finding]:
    """A rule of another table that reads or writes ours does so with the rights of that table's owner."""
    cursor.execute(_RULES, words)
    for rule, table, ours in cursor.fetchall():
        fix = Fix.by(DropRule(ObjectName.of("rule", f"{table}.{rule}")))
        why = "whoever writes there reads or writes our table with the rights of the other one's owner"
        yield unsafe(f"{table}.{rule}", Kind.RULE_ELSEWHERE, "none that uses our tables", f"uses {ours}", fix, why)


def functions(cursor: Any, words: Words) -> Iterator[Finding]:
    """A definer function that others may run, and whose owner can read our tables; or one in an untrusted language.

    Of one that is a trigger, whoever writes to the table runs it, with no right to call it.
    """
    cursor.execute(_FUNCTIONS, words)
    for name, owner, definer, callers, fired in cursor.fetchall():
        at = ObjectName.of("function", name)
        kind = Kind.DEFINER_ELSEWHERE if definer else Kind.UNTRUSTED_ELSEWHERE
        why = "it runs with its owner's rights, past every policy" if definer else "it may do whatever the server can"
        if callers:
            fix = Fix.by(Revoke(at, "EXECUTE", f"ROUTINE {name}", tuple(callers)))
            found = f"of {owner}, called by {', '.join(callers)}"
            yield unsafe(name, kind, "called by nobody else", found, fix, why)
        for table, trigger, writers in fired:
            fix = Fix.by(RunSQL(at, f"ALTER FUNCTION {name} SECURITY INVOKER"), advice="if nobody counts on it")
            if not definer:
                fix = Fix.by(DropTrigger(ObjectName.of("trigger", f"{table}.{trigger}")), advice="if nobody needs it")
            found = f"{name} of {owner}, fired by {writers}"
            yield unsafe(f"{table}.{trigger}", kind, "nothing that others fire", found, fix, why)


def tables(cursor: Any, words: Words) -> Iterator[Finding]:
    """Tables elsewhere that belong to ours by inheritance, partition or foreign key."""
    cursor.execute(_CHILDREN, words)
    for name, parent, partition in cursor.fetchall():
        child, ours = ObjectName.of("table", name), ObjectName.of("table", parent)
        fix = Fix.by(Detach(ours, child) if partition else Disinherit(child, ours))
        why = "rows of the one are read through the other, and each has its own policies"
        yield unsafe(name, Kind.INHERITING_TABLE, "no heir of our tables", f"inherits {parent}", fix, why)
    cursor.execute(_FOREIGN_KEYS, words)
    for name, constraint, target in cursor.fetchall():
        fix = Fix.by(DropConstraint(ObjectName.of("table", name).has(constraint)))
        why = "whoever writes there learns which rows of ours exist, and may keep them from being deleted"
        yield unsafe(f"{name}.{constraint}", Kind.FOREIGN_KEY_ELSEWHERE, "none to our tables", f"to {target}", fix, why)


def copies(cursor: Any, words: Words) -> Iterator[Finding]:
    """Tables elsewhere with the columns of one of ours, that are not closed."""
    cursor.execute(_COPIES, words)
    for name, kind, original, shared, secured, readers in cursor.fetchall():
        found = f"{shared} columns of {original}, row security {'on' if secured else 'off'}"
        found += f", granted to {', '.join(readers)}" if readers else ""
        at = ObjectName.of("table", name)
        closing = [Revoke(at, "ALL", name, tuple(readers))] if readers else []
        fix = Fix.by(*closing, *([] if secured else [SetRowSecurity(at)]))
        if kind == "f":
            fix = Fix.by(Drop(at, "FOREIGN TABLE"), advice="a foreign table has no row security; if nobody needs it")
        yield unsafe(name, Kind.COPY_ELSEWHERE, "closed, or no copy of our rows", found, fix, _COPY)


def grants(cursor: Any, words: Words) -> Iterator[Finding]:
    """What our roles own, or were granted, outside of our schemas."""
    cursor.execute(_GRANTS, words)
    for role, owns, kind, identity, relation, column in cursor.fetchall():
        at = ObjectName("", part=identity)
        if owns:
            fix = Fix(advice=f"give it to another owner, or drop it: {kind} {identity}")
            why = "an owner may do anything to it, and whoever acts in the role is that owner"
            yield unsafe(identity, Kind.OWNED_BY_ROLE, "nothing", f"{kind} of {role}", fix, why)
            continue
        if kind == "default acl":
            where, _, what = identity.rpartition(" on ")
            text = f"ALTER DEFAULT PRIVILEGES {where} REVOKE ALL ON {what.upper()} FROM {role_sql(role)}"
            fix = Fix.by(RunSQL(at, text, narrows=True))
        else:
            what, on = (f" ({column})", relation) if column else ("", identity)
            fix = Fix.by(Revoke(at, f"ALL{what}", f"{_REVOKED.get(kind, kind.upper())} {on}", (role,)))
        why = "people hold it whenever they act in the role, and no policy of ours is asked"
        yield unsafe(identity, Kind.GRANT_ELSEWHERE, f"nothing to {role}", f"{kind} granted to {role}", fix, why)


def system_grants(cursor: Any, words: Words) -> Iterator[Finding]:
    """What others hold of PostgreSQL's own functions and tables since initdb; `grants` says what our roles do."""
    cursor.execute(_SYSTEM_GRANTS, words)
    for role, kind, identity, relation, column, rights in cursor.fetchall():
        listed = ", ".join(f"{right} ({column})" if column else right for right in rights)
        on = f"{_REVOKED.get(kind, kind.upper())} {relation or identity}"
        fix = Fix.by(Revoke(ObjectName("", part=identity), listed, on, (role,)), advice="as a superuser")
        why = "PostgreSQL withholds it: it leads to the server's files, to passwords or to values of every column"
        found = f"{', '.join(rights)} granted to {role}"
        yield unsafe(identity, Kind.GRANT_ELSEWHERE, f"nothing more to {role}", found, fix, why)


def publications(cursor: Any, words: Words) -> Iterator[Finding]:
    """A publication sends every row to whoever may subscribe; policies are not asked."""
    cursor.execute("SELECT to_regclass('pg_catalog.pg_publication_namespace') IS NOT NULL")
    (by_schema,) = cursor.fetchone()
    cursor.execute(_PUBLICATIONS.replace(":schemas", _PUBLISHED_SCHEMAS if by_schema else "NULL::text[]"), words)
    for name, everything, schemas, held in cursor.fetchall():
        what = [f"schema {schema}" for schema in schemas or ()]
        texts = [f"DROP TABLES IN SCHEMA {schema}" for schema in schemas or ()]
        if held:
            what += held
            texts.append(f"DROP TABLE {', '.join(held)}")
        at, publication = ObjectName("", part=name), compose("{n}", n=name)
        fix = Fix.by(*(RunSQL(at, f"ALTER PUBLICATION {publication} {text}") for text in texts))
        if everything:
            what, fix = ["all tables"], Fix.by(Drop(at, "PUBLICATION"))
        yield unsafe(name, Kind.PUBLICATION, "none of our tables", ", ".join(what), fix, "every row leaves, unasked")


QUESTIONS: tuple[Question, ...] = (views, rules, functions, tables, copies, grants, system_grants, publications)

_VIEW = "a view runs with its owner's rights, past every policy"
_COPY = "no policy of ours is asked for rows that stand somewhere else"
#: What REVOKE calls a kind of object that pg_identify_object names otherwise.
_REVOKED = {
    "view": "TABLE", "materialized view": "TABLE", "foreign table": "TABLE", "table column": "TABLE",
    "function": "ROUTINE", "procedure": "ROUTINE", "aggregate": "ROUTINE", "domain": "TYPE", "server": "FOREIGN SERVER",
    "foreign-data wrapper": "FOREIGN DATA WRAPPER",
}  # fmt: skip
_VIEWS = f"""
    WITH {OURS}
    SELECT c.oid::regclass::text, c.relkind::text, current_setting('server_version_num')::int < 150000,
           {others("c.relacl", "c.relowner", "SELECT")}
    FROM showing AS s JOIN pg_class AS c ON c.oid = s.oid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('v', 'm')
      -- One of public that nobody else may read is said by validation, or was adopted as the clinic's own.
      AND ({ELSEWHERE} OR cardinality({others("c.relacl", "c.relowner", "SELECT")}) > 0)
      AND (c.relkind = 'm' OR NOT EXISTS (SELECT FROM unnest(c.reloptions) AS o
                                          WHERE lower(o) IN ('security_invoker=true', 'security_invoker=on',
                                                             'security_invoker=yes', 'security_invoker=1')))
"""  # noqa: S608 - our own words
_RULES = f"""
    WITH {OURS}
    SELECT DISTINCT quote_ident(r.rulename), r.ev_class::regclass::text, s.oid::regclass::text
    FROM showing AS s
    JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid
                       AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite AS r ON r.oid = d.objid
    WHERE r.rulename <> '_RETURN' AND r.ev_class NOT IN (SELECT oid FROM ours)
"""  # noqa: S608 - our own words
# An owner can read our tables who owns one, holds a right on one, or is a superuser. What a function of SQL in its own
# form names stands in pg_depend. An aggregate calls its functions as its owner. Who writes to a table needs no right
# to call its triggers (bits of tgtype: src/include/catalog/pg_trigger.h).
_FUNCTIONS = f"""
    WITH {OURS}
    SELECT p.oid::regprocedure::text, pg_get_userbyid(p.proowner)::text, x.definer, x.callers, x.fired
    FROM pg_proc AS p
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    JOIN pg_language AS l ON l.oid = p.prolang
    JOIN pg_roles AS w ON w.oid = p.proowner
    CROSS JOIN LATERAL (
        SELECT p.prosecdef OR p.prokind = 'a' AND EXISTS (
                   SELECT FROM pg_depend AS d JOIN pg_proc AS f ON f.oid = d.refobjid AND f.prosecdef
                   WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
               ) AS definer,
               {others("coalesce(p.proacl, acldefault('f', p.proowner))", "p.proowner", "EXECUTE")} AS callers,
               ARRAY(
                   SELECT ARRAY[t.tgrelid::regclass::text, quote_ident(t.tgname), array_to_string(y.writers, ', ')]
                   FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
                   CROSS JOIN LATERAL (
                       SELECT ARRAY(
                           SELECT DISTINCT CASE h.grantee WHEN 0 THEN 'PUBLIC' ELSE g.rolname::text END
                           FROM (
                               SELECT a.* FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
                               UNION ALL
                               SELECT a.* FROM pg_attribute AS b CROSS JOIN aclexplode(b.attacl) AS a
                               WHERE b.attrelid = c.oid
                           ) AS h LEFT JOIN pg_roles AS g ON g.oid = h.grantee
                           WHERE h.grantee <> p.proowner AND NOT coalesce(g.rolsuper, false)
                             AND coalesce(g.rolname, '') <> ALL (%(known)s)
                             AND t.tgtype & CASE h.privilege_type WHEN 'INSERT' THEN 4 WHEN 'DELETE' THEN 8
                                                 WHEN 'UPDATE' THEN 16 WHEN 'TRUNCATE' THEN 32 ELSE 0 END <> 0
                           ORDER BY 1) AS writers
                   ) AS y
                   WHERE t.tgfoid = p.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND cardinality(y.writers) > 0
                   ORDER BY 1) AS fired
    ) AS x
    WHERE p.oid >= {FIRST_OID} AND {ELSEWHERE} AND n.nspname <> 'auth'  -- `strangers` looks there
      AND (x.definer OR NOT l.lanpltrusted AND p.prokind <> 'a')
      AND w.rolname <> ALL (%(known)s) AND NOT {is_of_extension("pg_proc", "p.oid")}
      AND cardinality(x.callers) + cardinality(x.fired) > 0
      AND (NOT l.lanpltrusted AND p.prokind <> 'a' OR w.rolsuper
           OR EXISTS (SELECT FROM ours AS t WHERE pg_has_role(p.proowner, t.relowner, 'USAGE')
                      OR has_any_column_privilege(p.proowner, t.oid, 'SELECT, INSERT, UPDATE')
                      OR has_table_privilege(p.proowner, t.oid, 'DELETE, TRUNCATE'))
           OR EXISTS (SELECT FROM pg_depend AS d JOIN showing AS s ON s.oid = d.refobjid
                      WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                        AND d.refclassid = 'pg_class'::regclass))
"""  # noqa: S608 - our own words
_CHILDREN = f"""
    WITH {OURS}
    SELECT c.oid::regclass::text, i.inhparent::regclass::text, c.relispartition
    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent IN (SELECT oid FROM ours) AND c.relkind IN ('r', 'p', 'f')
      AND i.inhrelid NOT IN (SELECT oid FROM ours)
"""  # noqa: S608 - our own words
_FOREIGN_KEYS = f"""
    WITH {OURS}
    SELECT k.conrelid::regclass::text, k.conname::text, k.confrelid::regclass::text
    FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE k.contype = 'f' AND k.confrelid IN (SELECT oid FROM ours) AND {ELSEWHERE}
"""  # noqa: S608 - our own words
# Told by names of columns: most of ours, or hardly any others, and two at least that few of our tables have.
_COPIES = f"""
    WITH {OURS}, column_of AS (
        SELECT t.oid, t.relname, a.attname, count(*) OVER (PARTITION BY a.attname) <= 3 AS is_rare,
               count(*) OVER (PARTITION BY t.oid) AS total
        FROM ours AS t JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    ), compared AS (
        SELECT c.oid, c.relname, k.relname AS original, k.total, count(*) AS shared,
               count(*) FILTER (WHERE k.is_rare) AS rare,
               (SELECT count(*) FROM pg_attribute AS b WHERE b.attrelid = c.oid AND b.attnum > 0
                  AND NOT b.attisdropped) AS columns
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        JOIN pg_roles AS w ON w.oid = c.relowner
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN column_of AS k ON k.attname = a.attname
        WHERE c.relkind IN ('r', 'p', 'f') AND c.oid >= {FIRST_OID} AND {ELSEWHERE}
          AND w.rolname <> ALL (%(known)s) AND NOT {is_of_extension("pg_class", "c.oid")}
        GROUP BY c.oid, c.relname, k.oid, k.relname, k.total
    )
    SELECT DISTINCT ON (c.oid) c.oid::regclass::text, c.relkind::text, p.original, p.shared, c.relrowsecurity, readers
    FROM compared AS p JOIN pg_class AS c ON c.oid = p.oid
    CROSS JOIN LATERAL (SELECT {others("c.relacl", "c.relowner")} AS readers) AS x
    WHERE p.shared >= 3 AND (p.shared >= 0.6 * p.total OR p.shared >= 0.8 * p.columns)
      AND (p.rare >= 2 OR p.relname = p.original)
      AND (NOT c.relrowsecurity OR cardinality(readers) > 0)
    ORDER BY c.oid, p.shared DESC, p.original
"""  # noqa: S608 - our own words
_GRANTS = """
    SELECT DISTINCT r.rolname::text, s.deptype = 'o', i.type, i.identity,
           CASE WHEN s.objsubid > 0 THEN s.objid::regclass::text ELSE '' END,
           coalesce((SELECT quote_ident(a.attname) FROM pg_attribute AS a
                     WHERE s.classid = 'pg_class'::regclass AND a.attrelid = s.objid AND a.attnum = s.objsubid
                       AND s.objsubid > 0), '')
    FROM pg_shdepend AS s
    JOIN pg_roles AS r ON r.oid = s.refobjid
    CROSS JOIN LATERAL pg_identify_object(s.classid, s.objid, s.objsubid) AS i
    WHERE s.refclassid = 'pg_authid'::regclass AND r.rolname = ANY (%(roles)s) AND s.deptype IN ('a', 'o')
      AND (s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
           OR s.dbid = 0 AND s.classid = 'pg_database'::regclass
              AND s.objid = (SELECT oid FROM pg_database WHERE datname = current_database()))
      AND coalesce(i.schema, '') NOT IN ('public', 'app')
      AND NOT (i.type = 'schema' AND i.identity IN ('public', 'app'))
      AND NOT (i.type = 'default acl' AND i.identity ~ ' in schema (public|app) on ')
"""
# What was granted of PostgreSQL's own since initdb (pg_init_privs) to PUBLIC, a platform's requests and logins; of
# functions to logins those that lead to files: pg_switch_wal() and its kin are what tools for backups use. What our
# roles hold stands above.
_SYSTEM_GRANTS = f"""
    WITH {OURS}, system AS (
        SELECT 'pg_proc'::regclass AS class, p.oid, 0 AS part, p.proname AS name, p.pronamespace AS schema,
               p.proacl AS acl, acldefault('f', p.proowner) AS usual
        FROM pg_proc AS p
        UNION ALL
        SELECT 'pg_class'::regclass, c.oid, 0, '', c.relnamespace, c.relacl,
               acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)
        FROM pg_class AS c
        UNION ALL
        SELECT 'pg_class'::regclass, c.oid, a.attnum, '', c.relnamespace, a.attacl, acldefault('c', c.relowner)
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        UNION ALL
        SELECT 'pg_namespace'::regclass, n.oid, 0, '', n.oid, n.nspacl, acldefault('n', n.nspowner)
        FROM pg_namespace AS n
    ), given AS (
        SELECT s.class, s.oid, s.part, s.name, coalesce(g.rolname::text, 'PUBLIC') AS grantee, x.grantee AS role,
               x.privilege_type AS privilege
        FROM system AS s
        CROSS JOIN aclexplode(s.acl) AS x
        LEFT JOIN pg_init_privs AS i ON i.classoid = s.class AND i.objoid = s.oid AND i.objsubid = s.part
        LEFT JOIN pg_roles AS g ON g.oid = x.grantee
        WHERE s.schema IN ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace)
          AND NOT EXISTS (SELECT FROM aclexplode(coalesce(i.initprivs, s.usual)) AS b
                          WHERE b.grantee IN (0, x.grantee) AND b.privilege_type = x.privilege_type)
    )
    SELECT g.grantee, i.type, i.identity, CASE WHEN g.part > 0 THEN g.oid::regclass::text ELSE '' END,
           CASE WHEN g.part > 0 THEN (SELECT quote_ident(a.attname) FROM pg_attribute AS a
                                      WHERE a.attrelid = g.oid AND a.attnum = g.part) ELSE '' END,
           array_agg(DISTINCT g.privilege)
    FROM given AS g CROSS JOIN LATERAL pg_identify_object(g.class, g.oid, g.part) AS i
    WHERE g.role = 0 OR g.grantee = ANY (%(platform)s)
       OR (g.class <> 'pg_proc'::regclass OR g.name ~ '{FILE_FUNCTIONS}')
          AND g.grantee <> ALL (%(roles)s) AND cardinality({members("g.role", but=AS_OWNER)}) > 0
    GROUP BY 1, 2, 3, 4, 5
"""  # noqa: S608 - our own words
_PUBLISHED_SCHEMAS = """ARRAY(
        SELECT n.pnnspid::regnamespace::text FROM pg_publication_namespace AS n
        WHERE n.pnpubid = p.oid AND n.pnnspid IN (to_regnamespace('public'), to_regnamespace('app')) ORDER BY 1)"""
_PUBLICATIONS = f"""
    WITH {OURS}
    SELECT * FROM (
        SELECT p.pubname::text, p.puballtables, :schemas AS schemas,
               ARRAY(SELECT r.prrelid::regclass::text FROM pg_publication_rel AS r
                     WHERE r.prpubid = p.oid AND r.prrelid IN (SELECT oid FROM ours) ORDER BY 1) AS tables
        FROM pg_publication AS p
    ) AS found
    WHERE puballtables OR cardinality(tables) > 0 OR cardinality(schemas) > 0
"""  # noqa: S608 - our own words
