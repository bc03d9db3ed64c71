"""Every read of pg_catalog, returned as frozen dataclasses.

Definitions are PostgreSQL's own normal forms (``pg_get_expr``, ``pg_get_constraintdef``, ...), read with an empty
search path so that every name is qualified and the text does not depend on the session.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

#: The schemas that are ours to describe. ``auth`` belongs to the platform where there is one.
SCHEMAS = ("public", "app")


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


@dataclass(frozen=True)
class Index:
    """An index; ``definition`` is what follows ``USING``. ``constraint`` names the constraint it serves, if any."""

    name: str
    unique: bool
    definition: str
    valid: bool
    constraint: str


@dataclass(frozen=True)
class Trigger:
    """A trigger that somebody made (not those behind constraints); ``enabled`` is ``tgenabled``."""

    name: str
    definition: str
    function: str
    enabled: str


@dataclass(frozen=True)
class Policy:
    """A row security policy; an empty expression means that it has none."""

    name: str
    command: str
    permissive: bool
    roles: tuple[str, ...]
    using: str
    check: str


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


@dataclass(frozen=True)
class Catalog:
    """All relations (by name, with the schema where it is not ``public``) and functions (by signature)."""

    tables: dict[str, Table]
    functions: dict[str, Function]


def read(connection: BaseDatabaseWrapper, *, schemas: Sequence[str] = SCHEMAS) -> Catalog:
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


def _tables(cursor: CursorWrapper, oids: list[int]) -> list[Table]:
    columns = _grouped(cursor, _COLUMNS, oids)
    constraints = _grouped(cursor, _CONSTRAINTS, oids)
    indexes = _grouped(cursor, _INDEXES, oids)
    triggers = _grouped(cursor, _TRIGGERS, oids)
    policies = _grouped(cursor, _POLICIES, oids)
    cursor.execute(_TABLES, [oids])
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
            columns={row[0]: Column(*row) for row in columns[oid]},
            constraints={row[0]: _constraint(row) for row in constraints[oid]},
            indexes={row[0]: Index(*row) for row in indexes[oid]},
            triggers={row[0]: Trigger(*row) for row in triggers[oid]},
            policies={row[0]: Policy(row[0], row[1], row[2], tuple(row[3]), *row[4:]) for row in policies[oid]},
        )
        for oid, schema, name, kind, owner, row_security, forced, comment in cursor.fetchall()
    ]


def _constraint(row: tuple[Any, ...]) -> Constraint:
    name, kind, columns, definition, validated, deferrable, references, references_columns, on_delete = row
    return Constraint(
        name=name,
        kind=kind,
        columns=tuple(columns),
        definition=definition,
        validated=validated,
        deferrable=deferrable,
        references=references,
        references_columns=tuple(references_columns),
        on_delete=on_delete,
    )


def _grouped(cursor: CursorWrapper, query: str, oids: list[int]) -> dict[int, list[tuple[Any, ...]]]:
    """Rows of ``query`` by their first column, the table's oid, which is cut off."""
    cursor.execute(query, [oids])
    groups: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for oid, *rest in cursor.fetchall():
        groups[oid].append(tuple(rest))
    return groups


def _functions(cursor: CursorWrapper, schemas: Sequence[str]) -> list[Function]:
    cursor.execute(_FUNCTIONS, [list(schemas)])
    return [Function(*row) for row in ((*r[:7], tuple(r[7]), *r[8:]) for r in cursor.fetchall())]


_TABLES = """
    SELECT c.oid, n.nspname, c.relname, c.relkind::text, pg_get_userbyid(c.relowner),
           c.relrowsecurity, c.relforcerowsecurity, coalesce(obj_description(c.oid, 'pg_class'), '')
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
                              WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' ELSE '' END
    FROM pg_constraint c LEFT JOIN pg_class f ON f.oid = c.confrelid
    WHERE c.conrelid = ANY (%s) AND c.contype IN ('p', 'u', 'f', 'c', 'x')
    ORDER BY c.conrelid, c.conname
"""
_INDEXES = """
    SELECT i.indrelid, c.relname, i.indisunique, regexp_replace(pg_get_indexdef(i.indexrelid), '^.*? USING ', ''),
           i.indisvalid AND i.indisready, coalesce(k.conname, '')
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
    WHERE i.indrelid = ANY (%s) ORDER BY i.indrelid, c.relname
"""
_TRIGGERS = """
    SELECT t.tgrelid, t.tgname, pg_get_triggerdef(t.oid), n.nspname || '.' || p.proname, t.tgenabled::text
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE t.tgrelid = ANY (%s) AND NOT t.tgisinternal ORDER BY t.tgrelid, t.tgname
"""
_POLICIES = """
    SELECT p.polrelid, p.polname,
           CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                         WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
           p.polpermissive,
           ARRAY(SELECT CASE WHEN r = 0 THEN 'public' ELSE pg_get_userbyid(r)::text END FROM unnest(p.polroles) r),
           coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
    FROM pg_policy p WHERE p.polrelid = ANY (%s) ORDER BY p.polrelid, p.polname
"""
_FUNCTIONS = """
    SELECT n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid),
           l.lanname, p.provolatile::text, p.prosecdef, coalesce(p.proconfig, '{}'), p.prosrc,
           coalesce(obj_description(p.oid, 'pg_proc'), '')
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE n.nspname = ANY (%s)
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    ORDER BY 1, 2, 3
"""
