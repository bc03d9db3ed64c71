"""What depends on columns and constraints that are to change: set aside, and put back as it was, in one transaction.

PostgreSQL changes no column's type while a view, a rule, a policy, a trigger, a generated column or the body of an SQL
function names it, and drops no constraint that a foreign key stands on. `pg_depend` knows them all, and what depends on
them in turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db import catalog
from moeen.db.actions import Action, Lock
from moeen.db.names import ObjectName
from moeen.db.sql import fragment


@dataclass(frozen=True)
class Dependent:
    """One object. ``drop`` takes it away, ``create`` makes it again with owner, grants, comment and what is on it."""

    name: str
    drop: str
    create: tuple[str, ...]
    #: Whether making it again reads or writes a table through.
    reads: bool = False
    #: A query that fails where it could not be made again for what rows hold.
    trial: str = ""


def of_columns(connection: BaseDatabaseWrapper, table: catalog.Table, columns: Iterable[str]) -> list[Dependent]:
    """What keeps these columns from changing their type, in the order in which it is taken away."""
    return _found(connection, table, _COLUMNS, list(columns))


def of_constraints(connection: BaseDatabaseWrapper, table: catalog.Table, names: Iterable[str]) -> list[Dependent]:
    """What keeps these constraints from being dropped, in the order in which it is taken away."""
    return _found(connection, table, _CONSTRAINTS, list(names))


def is_marked(connection: BaseDatabaseWrapper, table: catalog.Table, constraint: str) -> bool:
    """Whether the table's replica identity is this constraint's index, or its rows are ordered by it (CLUSTER ON)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT EXISTS (SELECT FROM pg_constraint AS k JOIN pg_index AS i ON i.indexrelid = k.conindid
                              WHERE k.conrelid = %s AND k.conname = %s AND i.indrelid = k.conrelid
                                AND (i.indisreplident OR i.indisclustered))""",
            [table.oid, constraint],
        )
        (marked,) = cursor.fetchone()
    return bool(marked)


def of_rows(connection: psycopg.Connection[Any], table: str) -> list[Dependent]:
    """What each row of a table of schema public is checked against or entered in, with the foreign keys of empty tables
    that stand on its indexes; an index that another one stands on stays. ``table``: its name. Set aside while many are
    written, it is made of all at once."""
    with connection.cursor() as cursor:
        cursor.execute(fragment(_ROWS), {"table": f'public."{table}"'})
        return [Dependent(name, drop, tuple(create), reads) for name, drop, create, reads in cursor.fetchall()]


def around(table: ObjectName, actions: Sequence[Action], dependents: Sequence[Dependent]) -> tuple[Action, ...]:
    """The actions on the table with these set aside before and put back after."""
    asides = [SetAside(table, object=it.name, sql=it.drop) for it in dependents]
    backs = [PutBack(table, object=it.name, sqls=it.create, reads=it.reads) for it in reversed(dependents)]
    return (*asides, *actions, *backs)


def ways_round(actions: Iterable[Action]) -> dict[str, str]:
    """Statement -> what its owner may do where it fails, for those that set something aside and put it back."""
    drops = {action.object: action.sql for action in actions if isinstance(action, SetAside)}
    ways: dict[str, str] = {}
    for action in actions:
        if isinstance(action, PutBack) and action.object in drops:
            way = (
                f"before migrate: {drops[action.object]}; after it make {action.object} anew, in a form that fits; "
                f"today it is: {' '.join(action.sqls[0].split())}"
            )
            ways |= dict.fromkeys((drops[action.object], *action.sqls), way)
    return ways


@dataclass(frozen=True)
class SetAside(Action):
    """What depends on the table is dropped, to be put back in the same transaction."""

    object: str
    sql: str

    @property
    def lock(self) -> Lock:
        return Lock.ACCESS_EXCLUSIVE

    def statements(self) -> tuple[str, ...]:
        return (self.sql,)


@dataclass(frozen=True)
class PutBack(Action):
    """It is made again, as it was. ``reads``: from the rows of the table, under whose lock that happens."""

    object: str
    sqls: tuple[str, ...]
    reads: bool

    @property
    def lock(self) -> Lock:
        return Lock.ACCESS_EXCLUSIVE

    @property
    def scans(self) -> bool:
        return self.reads

    def statements(self) -> tuple[str, ...]:
        return self.sqls


def _found(connection: BaseDatabaseWrapper, table: catalog.Table, start: str, names: list[str]) -> list[Dependent]:
    if not table.oid or not names:
        return []  # planned without a database
    with connection.cursor() as cursor:
        cursor.execute(_QUERY.replace("{start}", start), {"table": table.oid, "names": names})
        return [Dependent(name, drop, tuple(create), *rest) for name, drop, create, *rest in cursor.fetchall()]


_COLUMNS = """SELECT 'pg_class'::regclass::oid, attrelid, attnum::int FROM pg_attribute
              WHERE attrelid = %(table)s AND attname = ANY (%(names)s)"""
_CONSTRAINTS = """SELECT 'pg_constraint'::regclass::oid, oid, 0 FROM pg_constraint
                  WHERE conrelid = %(table)s AND conname = ANY (%(names)s)
                  UNION ALL SELECT 'pg_class'::regclass::oid, conindid, 0 FROM pg_constraint
                  WHERE conrelid = %(table)s AND conname = ANY (%(names)s)
                    -- A foreign key's is the index of the table that it refers to.
                    AND contype IN ('p', 'u', 'x')"""

# What makes a part of an object again, as an array of statements.
_FIRING = """
        ARRAY[pg_get_{word}def({a}.oid)]
        || CASE {a}.{enabled} WHEN 'O' THEN ARRAY[]::text[]
           ELSE ARRAY[format('ALTER TABLE %%s %%s {word} %%I', {a}.{table}::regclass,
                             CASE {a}.{enabled} WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
                                                ELSE 'ENABLE ALWAYS' END, {a}.{name})] END
        || ARRAY(SELECT format('COMMENT ON {word} %%I ON %%s IS %%L', {a}.{name}, {a}.{table}::regclass, x)
                 FROM obj_description({a}.oid, '{catalog}') AS x WHERE x IS NOT NULL)"""
_PARTS = {
    "rule": _FIRING.format(
        word="RULE", a="w", enabled="ev_enabled", table="ev_class", name="rulename", catalog="pg_rewrite"
    ),
    "trigger": _FIRING.format(
        word="TRIGGER", a="t", enabled="tgenabled", table="tgrelid", name="tgname", catalog="pg_trigger"
    ),
    "constraint": """
        ARRAY[format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', k.conrelid::regclass, k.conname,
                     pg_get_constraintdef(k.oid))]
        || ARRAY(SELECT format('COMMENT ON CONSTRAINT %%I ON %%s IS %%L', k.conname, k.conrelid::regclass, x)
                 FROM obj_description(k.oid, 'pg_constraint') AS x WHERE x IS NOT NULL)""",
    "index": """
        CASE WHEN k.oid IS NULL THEN ARRAY[pg_get_indexdef(i.indexrelid)] ELSE {constraint} END
        || ARRAY(SELECT format('COMMENT ON INDEX %%s IS %%L', i.indexrelid::regclass, x)
                 FROM obj_description(i.indexrelid, 'pg_class') AS x WHERE x IS NOT NULL)
        || ARRAY(SELECT format('ALTER INDEX %%s ALTER COLUMN %%s SET STATISTICS %%s', i.indexrelid::regclass, x.attnum,
                               x.attstattarget)
                 FROM pg_attribute AS x WHERE x.attrelid = i.indexrelid AND x.attstattarget >= 0)
        || ARRAY(SELECT format('ALTER TABLE %%s CLUSTER ON %%I', i.indrelid::regclass, x.relname)
                 FROM pg_class AS x WHERE x.oid = i.indexrelid AND i.indisclustered)
        || ARRAY(SELECT format('ALTER TABLE %%s REPLICA IDENTITY USING INDEX %%I', i.indrelid::regclass, x.relname)
                 FROM pg_class AS x WHERE x.oid = i.indexrelid AND i.indisreplident)""",
    "column": """
        ARRAY(SELECT format('ALTER TABLE %%s ALTER COLUMN %%I SET %%s', a.attrelid::regclass, a.attname, x)
              FROM (VALUES (CASE WHEN a.attstattarget >= 0 THEN 'STATISTICS ' || a.attstattarget END),
                           (CASE WHEN a.attstorage <> y.typstorage
                                 THEN 'STORAGE ' || CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
                                                                      WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END),
                           (CASE a.attcompression WHEN 'p' THEN 'COMPRESSION pglz' WHEN 'l' THEN 'COMPRESSION lz4' END),
                           ('(' || array_to_string(a.attoptions, ', ') || ')')) AS _ (x) WHERE x IS NOT NULL)""",
    "statistics": """
        ARRAY[pg_get_statisticsobjdef(s.oid)]
        || ARRAY(SELECT format('ALTER STATISTICS %%s SET STATISTICS %%s', x, s.stxstattarget)
                 FROM format('%%s.%%I', s.stxnamespace::regnamespace, s.stxname) AS x WHERE s.stxstattarget >= 0)
        || ARRAY(SELECT format('COMMENT ON STATISTICS %%s.%%I IS %%L', s.stxnamespace::regnamespace, s.stxname, x)
                 FROM obj_description(s.oid, 'pg_statistic_ext') AS x WHERE x IS NOT NULL)""",
}
_PARTS["index"] = _PARTS["index"].replace("{constraint}", _PARTS["constraint"])

# What `pg_get_constraintdef` does not tell (storage parameters, a tablespace) leaves an index where it stands.
_ROWS = r"""
    WITH foreign_key AS (
        SELECT k.* FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
        WHERE k.contype = 'f' AND k.convalidated AND k.conparentid = 0
          AND (k.conrelid = %(table)s::regclass OR k.confrelid = %(table)s::regclass AND c.relkind = 'r'
               AND pg_relation_size(c.oid) = 0 AND pg_has_role(c.relowner, 'USAGE'))
          AND NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgconstraint = k.oid AND t.tgenabled <> 'O')
    )
    SELECT 'foreign key ' || k.conname, format('ALTER TABLE %%s DROP CONSTRAINT %%I', k.conrelid::regclass, k.conname),
           {constraint}, true
    FROM foreign_key AS k
    UNION ALL
    SELECT 'index ' || i.indexrelid::regclass,
           CASE WHEN k.oid IS NULL THEN format('DROP INDEX %%s', i.indexrelid::regclass)
                ELSE format('ALTER TABLE %%s DROP CONSTRAINT %%I', k.conrelid::regclass, k.conname) END,
           {index}, true
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    LEFT JOIN pg_constraint AS k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
    WHERE i.indrelid = %(table)s::regclass AND i.indisvalid AND NOT c.relispartition
      AND c.reloptions IS NULL AND c.reltablespace = 0
      AND NOT EXISTS (SELECT FROM pg_constraint AS f WHERE f.contype = 'f' AND f.conindid = i.indexrelid
                      AND f.oid NOT IN (SELECT oid FROM foreign_key))
      -- A view that groups by the key and shows other columns.
      AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.refclassid = 'pg_constraint'::regclass AND d.refobjid = k.oid
                      AND d.deptype = 'n')
