"""What of the live database a restore of its backup could not bring back, found before there is anything to restore.

pg_restore works with an empty search path, loads tables one after the other, and adds keys at the end. So it fails on a
function that finds names by the path, on a check that reads rows which are not there yet, and on a key with orphans
(`orphans`). Some kinds of objects are beyond what a restore may run at all (backups/allowed.py). Nothing is run here
that the database's people wrote: bodies are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db import statements
from moeen.db.catalog import schemas
from moeen.db.findings import Finding, Fix, Severity
from moeen.db.kinds import Kind
from moeen.db.names import ObjectName
from moeen.db.schema import orphans
from moeen.db.sql import compose

#: Words after which the name of a table stands.
_BEFORE_TABLE = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE|ONLY|TABLE)$", re.IGNORECASE)


@dataclass(frozen=True)
class _Function:
    name: ObjectName
    body: str
    has_path: bool
    #: What PostgreSQL itself knows to be named in it: of a body that is parsed when it is made.
    calls: tuple[int, ...]
    reads: tuple[str, ...]


@dataclass(frozen=True)
class _Known:
    """The names of the database's own objects: name -> schema and name, as text."""

    functions: Mapping[str, list[int]]
    relations: Mapping[str, str]
    types: frozenset[str]


def findings(connection: BaseDatabaseWrapper, *, deep: bool = False) -> tuple[list[Finding], list[str]]:
    """What would fail, and the tables that were not looked through for orphans, being large. ``deep``: all are."""
    orphaned, large = orphans.findings(connection, deep=deep)
    return [*_by_functions(connection), *_unmade(connection), *_elsewhere(connection), *orphaned], large


