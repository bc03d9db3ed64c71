"""What a backup leaves out and its objects lean on: functions, tables and types of schemas that are somebody else's.

A hosted platform's (`auth`) are the platform's to back up. A restore makes stand-ins of what is missing (`stubs`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class LeftOut:
    """Something of a schema that is left out, which covered objects refer to."""

    schema: str
    name: str

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Stub(LeftOut):
    """A function."""

    arguments: str
    result: str
    volatility: str


@dataclass(frozen=True)
class Column:
    """`modifier`: what stands in brackets behind its type, as PostgreSQL keeps it; -1: nothing does."""

    name: str
    type: str
    modifier: int


@dataclass(frozen=True)
class Table(LeftOut):
    """A table or view."""

    columns: list[Column]


@dataclass(frozen=True)
class Type(LeftOut):
    """An enum with its labels, or a domain over `base`."""

    labels: list[str]
    base: str


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key of a covered table to one that is left out, whose rows a restore need not find."""

    schema: str
    table: str
    name: str
    refers_to: list[str]

    @property
    def target(self) -> str:
        return ".".join(self.refers_to)


@dataclass(frozen=True)
class Outside:
    """All of it. `triggers`: on tables that are left out, with functions that are covered: name and table -> SQL."""

    tables: list[Table] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    triggers: dict[str, str] = field(default_factory=dict)
    types: list[Type] = field(default_factory=list)

    def notes(self) -> list[str]:
        """What of it no restore makes, in words."""
        return [
            f"Not in the backup, as it stands on somebody else's table: trigger {name}. Made by: {statement};"
            for name, statement in self.triggers.items()
        ]


def functions(connection: Connection, left_out: list[str]) -> list[Stub]:
    """The functions of the left out schemas that anything outside them depends on."""
    rows = connection.execute(
        """
        SELECT DISTINCT n.nspname, p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
               p.provolatile::text
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid AND d.deptype = 'n'
        WHERE n.nspname = ANY (%s) AND p.prokind = 'f'
        ORDER BY 1, 2, 3
        """,
        [left_out],
    ).fetchall()
    return [Stub(*row) for row in rows]


def read(connection: Connection, covered: list[str], left_out: list[str]) -> Outside:
    """The tables, types, foreign keys and triggers between what is covered and what is left out."""
    between = {"covered": covered, "left_out": left_out}
    tables = connection.execute(_TABLES, between).fetchall()
    keys = connection.execute(_FOREIGN_KEYS, between).fetchall()
    triggers = connection.execute(_TRIGGERS, between).fetchall()
    types = [Type(*row) for row in connection.execute(_TYPES, between).fetchall()]
    made = [Table(schema, name, [Column(*column) for column in columns or []]) for schema, name, columns in tables]
    return Outside(made, [ForeignKey(*row) for row in keys], dict(triggers), types)


# What depends on it is asked for its own schema, of whatever kind it is; rows of a table's type count as the table.
_TABLES = """
    SELECT n.nspname::text, c.relname::text,
           (SELECT jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, NULL), a.atttypmod) ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%(left_out)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND EXISTS (
        SELECT FROM pg_depend d
        CROSS JOIN LATERAL pg_identify_object_as_address(d.classid, d.objid, d.objsubid) o
        WHERE ((d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid)
               OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (
                   SELECT t.oid FROM pg_type t WHERE t.oid = c.reltype OR t.typelem = c.reltype)))
          AND o.object_names[1] = ANY (%(covered)s))
    ORDER BY 1, 2
"""
# Those that functions are called with count as well: the functions may be stood in for.
_TYPES = """
    SELECT n.nspname::text, t.typname::text,
           ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder),
           CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) ELSE '' END
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname = ANY (%(left_out)s) AND t.typtype IN ('e', 'd')
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
      AND EXISTS (
        SELECT FROM pg_depend d
        CROSS JOIN LATERAL pg_identify_object_as_address(d.classid, d.objid, d.objsubid) o
        WHERE d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, t.typarray)
          AND (o.object_names[1] = ANY (%(covered)s) OR d.classid = 'pg_proc'::regclass))
    ORDER BY 1, 2
"""
_FOREIGN_KEYS = """
    SELECT n.nspname::text, t.relname::text, k.conname::text, ARRAY[m.nspname::text, r.relname::text]
    FROM pg_constraint k
    JOIN pg_class t ON t.oid = k.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_class r ON r.oid = k.confrelid JOIN pg_namespace m ON m.oid = r.relnamespace
    WHERE k.contype = 'f' AND k.conparentid = 0 AND n.nspname = ANY (%(covered)s) AND m.nspname = ANY (%(left_out)s)
    ORDER BY 1, 2, 3
"""
_TRIGGERS = """
    SELECT format('%%I on %%I.%%I', g.tgname, n.nspname, c.relname), pg_get_triggerdef(g.oid)
    FROM pg_trigger g
    JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_namespace f ON f.oid = p.pronamespace
    WHERE NOT g.tgisinternal AND g.tgparentid = 0
      AND n.nspname = ANY (%(left_out)s) AND f.nspname = ANY (%(covered)s)
    ORDER BY 1
"""
