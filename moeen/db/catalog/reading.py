"""Every read of pg_catalog, returned as frozen dataclasses.

Definitions are PostgreSQL's own normal forms (``pg_get_expr``, ``pg_get_constraintdef``, ...), read with an empty
search path so that every name is qualified and the text does not depend on the session.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from moeen.db.catalog import neighbours

#: The schemas that are ours to describe. ``auth`` belongs to the platform where there is one.
SCHEMAS = ("public", "app")
#: Role -> its privileges as SQL writes them, with ``*`` where it may grant them on. PUBLIC is a role here.
Grants = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Column:
    """A column; ``collation`` is "" where the type has none or the database's default applies."""

    name: str
    type: str
    not_null: bool
    default: str
    collation: str
    generated: str
    identity: str
    comment: str
    grants: Grants = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Constraint:
    """A primary key ``p``, unique ``u``, foreign key ``f``, check ``c`` or exclusion ``x`` constraint."""

    name: str
    kind: str
    columns: tuple[str, ...]
    definition: str
    validated: bool
    deferrable: bool
    references: str = ""
    references_columns: tuple[str, ...] = ()
    on_delete: str = ""
    comment: str = ""
    enforced: bool = True  # False: a superuser switched the triggers behind a foreign key off


@dataclass(frozen=True)
class Index:
    """An index; ``definition`` is what follows ``USING``. ``constraint`` names the constraint it serves, if any."""

    name: str
    unique: bool
    definition: str
    valid: bool
    constraint: str
    comment: str = ""


@dataclass(frozen=True)
class Trigger:
    """A trigger that somebody made (not those behind constraints); ``enabled`` is ``tgenabled``."""

    name: str
    definition: str
    function: str
    enabled: str
    comment: str = ""


@dataclass(frozen=True)
class Policy:
    """A row security policy; an empty expression means that it has none."""

    name: str
    command: str
    permissive: bool
    roles: tuple[str, ...]
    using: str
    check: str
    comment: str = ""


@dataclass(frozen=True)
class Function:
    """A function or procedure, with everything that decides what it does and as whom."""

    schema: str
    name: str
    arguments: str
    result: str
    language: str
    volatility: str
    security_definer: bool
    settings: tuple[str, ...]
    body: str
    comment: str
    declared: str = ""  # the arguments with their defaults
    kind: str = "f"
    strict: bool = False
    leakproof: bool = False
    parallel: str = "u"
    owner: str = field(default="", compare=False)
    grants: Grants = field(default_factory=dict, compare=False)

    @property
    def signature(self) -> str:
        return f"{self.schema}.{self.name}({self.arguments})"


@dataclass(frozen=True)
class Table:
    """A relation with its parts, each keyed by name. ``kind`` is ``relkind``: r table, v view, p partitioned..."""

    oid: int = field(compare=False)
    schema: str
    name: str
    kind: str
    owner: str = field(compare=False)
    row_security: bool
    forced: bool
    comment: str
    columns: dict[str, Column]
    constraints: dict[str, Constraint]
    indexes: dict[str, Index]
    triggers: dict[str, Trigger]
    policies: dict[str, Policy]
    grants: Grants = field(default_factory=dict, compare=False)
    rules: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    persistence: str = "p"
    definition: str = ""  # of a view
    replica_identity: str = "d"
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Schema:
    """A schema of ours."""

    name: str
    owner: str
    comment: str
    grants: Grants


@dataclass(frozen=True)
class Sequence:
    """A sequence; ``column`` is ``table.column`` when it belongs to one, as those of identity columns do."""

    name: str
    type: str
    start: int
    increment: int
    minimum: int
    maximum: int
    cache: int
    cycle: bool
    persistence: str
    column: str
    owner: str
    grants: Grants


@dataclass(frozen=True)
class Type:
    """An enum (with its labels), a domain, a range or a type of several columns."""

    name: str
    kind: str
    definition: str
    owner: str
    comment: str
    grants: Grants


@dataclass(frozen=True)
class Role:
    """A role of the cluster; ``members``: who may become it, with ``*`` where they hold its rights all the time."""

    name: str
    attributes: tuple[str, ...]
    members: tuple[str, ...]
    member_of: tuple[str, ...]


