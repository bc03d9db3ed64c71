"""The tables that rows go to: their columns, and the rules that a row must keep to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db import catalog, public_ids
from moeen.db.catalog import Column

ID, PUBLIC_ID = "id", "public_id"


@dataclass(frozen=True)
class Unique:
    """A unique index: what it compares, as SQL over the table's columns, and of which rows; no primary key."""

    columns: tuple[str, ...]
    expressions: tuple[str, ...]
    condition: str


@dataclass(frozen=True)
class Check:
    """A check constraint, with its condition as SQL over the table's columns."""

    name: str
    columns: tuple[str, ...]
    condition: str


@dataclass(frozen=True)
class Target:
    """A table of ours. ``references``: column -> the table whose id it holds; ``prefix`` of its public ids, or ""."""

    name: str
    columns: dict[str, Column]
    references: dict[str, str]
    uniques: tuple[Unique, ...]
    checks: tuple[Check, ...]
    prefix: str

    @property
    def relation(self) -> sql.Identifier:
        return sql.Identifier("public", self.name)

    def takes(self, public_id: sql.Composable) -> sql.Composable:
        """Whether a value is a public id of its form."""
        return sql.SQL("({})").format(public_ids.form_condition(public_id, self.prefix))

    @property
    def writable(self) -> tuple[str, ...]:
        """The columns that a mapping may fill."""
        own = {ID, PUBLIC_ID} if self.prefix else {ID}
        return tuple(name for name, column in self.columns.items() if name not in own and not column.generated)


def read(connection: BaseDatabaseWrapper, names: Iterable[str]) -> dict[str, Target]:
    """Those of the named tables that have a key `id` of type uuid, by name."""
    prefixes = {model._meta.db_table: prefix for prefix, model in public_ids.PREFIXES.items()}
    tables = catalog.read_tables(connection, names)
    with connection.cursor() as cursor:
        cursor.execute(_UNIQUES, [[f'public."{name}"' for name in tables]])
        uniques = cursor.fetchall()
        cursor.execute(_CHECKS, [[f'public."{name}"' for name in tables]])
        checks = cursor.fetchall()
    found = {}
    for name, table in tables.items():
        if table.kind not in ("r", "p") or ID not in table.columns or table.columns[ID].type != "uuid":
            continue
        found[name] = Target(
            name=name,
            columns=dict(table.columns),
            references=_references(table),
            uniques=tuple(Unique(tuple(columns), tuple(parts), w) for of, columns, parts, w in uniques if of == name),
            checks=tuple(Check(check, tuple(columns), what) for of, check, columns, what in checks if of == name),
            prefix=prefixes.get(name, ""),
        )
    return found


def every(connection: BaseDatabaseWrapper) -> dict[str, Target]:
    """All tables that bear public ids: those of the apps."""
    return read(connection, [model._meta.db_table for model in public_ids.PREFIXES.values()])


def _references(table: catalog.Table) -> dict[str, str]:
    """Of a key of several columns the one that holds an id: the others repeat what the row they name says."""
    found: dict[str, str] = {}
    for constraint in table.constraints.values():
        if constraint.kind == "f" and ID in constraint.references_columns:
            column = constraint.columns[constraint.references_columns.index(ID)]
            found[column] = constraint.references.rpartition(".")[2].strip('"')
    return found


_UNIQUES = """
    SELECT t.relname::text,
           ARRAY(SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = t.oid AND a.attnum > 0 AND (
                 a.attnum = ANY (i.indkey::int2[]) OR EXISTS (
                     SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                     AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.refobjsubid = a.attnum))),
           ARRAY(SELECT pg_get_indexdef(c.oid, n, true) FROM generate_series(1, i.indnkeyatts) AS n ORDER BY n),
           coalesce(pg_get_expr(i.indpred, i.indrelid), '')
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_class AS t ON t.oid = i.indrelid
    WHERE i.indrelid = ANY (%s::regclass[]) AND i.indisunique AND NOT i.indisprimary AND i.indisvalid
    ORDER BY t.relname, c.relname
"""
_CHECKS = """
    SELECT t.relname::text, k.conname::text,
           ARRAY(SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = t.oid AND a.attnum = ANY (k.conkey)),
           pg_get_expr(k.conbin, k.conrelid)
    FROM pg_constraint AS k JOIN pg_class AS t ON t.oid = k.conrelid
    WHERE k.conrelid = ANY (%s::regclass[]) AND k.contype = 'c' ORDER BY 1, 2
"""
