"""Digests of what tables hold: the same rows give the same digest on every server, in whatever order they lie.

A row's digest is PostgreSQL's 64-bit record hash; a table's is the number of rows with the sum and the exclusive or of
theirs. Types whose equality is exactly equality of the stored value are hashed as they are; all others (numeric
knows 1.0 and 1.00 as equal, enums hash by an OID of the cluster, json has no hash) as text, under fixed settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

ALGORITHM = "hash_record_extended/1"
Connection = psycopg.Connection[tuple[Any, ...]]

#: What could change the text of a value, or end a long transaction early.
SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmlbinary": "base64",
    "search_path": "",
    "row_security": "off",
    "jit": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
    "max_parallel_workers_per_gather": "2",
}
#: Their hash sees every bit of the value, and has been the same in all supported versions.
_NUMBERS = ("bool", "int2", "int4", "int8", "oid", "date", "time", "timestamp", "timestamptz")
_TEXT = ("text", "varchar", "name")
_HASHED_AS_THEY_ARE = (*_NUMBERS, *_TEXT, "uuid", "bytea", "inet", "cidr", "macaddr")


@dataclass(frozen=True, order=True)
class Table:
    """A table that holds rows of its own; columns as (name, type), the type "" unless it is built in.

    `whole`: with the rows of its partitions. Which of them a row lies in differs from server to server.
    """

    schema: str
    name: str
    columns: tuple[tuple[str, str], ...]
    whole: bool = False

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def rows(self) -> sql.Composable:
        """What stands behind FROM."""
        return sql.SQL("{}" if self.whole else "ONLY {}").format(sql.Identifier(self.schema, self.name))


@dataclass(frozen=True)
class Digest:
    """Number of rows, sum and exclusive or of their hashes; 64-bit numbers as text, since JSON has no such."""

    rows: int
    sum: str
    xor: str


def prepare(connection: Connection) -> None:
    """Fix the settings of this session; those that an older server does not know are passed over."""
    connection.execute(
        "SELECT set_config(name, (%s::jsonb) ->> name, false) FROM pg_settings WHERE name = ANY (%s)",
        [Jsonb(SETTINGS), list(SETTINGS)],
    )


def tables(connection: Connection, schemas: list[str]) -> list[Table]:
    """Every table of these schemas with rows of its own, partitions included; those of extensions are theirs.

    Partitions by an enum's hash are read as one table: that is of its OID, and pg_dump has the rows spread anew.
    """
    rows = connection.execute(
        """
        WITH spread AS MATERIALIZED (
            SELECT partrelid FROM pg_partitioned_table
            WHERE partstrat = 'h' AND EXISTS (
                SELECT FROM pg_opclass o WHERE o.oid = ANY (partclass) AND o.opcname = 'enum_ops')
        )
        SELECT n.nspname, c.relname, c.relkind = 'p',
               coalesce(array_agg(a.attname ORDER BY a.attnum) FILTER (WHERE a.attnum IS NOT NULL), '{}'),
               coalesce(array_agg(CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname ELSE '' END
                                  ORDER BY a.attnum) FILTER (WHERE a.attnum IS NOT NULL), '{}')
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_type t ON t.oid = a.atttypid
        WHERE n.nspname = ANY (%s) AND c.relpersistence <> 't'
          AND (c.relkind = 'r' OR c.oid IN (SELECT partrelid FROM spread))
          AND NOT (c.relispartition AND EXISTS (
                       SELECT FROM pg_partition_ancestors(c.oid) AS above JOIN spread ON spread.partrelid = above
                       WHERE above <> c.oid))
          AND NOT EXISTS (SELECT FROM pg_depend d
                          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
        GROUP BY c.oid, n.nspname, c.relname ORDER BY 1, 2
        """,
        [schemas],
    ).fetchall()
    return [
        Table(schema, name, tuple(zip(names, types, strict=True)), whole) for schema, name, whole, names, types in rows
    ]


def of_table(connection: Connection, table: Table) -> Digest:
    """Read the whole table once."""
    values = sql.SQL(", ").join(hashed_form(sql.Identifier(name), kind) for name, kind in table.columns)
    query = sql.SQL(
        "SELECT count(*), coalesce(sum(h), 0)::text, coalesce(bit_xor(h), 0)::text "
        "FROM (SELECT hash_record_extended(ROW({values}), 0) AS h FROM {table}) AS hashed"
    ).format(values=values, table=table.rows)
    try:
        with connection.transaction():
            row = connection.execute(query).fetchone()
    except (psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedTable, psycopg.errors.UndefinedObject):
        # The planner puts SQL functions of the table's indexes in line, and they may find names by the path.
        with connection.transaction():
            connection.execute("SELECT set_config(name, reset_val, true) FROM pg_settings WHERE name = 'search_path'")
            row = connection.execute(query).fetchone()
            connection.execute("SELECT set_config('search_path', '', true)")
    assert row is not None
    return Digest(*row)


def of_tables(
    connection: Connection, chosen: list[Table], *, told: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Digest]:
    """Label -> digest; `told(done, total)` counts tables."""
    found = {}
    for number, table in enumerate(chosen, start=1):
        found[table.label] = of_table(connection, table)
        told(number, len(chosen))
    return found


def of_sequences(connection: Connection, schemas: list[str]) -> dict[str, str]:
    """Label -> last value, with a mark where it was handed out already.

    A sequence stands outside of transactions: this is its value now, whatever the snapshot.
    """
    names = connection.execute(
        """
        SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY (%s) AND c.relkind = 'S' AND c.relpersistence <> 't'
          AND NOT EXISTS (SELECT FROM pg_depend d
                          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
        ORDER BY 1, 2
        """,
        [schemas],
    ).fetchall()
    found = {}
    for schema, name in names:
        row = connection.execute(
            sql.SQL("SELECT last_value::text || CASE WHEN is_called THEN ' used' ELSE '' END FROM {}").format(
                sql.Identifier(schema, name)
            )
        ).fetchone()
        assert row is not None
        found[f"{schema}.{name}"] = row[0]
    return found


def of_large_objects(connection: Connection) -> Digest:
    """All large objects as if they were one table of number and content."""
    row = connection.execute(
        """
        SELECT count(*), coalesce(sum(h), 0)::text, coalesce(bit_xor(h), 0)::text
        FROM (SELECT hash_record_extended(ROW(oid, lo_get(oid)), 0) AS h FROM pg_largeobject_metadata) AS hashed
        """
    ).fetchone()
    assert row is not None
    return Digest(*row)


def hashed_form(column: sql.Composable, kind: str) -> sql.Composable:
    """What is hashed of a column whose built-in type pg_type calls `kind`; "" for any other type."""
    if kind not in _HASHED_AS_THEY_ARE:
        column = sql.SQL("{}::text").format(column)
    elif kind not in _TEXT:
        return column
    # A nondeterministic collation hashes what it takes for equal alike.
    return sql.SQL('{} COLLATE "C"').format(column)