@dataclass(frozen=True)
class Catalog:
    """All relations (by name, with the schema where it is not ``public``) and functions (by signature).

    The rest is there after ``read_whole``. ``platform``: the functions of schema auth; ``platform_is_ours``: whether
    a migration made that schema. ``others``: objects of further kinds in our schemas. ``defaults``: default
    privileges, by schema and kind of object. ``superusers`` and ``platform_roles`` are those the cluster has.
    """

    tables: dict[str, Table]
    functions: dict[str, Function]
    owner: str = ""
    version: str = ""
    schemas: dict[str, Schema] = field(default_factory=dict)
    sequences: dict[str, Sequence] = field(default_factory=dict)
    types: dict[str, Type] = field(default_factory=dict)
    extensions: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    roles: dict[str, Role] = field(default_factory=dict)
    defaults: dict[str, Grants] = field(default_factory=dict)
    platform: dict[str, Function] = field(default_factory=dict)
    platform_is_ours: bool = False
    superusers: frozenset[str] = frozenset()
    platform_roles: frozenset[str] = frozenset()
    event_triggers: tuple[str, ...] = ()


def read(connection: BaseDatabaseWrapper, *, schemas: Collection[str] = SCHEMAS) -> Catalog:
    """The whole catalog of these schemas, in a handful of queries."""
    with _reading(connection) as cursor:
        cursor.execute(
            """
            SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
            """,
            [list(schemas)],
        )
        tables = _tables(cursor, [oid for (oid,) in cursor.fetchall()])
        functions = _functions(cursor, schemas)
    names = {t.name if t.schema == "public" else f"{t.schema}.{t.name}": t for t in tables}
    return Catalog(tables=dict(sorted(names.items())), functions={f.signature: f for f in functions})


def read_whole(
    connection: BaseDatabaseWrapper,
    *,
    roles: Collection[str],
    platform_roles: Collection[str] = (),
    only: Collection[str] | None = None,
) -> Catalog:
    """The catalog with everything else that decides what the database is and who may do what.

    ``roles``: those of the cluster to describe. With ``only``, the names of relations, other relations come without
    their parts, so that their number hardly costs anything. Reads pg_catalog alone; writes nothing.
    """
    with _reading(connection) as cursor:
        return read_whole_with(cursor, roles=roles, platform_roles=platform_roles, only=only)


def read_whole_with(
    cursor: Any,
    *,
    roles: Collection[str],
    platform_roles: Collection[str] = (),
    only: Collection[str] | None = None,
) -> Catalog:
    """`read_whole` by any cursor that composes on the client, of a session whose search path is empty."""
    schemas = list(SCHEMAS)
    cursor.execute(
        """
        SELECT c.oid, CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                          AND d.deptype = 'e')
        """,
        [schemas],
    )
    standing = cursor.fetchall()
    known = [oid for oid, name in standing if only is None or name in only]
    beside = [oid for oid, name in standing if only is not None and name not in only]
    tables = _tables(cursor, known, beside=beside, whole=True)
    functions = _functions(cursor, [*schemas, "auth"], grants=True)
    cursor.execute(_SCHEMAS, [schemas])
    found_schemas = {row[0]: Schema(row[0], row[1], row[2], _grants(row[3])) for row in cursor.fetchall()}
    cursor.execute(_SEQUENCES, [schemas])
    sequences = {row[0]: Sequence(*(*row[:11], _grants(row[11]))) for row in cursor.fetchall()}
    cursor.execute(_TYPES, [schemas])
    types = {row[0]: Type(*(*row[:5], _grants(row[5]))) for row in cursor.fetchall()}
    cursor.execute(_ROLES, [list(roles)])
    found_roles = {r[0]: Role(r[0], tuple(r[1]), tuple(r[2]), tuple(r[3])) for r in cursor.fetchall()}
    cursor.execute(_DEFAULTS, [schemas])
    defaults = {key: _grants(grants) for key, grants in cursor.fetchall()}
    cursor.execute(_REST, {"schemas": schemas, "platform": list(platform_roles)})
    extensions, others, superusers, found_platform, ours, owner, version, events = cursor.fetchone()
    names = {t.name if t.schema == "public" else f"{t.schema}.{t.name}": t for t in tables}
    return Catalog(
        tables=dict(sorted(names.items())),
        functions={f.signature: f for f in functions if f.schema != "auth"},
        owner=owner or "",
        version=version,
        schemas=found_schemas,
        sequences=sequences,
        types=types,
        extensions=tuple(extensions),
        others=tuple(others),
        roles=found_roles,
        defaults=defaults,
        platform={f.signature: f for f in functions if f.schema == "auth"},
        platform_is_ours=ours,
        superusers=frozenset(superusers),
        platform_roles=frozenset(found_platform),
        event_triggers=tuple(events),
    )