"""
# The walk: what depends on an object, as the object that can be dropped and made anew: a view for its rule, a column
# for its generating expression. Depth sorts it, the farthest first. PostgreSQL itself sees to indexes and checks of the
# column, and to foreign keys of the column where the index behind them stays. Statistics, and the expressions of an
# index, lose their target when it makes them anew.
_QUERY = r"""
    WITH RECURSIVE start (classid, objid, objsubid) AS ({start}),
    reached (classid, objid, objsubid, depth) AS (
        SELECT s.*, 0 FROM start AS s
        UNION
        SELECT unit.classid, unit.objid, unit.objsubid, r.depth + 1
        FROM reached AS r
        JOIN pg_depend AS d ON d.refclassid = r.classid AND d.refobjid = r.objid
             AND (r.objsubid = 0 OR d.refobjsubid = r.objsubid)
             -- The row type of a view goes with it, and so does the array of that.
             AND (d.deptype IN ('n', 'a') OR d.deptype = 'i' AND d.classid = 'pg_type'::regclass AND r.depth > 0)
        LEFT JOIN pg_rewrite AS w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid AND w.rulename = '_RETURN'
        LEFT JOIN pg_attrdef AS f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
        LEFT JOIN pg_attribute AS a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated <> ''
        LEFT JOIN pg_constraint AS k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
        LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
        CROSS JOIN LATERAL (
            SELECT 'pg_class'::regclass::oid AS classid, w.ev_class AS objid, 0 AS objsubid WHERE w.oid IS NOT NULL
            UNION ALL SELECT 'pg_class'::regclass, a.attrelid, a.attnum::int WHERE a.attrelid IS NOT NULL
            UNION ALL SELECT d.classid, d.objid, 0
            WHERE d.classid IN ('pg_policy'::regclass, 'pg_trigger'::regclass, 'pg_proc'::regclass,
                                'pg_statistic_ext'::regclass)
               OR d.classid = 'pg_type'::regclass AND d.deptype = 'i'
               OR d.classid = 'pg_rewrite'::regclass AND w.oid IS NULL
               -- A foreign key on an index that is to go; on a column it stays.
               OR k.contype = 'f' AND r.objsubid = 0
               -- An index goes and comes with its generated column.
               OR c.relkind = 'i' AND r.depth > 0
        ) AS unit
        WHERE r.depth < 250 AND (unit.classid, unit.objid, unit.objsubid) NOT IN (SELECT * FROM start)
    ), unit AS (
        SELECT classid, objid, objsubid, max(depth) AS depth FROM reached WHERE depth > 0 GROUP BY 1, 2, 3
    ), relation AS (
        SELECT u.*, c.relkind, c.oid::regclass::text AS name, c.relowner, c.relacl, c.reloptions, c.relispopulated,
               CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END AS word
        FROM unit AS u JOIN pg_class AS c ON u.classid = 'pg_class'::regclass AND c.oid = u.objid
        WHERE u.objsubid = 0 AND c.relkind IN ('v', 'm')
    )
    SELECT name, dropped, created, reads, coalesce(trial, '') FROM (
        SELECT depth, objid, objsubid, lower(word) || ' ' || name AS name,
               format('DROP %%s %%s', word, name) AS dropped,
               ARRAY[format('CREATE %%s %%s (%%s)%%s AS %%s%%s', word, name,
                            (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
                             WHERE attrelid = objid AND attnum > 0 AND NOT attisdropped),
                            ' WITH (' || array_to_string(reloptions, ', ') || ')',
                            rtrim(pg_get_viewdef(objid), '; '),
                            CASE WHEN relkind = 'm' AND NOT relispopulated THEN ' WITH NO DATA' END)]
               || ARRAY(SELECT format('REVOKE ALL ON %%s FROM %%s', name, who) FROM (
                            SELECT DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(g.rolname) END AS who
                            FROM pg_default_acl AS d CROSS JOIN aclexplode(d.defaclacl) AS x
                            LEFT JOIN pg_roles AS g ON g.oid = x.grantee
                            WHERE d.defaclobjtype = 'r' AND d.defaclrole = (SELECT oid FROM pg_roles
                                                                            WHERE rolname = current_user)
                              AND x.grantee <> d.defaclrole) AS given)
               || ARRAY(SELECT format('REVOKE %%s ON %%s FROM CURRENT_USER', d.privilege_type, name)
                        FROM aclexplode(acldefault('r', relowner)) AS d
                        WHERE relacl IS NOT NULL AND d.privilege_type NOT IN (
                            SELECT x.privilege_type FROM aclexplode(relacl) AS x WHERE x.grantee = relowner))
               || ARRAY(SELECT format('GRANT %%s ON %%s TO %%s%%s', x.privilege_type, name,
                                      CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(g.rolname) END,
                                      CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' END)
                        FROM aclexplode(relacl) AS x LEFT JOIN pg_roles AS g ON g.oid = x.grantee
                        WHERE x.grantee <> relowner)
               || ARRAY(SELECT format('GRANT %%s (%%I) ON %%s TO %%s%%s', x.privilege_type, t.attname, name,
                                      CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(g.rolname) END,
                                      CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' END)
                        FROM pg_attribute AS t CROSS JOIN aclexplode(t.attacl) AS x
                        LEFT JOIN pg_roles AS g ON g.oid = x.grantee
                        WHERE t.attrelid = objid AND x.grantee <> relowner)
               || ARRAY(SELECT format('COMMENT ON %%s %%s IS %%L', word, name, t)
                        FROM obj_description(objid, 'pg_class') AS t WHERE t IS NOT NULL)
               || ARRAY(SELECT format('COMMENT ON COLUMN %%s.%%I IS %%L', name, attname, col_description(objid, attnum))
                        FROM pg_attribute WHERE attrelid = objid AND col_description(objid, attnum) IS NOT NULL)
               || ARRAY(SELECT format('ALTER VIEW %%s ALTER COLUMN %%I SET DEFAULT %%s', name, a.attname,
                                      pg_get_expr(f.adbin, f.adrelid))
                        FROM pg_attrdef AS f JOIN pg_attribute AS a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
                        WHERE f.adrelid = objid)
               || ARRAY(SELECT unnest({column}) FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = a.atttypid
                        WHERE a.attrelid = objid AND a.attnum > 0 AND NOT a.attisdropped AND relkind = 'm')
               || ARRAY(SELECT unnest({rule}) FROM pg_rewrite AS w WHERE w.ev_class = objid AND w.rulename <> '_RETURN')
               || ARRAY(SELECT unnest({trigger}) FROM pg_trigger AS t WHERE t.tgrelid = objid AND NOT t.tgisinternal)
               || ARRAY(SELECT unnest({index}) FROM pg_index AS i LEFT JOIN pg_constraint AS k ON false
                        WHERE i.indrelid = objid)
               || ARRAY(SELECT format('ALTER %%s %%s OWNER TO %%I', word, name, r.rolname) FROM pg_roles AS r
                        WHERE r.oid = relowner AND r.rolname <> current_user) AS created,
               relkind = 'm' AND relispopulated AS reads,
               CASE WHEN relkind = 'm' AND relispopulated
                    THEN format('SELECT count(filled.*) FROM (SELECT * FROM (%%s) AS it OFFSET 0) AS filled',
                                rtrim(pg_get_viewdef(objid), '; ')) END AS trial
        FROM relation
        UNION ALL
        SELECT u.depth, u.objid, 0, format('rule %%I on %%s', w.rulename, w.ev_class::regclass),
               format('DROP RULE %%I ON %%s', w.rulename, w.ev_class::regclass),
               {rule}, false, NULL
        FROM unit AS u JOIN pg_rewrite AS w ON u.classid = 'pg_rewrite'::regclass AND w.oid = u.objid
        WHERE NOT EXISTS (SELECT FROM relation AS v WHERE v.objid = w.ev_class)
        UNION ALL
        SELECT u.depth, u.objid, 0, format('policy %%I on %%s', p.polname, p.polrelid::regclass),
               format('DROP POLICY %%I ON %%s', p.polname, p.polrelid::regclass),
               ARRAY[format('CREATE POLICY %%I ON %%s AS %%s FOR %%s TO %%s%%s%%s', p.polname, p.polrelid::regclass,
                            CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                            CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                                          WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                            (SELECT string_agg(CASE x WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x)) END,
                                               ', ') FROM unnest(p.polroles) AS x),
                            ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
                            ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')]
               || ARRAY(SELECT format('COMMENT ON POLICY %%I ON %%s IS %%L', p.polname, p.polrelid::regclass, t)
                        FROM obj_description(p.oid, 'pg_policy') AS t WHERE t IS NOT NULL), false, NULL
        FROM unit AS u JOIN pg_policy AS p ON u.classid = 'pg_policy'::regclass AND p.oid = u.objid
        UNION ALL
        SELECT u.depth, u.objid, 0, format('trigger %%I on %%s', t.tgname, t.tgrelid::regclass),
               format('DROP TRIGGER %%I ON %%s', t.tgname, t.tgrelid::regclass),
               {trigger}, false, NULL
        FROM unit AS u JOIN pg_trigger AS t ON u.classid = 'pg_trigger'::regclass AND t.oid = u.objid
        WHERE NOT t.tgisinternal AND NOT EXISTS (SELECT FROM relation AS v WHERE v.objid = t.tgrelid)
        UNION ALL
        SELECT u.depth, u.objid, 0, 'function ' || p.oid::regprocedure,
               format('DROP ROUTINE %%s', p.oid::regprocedure),
               ARRAY[pg_get_functiondef(p.oid), format('REVOKE ALL ON ROUTINE %%s FROM PUBLIC', p.oid::regprocedure)]
               || ARRAY(SELECT format('GRANT EXECUTE ON ROUTINE %%s TO %%s%%s', p.oid::regprocedure,
                                      CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(g.rolname) END,
                                      CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' END)
                        FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS x
                        LEFT JOIN pg_roles AS g ON g.oid = x.grantee WHERE x.grantee <> p.proowner)
               || ARRAY(SELECT format('REVOKE ALL ON ROUTINE %%s FROM CURRENT_USER', p.oid::regprocedure)
                        WHERE p.proacl IS NOT NULL AND p.proowner NOT IN (SELECT grantee FROM aclexplode(p.proacl)))
               || ARRAY(SELECT format('COMMENT ON ROUTINE %%s IS %%L', p.oid::regprocedure, t)
                        FROM obj_description(p.oid, 'pg_proc') AS t WHERE t IS NOT NULL)
               || ARRAY(SELECT format('ALTER ROUTINE %%s OWNER TO %%I', p.oid::regprocedure, r.rolname)
                        FROM pg_roles AS r WHERE r.oid = p.proowner AND r.rolname <> current_user), false, NULL
        FROM unit AS u JOIN pg_proc AS p ON u.classid = 'pg_proc'::regclass AND p.oid = u.objid
        UNION ALL
        SELECT u.depth, u.objid, 0, format('statistics %%I', s.stxname),
               format('DROP STATISTICS %%s.%%I', s.stxnamespace::regnamespace, s.stxname), {statistics}, false, NULL
        FROM unit AS u JOIN pg_statistic_ext AS s ON u.classid = 'pg_statistic_ext'::regclass AND s.oid = u.objid
        UNION ALL
        SELECT DISTINCT 0, x.attrelid, x.attnum::int, 'index ' || x.attrelid::regclass,
               format('ALTER INDEX %%s ALTER COLUMN %%s SET STATISTICS -1', x.attrelid::regclass, x.attnum),
               ARRAY[format('ALTER INDEX %%s ALTER COLUMN %%s SET STATISTICS %%s', x.attrelid::regclass, x.attnum,
                            x.attstattarget)], false, NULL
        FROM start AS s
        JOIN pg_depend AS d ON (d.refclassid, d.refobjid, d.refobjsubid) = (s.classid, s.objid, s.objsubid)
        JOIN pg_index AS i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
        JOIN pg_attribute AS x ON x.attrelid = i.indexrelid AND x.attstattarget >= 0
        UNION ALL
        SELECT u.depth, u.objid, 0, format('foreign key %%I of %%s', k.conname, k.conrelid::regclass),
               format('ALTER TABLE %%s DROP CONSTRAINT %%I', k.conrelid::regclass, k.conname),
               {constraint}, true, NULL
        FROM unit AS u JOIN pg_constraint AS k ON u.classid = 'pg_constraint'::regclass AND k.oid = u.objid
        UNION ALL
        SELECT u.depth, u.objid, u.objsubid, format('generated column %%s.%%I', a.attrelid::regclass, a.attname),
               format('ALTER TABLE %%s DROP COLUMN %%I', a.attrelid::regclass, a.attname),
               ARRAY[format('ALTER TABLE %%s ADD COLUMN %%I %%s%%s GENERATED ALWAYS AS (%%s) %%s%%s',
                            a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
                            (SELECT format(' COLLATE %%I.%%I', n.nspname, l.collname) FROM pg_collation AS l
                             JOIN pg_namespace AS n ON n.oid = l.collnamespace JOIN pg_type AS y ON y.oid = a.atttypid
                             WHERE l.oid = a.attcollation AND a.attcollation <> y.typcollation),
                            pg_get_expr(f.adbin, f.adrelid),
                            CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END,
                            CASE WHEN a.attnotnull THEN ' NOT NULL' END)]
               || ARRAY(SELECT format('GRANT %%s (%%I) ON %%s TO %%s%%s', x.privilege_type, a.attname,
                                      a.attrelid::regclass,
                                      CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(g.rolname) END,
                                      CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' END)
                        FROM aclexplode(a.attacl) AS x LEFT JOIN pg_roles AS g ON g.oid = x.grantee)
               || ARRAY(SELECT format('COMMENT ON COLUMN %%s.%%I IS %%L', a.attrelid::regclass, a.attname, t)
                        FROM col_description(a.attrelid, a.attnum) AS t WHERE t IS NOT NULL)
               || {column}
               || ARRAY(SELECT unnest({index})
                        FROM pg_index AS i LEFT JOIN pg_constraint AS k ON k.conindid = i.indexrelid
                                                                       AND k.conrelid = i.indrelid
                        WHERE i.indrelid = a.attrelid AND EXISTS (
                            SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass
                              AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass
                              AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
                            UNION ALL SELECT FROM pg_depend AS d WHERE d.classid = 'pg_constraint'::regclass
                              AND d.objid = k.oid AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum))
               || ARRAY(SELECT unnest({constraint}) FROM pg_constraint AS k
                        WHERE k.conrelid = a.attrelid AND k.contype IN ('c', 'f') AND a.attnum = ANY (k.conkey)),
               a.attgenerated = 's', NULL
        FROM unit AS u JOIN pg_attribute AS a ON u.classid = 'pg_class'::regclass AND a.attrelid = u.objid
                                             AND a.attnum = u.objsubid
        JOIN pg_attrdef AS f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
        JOIN pg_type AS y ON y.oid = a.atttypid
        WHERE u.objsubid > 0
    ) AS object
    ORDER BY depth DESC, objid DESC, objsubid DESC
"""
for _part, _statements in _PARTS.items():
    _QUERY = _QUERY.replace(f"{{{_part}}}", _statements)
    _ROWS = _ROWS.replace(f"{{{_part}}}", _statements)