def _ask(connection: BaseDatabaseWrapper, query: str | sql.Composed) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def _by_functions(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    uses = _ask(connection, _USES)
    if not uses:
        return
    functions = {
        oid: _Function(ObjectName(schema, "", name, arguments), body, has_path, tuple(calls), tuple(reads))
        for oid, schema, name, arguments, body, has_path, calls, reads in _ask(connection, _FUNCTIONS)
    }
    known = _known(connection, functions)
    for use, schema, relation, part, function in uses:
        user = ObjectName(schema, relation, part)
        for named, unfound, read in _followed(function, functions, known):
            if use in ("check", "generated column") and read:
                why = "a restore loads one table after the other: the rows that it reads may not be there yet"
                advice = "keep the rule by a trigger or a foreign key in its place"
                yield _finding(user, Kind.ROWS_READ_ON_RESTORE, "its own row alone", f"{named.pretty()} reads {read}",
                               advice, why)  # fmt: skip
                break
            if unfound:
                why = "a restore runs with an empty search path, and does not find that name"
                advice = compose(
                    "ALTER FUNCTION {f} SET search_path = {s}, pg_temp", f=named.identifier(), s=named.schema
                )
                yield _finding(user, Kind.NAME_LOST_ON_RESTORE, "names with their schemas",
                               f"{unfound} in {named.pretty()}, which this {use} runs", advice, why)  # fmt: skip
                break


def _unmade(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    for kind, name in _ask(connection, _UNMADE):
        named = ObjectName("", kind, name)
        why = "a restore runs nothing that reaches other servers or the server's memory, and goes without it: --salvage"
        advice = "keep how it is made, and leave it out of this database or make it by hand after a restore"
        yield _finding(named, Kind.MADE_BY_NO_RESTORE, "absent", "present", advice, why)


def _elsewhere(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    for kind, name, needed in _ask(connection, _ELSEWHERE):
        why = "a backup leaves out others' schemas; a restore stands in for their tables, functions, enums and domains"
        advice = "have one of your own in its place, in a schema that this role owns"
        named = ObjectName("", kind, name)
        yield _finding(named, Kind.MADE_BY_NO_RESTORE, "what a backup covers", f"it needs {needed}", advice, why)


def _finding(user: ObjectName, kind: Kind, expected: str, found: str, advice: str, why: str) -> Finding:
    return Finding(user.pretty(), kind, expected, found, Severity.UNSAFE, Fix(advice=advice), why, user)


def _known(connection: BaseDatabaseWrapper, functions: Mapping[int, _Function]) -> _Known:
    named: dict[str, list[int]] = {}
    for oid, function in functions.items():
        named.setdefault(function.name.part, []).append(oid)
    rows = _ask(connection, _NAMES)
    return _Known(
        named,
        {name: f"{schema}.{name}" for kind, schema, name in rows if kind == "relation"},
        frozenset(name for _, _, name in rows),
    )


def _followed(start: int, functions: Mapping[int, _Function], known: _Known) -> Iterator[tuple[ObjectName, str, str]]:
    """Of the function and of those it calls: its name, a name that only a path finds, and a table that it reads."""
    waiting, seen = [(start, False)], set()
    while waiting:
        oid, with_path = waiting.pop()
        function = functions.get(oid)
        if function is None or oid in seen:
            continue
        seen.add(oid)
        # What a function sets holds for those that it calls, too.
        with_path = with_path or function.has_path
        unfound, read, calls = _read(function, known)
        yield function.name, "" if with_path else unfound, read
        waiting += [(called, with_path) for called in (*function.calls, *calls)]


def _read(function: _Function, known: _Known) -> tuple[str, str, list[int]]:
    """A name without its schema that a path finds, a table that is read, and the functions that are called."""
    masks = {"text": "''", "body": "''", "comment": " ", "space": " "}
    text = "".join(masks.get(token.kind, token.text) for token in statements.tokens(function.body))
    unfound, read, calls = "", next(iter(function.reads), ""), []
    for path in re.finditer(statements.PATH, text):
        *schema, name = statements.parts_of(path[0])
        before, after = text[: path.start()][-20:].rstrip(), text[path.end() :][:20].lstrip()[:1]
        table = name in known.relations and after != "(" and _BEFORE_TABLE.search(before) is not None
        called = name in known.functions and after == "(" and not before.upper().endswith("INTO")
        typed = name in known.types and (before.endswith("::") or after == "%")
        if table:
            read = read or known.relations[name]
        if called:
            calls += known.functions[name]
        if not schema and (table or called or typed):
            unfound = unfound or name
    return unfound, read, calls


# Of what a restore computes: expressions of indexes, checks, generated columns, and materialized views.
_USES = """
    SELECT DISTINCT k.use, n.nspname::text, k.relation, k.part, d.refobjid::bigint
    FROM (
        SELECT 'pg_class'::regclass AS class, i.indexrelid AS oid, 'index' AS use, t.relnamespace AS namespace,
               t.relname::text AS relation, c.relname::text AS part
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
        UNION ALL
        SELECT 'pg_constraint'::regclass, k.oid, 'check', k.connamespace, coalesce(t.relname, y.typname)::text,
               k.conname::text
        FROM pg_constraint k LEFT JOIN pg_class t ON t.oid = k.conrelid LEFT JOIN pg_type y ON y.oid = k.contypid
        WHERE k.contype = 'c'
        UNION ALL
        SELECT 'pg_attrdef'::regclass, f.oid, 'generated column', t.relnamespace, t.relname::text, a.attname::text
        FROM pg_attrdef f JOIN pg_class t ON t.oid = f.adrelid
        JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum WHERE a.attgenerated = 's'
        UNION ALL
        SELECT 'pg_rewrite'::regclass, r.oid, 'materialized view', t.relnamespace, t.relname::text, ''
        FROM pg_rewrite r JOIN pg_class t ON t.oid = r.ev_class WHERE t.relkind = 'm'
    ) k
    JOIN pg_depend d ON d.classid = k.class AND d.objid = k.oid AND d.refclassid = 'pg_proc'::regclass
    JOIN pg_namespace n ON n.oid = k.namespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_depend e
                      WHERE e.classid = 'pg_proc'::regclass AND e.objid = d.refobjid AND e.deptype = 'e')
    ORDER BY 1, 2, 3, 4
"""
_FUNCTIONS = """
    SELECT p.oid::bigint, n.nspname::text, p.proname::text, pg_get_function_identity_arguments(p.oid),
           CASE WHEN l.lanname IN ('sql', 'plpgsql') THEN coalesce(p.prosrc, '') ELSE '' END,
           EXISTS (SELECT FROM unnest(p.proconfig) s WHERE s LIKE 'search\\_path=%'),
           ARRAY(SELECT d.refobjid::bigint FROM pg_depend d
                 WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass),
           ARRAY(SELECT d.refobjid::regclass::text FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid
                 WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass
                   AND d.refobjsubid > 0 AND c.relkind IN ('r', 'p', 'v', 'm'))
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_depend e
                      WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
    ORDER BY 1
"""
_NAMES = """
    SELECT CASE WHEN t.typrelid = 0 THEN 'type' ELSE 'relation' END, n.nspname::text, t.typname::text
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND t.typelem = 0 ORDER BY 2, 3
"""


def _of_schemas(query: LiteralString) -> sql.Composed:
    return sql.SQL(query).format(kept=sql.SQL(schemas.KEPT), known=sql.SQL(schemas.NOT_BUILT_IN))


# What pg_dump writes of a database's own, and no restore makes. Another's schemas are not in the backup.
_UNMADE = _of_schemas("""
    WITH ours AS (SELECT n.oid, n.nspname FROM pg_namespace n WHERE {known} AND {kept})
    SELECT k.kind, CASE WHEN k.namespace IS NULL THEN k.name
                        ELSE concat_ws('.', quote_ident(nullif(n.nspname, 'public')), quote_ident(k.name)) END
    FROM (
        SELECT 'pg_foreign_data_wrapper'::regclass AS class, oid, 'foreign data wrapper' AS kind,
               NULL::oid AS namespace, fdwname::text AS name
        FROM pg_foreign_data_wrapper
        UNION ALL SELECT 'pg_foreign_server'::regclass, oid, 'server', NULL, srvname::text FROM pg_foreign_server
        UNION ALL SELECT 'pg_class'::regclass, oid, 'foreign table', relnamespace, relname::text
                  FROM pg_class WHERE relkind = 'f'
        UNION ALL SELECT 'pg_proc'::regclass, p.oid, 'function in ' || l.lanname, p.pronamespace, p.proname::text
                  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
                  WHERE p.prokind <> 'a' AND l.lanname NOT IN ('sql', 'plpgsql')
        UNION ALL SELECT 'pg_proc'::regclass, p.oid, 'aggregate', p.pronamespace, p.proname::text
                  FROM pg_proc p JOIN pg_aggregate a ON a.aggfnoid = p.oid
                  WHERE 'internal'::regtype IN (a.aggtranstype, a.aggmtranstype)
        UNION ALL SELECT 'pg_proc'::regclass, oid, 'leakproof function', pronamespace, proname::text
                  FROM pg_proc WHERE proleakproof
        UNION ALL SELECT 'pg_type'::regclass, oid, 'type', typnamespace, typname::text
                  FROM pg_type WHERE typtype = 'b' AND typelem = 0 AND typisdefined
        UNION ALL SELECT 'pg_opclass'::regclass, oid, 'operator class', opcnamespace, opcname::text FROM pg_opclass
        UNION ALL SELECT 'pg_conversion'::regclass, oid, 'conversion', connamespace, conname::text FROM pg_conversion
        UNION ALL SELECT 'pg_ts_parser'::regclass, oid, 'text search parser', prsnamespace, prsname::text
                  FROM pg_ts_parser
        UNION ALL SELECT 'pg_ts_template'::regclass, oid, 'text search template', tmplnamespace, tmplname::text
                  FROM pg_ts_template
        UNION ALL SELECT 'pg_am'::regclass, oid, 'access method', NULL, amname::text FROM pg_am
        UNION ALL SELECT 'pg_cast'::regclass, oid, 'cast without function', NULL,
                         format('%s as %s', castsource::regtype, casttarget::regtype)
                  FROM pg_cast WHERE castmethod = 'b'
        UNION ALL SELECT 'pg_transform'::regclass, oid, 'transform', NULL, trftype::regtype::text FROM pg_transform
    ) k
    LEFT JOIN ours n ON n.oid = k.namespace
    WHERE k.oid >= 16384 AND (k.namespace IS NULL OR n.oid IS NOT NULL)
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = k.class AND e.objid = k.oid AND e.deptype = 'e')
    ORDER BY 1, 2
""")
# What stands in schemas that a backup covers and needs something of one that it leaves out, other than
# the tables, functions, enums and domains of which a restore makes stand-ins.
_ELSEWHERE = _of_schemas("""
    WITH space AS (
        SELECT n.oid, n.nspname, {kept} AS covered FROM pg_namespace n WHERE {known}
    ), needed AS (
        SELECT 'pg_type'::regclass AS class, t.oid, t.typnamespace AS namespace
        FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem
        WHERE coalesce(e.typtype, t.typtype) NOT IN ('e', 'd')
          AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid IN (t.typrelid, e.typrelid) AND c.relkind <> 'c')
        UNION ALL SELECT 'pg_class'::regclass, oid, relnamespace FROM pg_class WHERE relkind = 'S'
        UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace FROM pg_proc WHERE prokind <> 'f'
        UNION ALL SELECT 'pg_operator'::regclass, oid, oprnamespace FROM pg_operator
        UNION ALL SELECT 'pg_collation'::regclass, oid, collnamespace FROM pg_collation
        UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgnamespace FROM pg_ts_config
        UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictnamespace FROM pg_ts_dict
    )
    SELECT DISTINCT o.type, i.identity, k.identity
    FROM needed r
    JOIN space s ON s.oid = r.namespace AND NOT s.covered
    JOIN pg_depend d ON d.refclassid = r.class AND d.refobjid = r.oid AND d.deptype IN ('n', 'a')
    CROSS JOIN LATERAL pg_identify_object_as_address(d.classid, d.objid, d.objsubid) o
    CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) i
    CROSS JOIN LATERAL (
        SELECT f.type || ' ' || f.identity AS identity FROM pg_identify_object(r.class, r.oid, 0) f) k
    JOIN space c ON c.nspname = o.object_names[1] AND c.covered
    WHERE NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = r.class AND e.objid = r.oid AND e.deptype = 'e')
    ORDER BY 1, 2, 3
""")