def read_tables(connection: BaseDatabaseWrapper, names: Iterable[str], *, schema: str = "public") -> dict[str, Table]:
    """Those of the named relations that exist, by name."""
    with _reading(connection) as cursor:
        cursor.execute(
            """
            SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = %s AND c.relname = ANY (%s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
            """,
            [schema, list(names)],
        )
        return {t.name: t for t in _tables(cursor, [oid for (oid,) in cursor.fetchall()])}


def read_temporary_table(connection: BaseDatabaseWrapper, name: str) -> Table:
    """A temporary table of this session; LookupError when there is none of the name."""
    with _reading(connection) as cursor:
        cursor.execute(
            "SELECT oid FROM pg_class WHERE relname = %s AND relnamespace = pg_my_temp_schema()",
            [name],
        )
        row = cursor.fetchone()
        if row is None:
            raise LookupError(f"No temporary table {name}.")
        (table,) = _tables(cursor, [row[0]])
        return table


def dependent_views(connection: BaseDatabaseWrapper, table: Table) -> dict[str, set[str]]:
    """Column -> the views and rules that read it and so keep its type from being changed."""
    with _reading(connection) as cursor:
        cursor.execute(
            """
            SELECT DISTINCT a.attname, r.ev_class::regclass::text
            FROM pg_depend d
            JOIN pg_rewrite r ON r.oid = d.objid
            JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
              AND d.refobjid = %s AND r.ev_class <> d.refobjid
            """,
            [table.oid],
        )
        views: dict[str, set[str]] = defaultdict(set)
        for column, view in cursor.fetchall():
            views[column].add(view)
        return dict(views)


@contextmanager
def _reading(connection: BaseDatabaseWrapper) -> Iterator[CursorWrapper]:
    """A cursor that reads with an empty search path, and leaves the caller's as it was.

    RELEASE SAVEPOINT keeps what was set inside, so a nested reading puts the path back by hand.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('search_path'), set_config('search_path', '', true)")
        (path, _) = cursor.fetchone()
        yield cursor
        cursor.execute("SELECT set_config('search_path', %s, true)", [path])


def _tables(
    cursor: CursorWrapper, oids: list[int], *, beside: Collection[int] = (), whole: bool = False
) -> list[Table]:
    """These tables with their parts, and those ``beside`` them without; ``whole``: grants and rules as well."""
    columns = _grouped(cursor, _COLUMNS, oids)
    constraints = _grouped(cursor, _CONSTRAINTS, oids)
    indexes = _grouped(cursor, _INDEXES, oids)
    triggers = _grouped(cursor, _TRIGGERS, oids)
    policies = _grouped(cursor, _POLICIES, oids)
    rules = _grouped(cursor, _RULES, oids) if whole else defaultdict(list)
    granted = {(oid, name): given for oid, name, given in _rows(cursor, _COLUMN_GRANTS, oids)} if whole else {}
    on_tables = dict(_rows(cursor, _TABLE_GRANTS, [*oids, *beside])) if whole else {}
    cursor.execute(_TABLES, [[*oids, *beside]])
    return [
        Table(
            oid=oid,
            schema=schema,
            name=name,
            kind=kind,
            owner=owner,
            row_security=row_security,
            forced=forced,
            comment=comment,
            columns={row[0]: Column(*(*row, _grants(granted.get((oid, row[0]), ())))) for row in columns[oid]},
            constraints={row[0]: _constraint(row) for row in constraints[oid]},
            indexes={row[0]: Index(*row) for row in indexes[oid]},
            triggers={row[0]: Trigger(*row) for row in triggers[oid]},
            policies={row[0]: Policy(row[0], row[1], row[2], tuple(row[3]), *row[4:]) for row in policies[oid]},
            grants=_grants(on_tables.get(oid, ())),
            rules=dict(rules[oid]),
            options=tuple(options),
            persistence=persistence,
            definition=definition,
            replica_identity=replica_identity,
            parents=tuple(parents),
        )
        for (
            oid, schema, name, kind, owner, row_security, forced, comment, options, persistence, definition,
            replica_identity, parents,
        ) in cursor.fetchall()
    ]  # fmt: skip


def _rows(cursor: CursorWrapper, query: str, oids: list[int]) -> list[tuple[Any, ...]]:
    cursor.execute(query, [oids])
    return list(cursor.fetchall())


def _grants(given: Iterable[str]) -> Grants:
    """``role=PRIVILEGE`` words, in any order, as a mapping."""
    found: dict[str, list[str]] = defaultdict(list)
    for word in given:
        role, _, privilege = word.rpartition("=")
        found[role].append(privilege)
    return {role: tuple(sorted(privileges)) for role, privileges in sorted(found.items())}


def _constraint(row: tuple[Any, ...]) -> Constraint:
    parts = (*row[:2], tuple(row[2]), *row[3:7], tuple(row[7]), *row[8:])
    return Constraint(*parts)


def _grouped(cursor: CursorWrapper, query: str, oids: list[int]) -> dict[int, list[tuple[Any, ...]]]:
    """Rows of ``query`` by their first column, the table's oid, which is cut off."""
    cursor.execute(query, [oids])
    groups: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for oid, *rest in cursor.fetchall():
        groups[oid].append(tuple(rest))
    return groups


def _functions(cursor: CursorWrapper, schemas: Collection[str], *, grants: bool = False) -> list[Function]:
    cursor.execute(_FUNCTIONS, [list(schemas)])
    parts: list[tuple[Any, ...]] = [
        (*row[:7], tuple(sorted(row[7])), *row[8:-1], _grants(row[-1] if grants else ())) for row in cursor.fetchall()
    ]
    return [Function(*part) for part in parts]


def _granted(acl: str, kind: str, owner: str) -> str:
    """SQL for the array of ``role=PRIVILEGE`` words of an access list; no list means PostgreSQL's default for it."""
    return f"""
        ARRAY(SELECT CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee)::text END || '='
                     || x.privilege_type || CASE WHEN x.is_grantable AND x.grantee <> {owner} THEN '*' ELSE '' END
              FROM aclexplode(coalesce({acl}, acldefault('{kind}', {owner}))) AS x)
    """  # noqa: S608 - our own words


_TABLES = """
    SELECT c.oid, n.nspname, c.relname, c.relkind::text, pg_get_userbyid(c.relowner),
           c.relrowsecurity, c.relforcerowsecurity, coalesce(obj_description(c.oid, 'pg_class'), ''),
           coalesce(c.reloptions, '{}'), c.relpersistence::text,
           CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) ELSE '' END, c.relreplident::text,
           ARRAY(SELECT i.inhparent::regclass::text FROM pg_inherits i WHERE i.inhrelid = c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = ANY (%s) ORDER BY n.nspname, c.relname
"""
_COLUMNS = """
    SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           CASE WHEN a.attgenerated = '' THEN coalesce(pg_get_expr(d.adbin, d.adrelid), '') ELSE '' END,
           CASE WHEN a.attcollation <> t.typcollation THEN coalesce(l.collname, '') ELSE '' END,
           CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) ELSE '' END,
           a.attidentity::text, coalesce(col_description(a.attrelid, a.attnum), '')
    FROM pg_attribute a
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN pg_collation l ON l.oid = a.attcollation
    WHERE a.attrelid = ANY (%s) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attrelid, a.attnum
"""
# PostgreSQL 18 lists NOT NULL as constraints of kind n; attnotnull says the same on every version.
_CONSTRAINTS = """
    SELECT c.conrelid, c.conname, c.contype::text,
           ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k(num, ord)
                 JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num ORDER BY k.ord),
           regexp_replace(pg_get_constraintdef(c.oid), ' NOT VALID$', ''), c.convalidated, c.condeferrable,
           coalesce(f.relname, ''),
           ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k(num, ord)
                 JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num ORDER BY k.ord),
           CASE c.confdeltype WHEN 'a' THEN 'NO ACTION' WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE'
                              WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' ELSE '' END,
           coalesce(obj_description(c.oid, 'pg_constraint'), ''),
           c.contype <> 'f' OR NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgconstraint = c.oid AND t.tgenabled <> 'O')
    FROM pg_constraint c LEFT JOIN pg_class f ON f.oid = c.confrelid
    WHERE c.conrelid = ANY (%s) AND c.contype IN ('p', 'u', 'f', 'c', 'x')
    ORDER BY c.conrelid, c.conname
"""
_INDEXES = """
    SELECT i.indrelid, c.relname, i.indisunique, regexp_replace(pg_get_indexdef(i.indexrelid), '^.*? USING ', ''),
           i.indisvalid AND i.indisready, coalesce(k.conname, ''),
           coalesce(obj_description(i.indexrelid, 'pg_class'), '')
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
    WHERE i.indrelid = ANY (%s) ORDER BY i.indrelid, c.relname
"""
_TRIGGERS = """
    SELECT t.tgrelid, t.tgname, pg_get_triggerdef(t.oid), n.nspname || '.' || p.proname, t.tgenabled::text,
           coalesce(obj_description(t.oid, 'pg_trigger'), '')
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE t.tgrelid = ANY (%s) AND NOT t.tgisinternal ORDER BY t.tgrelid, t.tgname
"""
_POLICIES = """
    SELECT p.polrelid, p.polname,
           CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                         WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
           p.polpermissive,
           ARRAY(SELECT CASE WHEN r = 0 THEN 'public' ELSE pg_get_userbyid(r)::text END FROM unnest(p.polroles) r
                 ORDER BY 1),
           coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''),
           coalesce(obj_description(p.oid, 'pg_policy'), '')
    FROM pg_policy p WHERE p.polrelid = ANY (%s) ORDER BY p.polrelid, p.polname
"""
_FUNCTIONS = f"""
    SELECT n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), coalesce(pg_get_function_result(p.oid), ''),
           l.lanname, p.provolatile::text, p.prosecdef, coalesce(p.proconfig, '{{}}'),
           coalesce(pg_get_function_sqlbody(p.oid), p.prosrc), coalesce(obj_description(p.oid, 'pg_proc'), ''),
           pg_get_function_arguments(p.oid), p.prokind::text, p.proisstrict, p.proleakproof, p.proparallel::text,
           pg_get_userbyid(p.proowner)::text, {_granted("p.proacl", "f", "p.proowner")}
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE n.nspname = ANY (%s)
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                      AND d.deptype = 'e')
    ORDER BY 1, 2, 3
"""  # noqa: S608 - our own words
_RULES = """
    SELECT r.ev_class, r.rulename, pg_get_ruledef(r.oid) FROM pg_rewrite r
    WHERE r.ev_class = ANY (%s) AND r.rulename <> '_RETURN'
"""
_TABLE_GRANTS = f"""
    SELECT c.oid, {_granted("c.relacl", "r", "c.relowner")} FROM pg_class c WHERE c.oid = ANY (%s)
"""  # noqa: S608 - our own words
_COLUMN_GRANTS = f"""
    SELECT a.attrelid, a.attname, {_granted("a.attacl", "c", "c.relowner")}
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE a.attrelid = ANY (%s) AND a.attnum > 0 AND a.attacl IS NOT NULL
"""  # noqa: S608 - our own words
_SCHEMAS = f"""
    SELECT n.nspname, pg_get_userbyid(n.nspowner)::text, coalesce(obj_description(n.oid, 'pg_namespace'), ''),
           {_granted("n.nspacl", "n", "n.nspowner")}
    FROM pg_namespace n WHERE n.nspname = ANY (%s)
"""  # noqa: S608 - our own words
_SEQUENCES = f"""
    SELECT CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname,
           format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle,
           c.relpersistence::text,
           coalesce((SELECT d.refobjid::regclass || '.' || a.attname
                     FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                     WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
                       AND d.refclassid = 'pg_class'::regclass), ''),
           pg_get_userbyid(c.relowner)::text, {_granted("c.relacl", "s", "c.relowner")}
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%s)
    ORDER BY 1
"""  # noqa: S608 - our own words
_TYPES = f"""
    SELECT CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || t.typname,
           CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'composite' END,
           CASE t.typtype
               WHEN 'e' THEN (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                              FROM pg_enum e WHERE e.enumtypid = t.oid)
               WHEN 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod), 'DEFAULT ' || t.typdefault,
                                       CASE WHEN t.typnotnull THEN 'NOT NULL' END,
                                       (SELECT string_agg(pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname)
                                        FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'))
               ELSE '' END,
           pg_get_userbyid(t.typowner)::text, coalesce(obj_description(t.oid, 'pg_type'), ''),
           {_granted("t.typacl", "T", "t.typowner")}
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname = ANY (%s)
      AND (t.typtype IN ('e', 'd', 'r')
           OR t.typtype = 'c' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid
                      AND d.deptype = 'e')
    ORDER BY 1
"""  # noqa: S608 - our own words
# Whether a member holds the role's rights without SET ROLE: its own setting before 16, the membership's since. A member
# whose logins all belong to neighbours, or cannot connect here, is none as far as this database goes.
_ROLES = f"""
    SELECT r.rolname,
           ARRAY(SELECT a FROM (VALUES ('LOGIN', r.rolcanlogin), ('SUPERUSER', r.rolsuper),
                                       ('BYPASSRLS', r.rolbypassrls), ('CREATEDB', r.rolcreatedb),
                                       ('CREATEROLE', r.rolcreaterole), ('REPLICATION', r.rolreplication)) AS v (a, yes)
                 WHERE yes),
           ARRAY(SELECT u.rolname || CASE WHEN bool_or(coalesce((to_jsonb(m) ->> 'inherit_option')::boolean,
                                                                u.rolinherit)) THEN '*' ELSE '' END
                 FROM pg_auth_members m JOIN pg_roles u ON u.oid = m.member
                 WHERE m.roleid = r.oid AND coalesce((to_jsonb(m) ->> 'set_option')::boolean
                                                     OR (to_jsonb(m) ->> 'inherit_option')::boolean, true)
                   AND NOT EXISTS (SELECT FROM pg_roles l
                                   WHERE l.rolcanlogin AND NOT l.rolsuper AND pg_has_role(l.oid, u.oid, 'MEMBER')
                                   HAVING count(*) > 0 AND NOT bool_or({neighbours.reaches("l.oid")}
                                                                       AND NOT {neighbours.is_neighbours("l.oid")}))
                 GROUP BY u.rolname ORDER BY u.rolname),
           ARRAY(SELECT pg_get_userbyid(m.roleid)::text FROM pg_auth_members m WHERE m.member = r.oid ORDER BY 1)
    FROM pg_roles r WHERE r.rolname = ANY (%s) ORDER BY 1
"""  # noqa: S608 - our own words
_DEFAULTS = """
    SELECT concat_ws(' ', pg_get_userbyid(d.defaclrole), n.nspname,
                     CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                                          WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE d.defaclobjtype::text END),
           ARRAY(SELECT CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee)::text END || '='
                        || x.privilege_type FROM aclexplode(d.defaclacl) AS x)
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
    WHERE n.nspname IS NULL OR n.nspname = ANY (%s)
"""
# What else depends on a schema of ours: operators, collations, statistics, text search, ...
_REST = """
    SELECT ARRAY(SELECT e.extname || ' in ' || n.nspname
                 FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                 WHERE n.nspname = ANY (%(schemas)s) ORDER BY 1),
           ARRAY(SELECT i.type || ' ' || i.identity
                 FROM pg_depend d, pg_identify_object(d.classid, d.objid, 0) AS i
                 WHERE d.refclassid = 'pg_namespace'::regclass AND d.deptype = 'n'
                   AND d.refobjid IN (SELECT oid FROM pg_namespace WHERE nspname = ANY (%(schemas)s))
                   AND d.classid NOT IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass,
                                         'pg_extension'::regclass, 'pg_default_acl'::regclass)
                 ORDER BY 1),
           ARRAY(SELECT rolname::text FROM pg_roles WHERE rolsuper),
           ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname = ANY (%(platform)s)),
           coalesce(obj_description(to_regnamespace('auth'), 'pg_namespace') LIKE '%%made by moeen', false),
           (SELECT pg_get_userbyid(c.relowner)::text FROM pg_class c
            WHERE c.relnamespace = to_regnamespace('public') AND c.relkind = 'r'
            GROUP BY c.relowner ORDER BY count(*) DESC, c.relowner LIMIT 1),
           current_setting('server_version'),
           ARRAY(SELECT e.evtname::text FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid
                 WHERE p.pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname = ANY (%(schemas)s)) ORDER BY 1)
"""
