"""What stands in a database: every read of pg_catalog, as dataclasses."""

from __future__ import annotations

from moeen.db.catalog.reading import (
    SCHEMAS,
    Catalog,
    Column,
    Constraint,
    Function,
    Grants,
    Index,
    Policy,
    Role,
    Schema,
    Sequence,
    Table,
    Trigger,
    Type,
    dependent_views,
    read,
    read_tables,
    read_temporary_table,
    read_whole,
    read_whole_with,
)

__all__ = [
    "SCHEMAS",
    "Catalog",
    "Column",
    "Constraint",
    "Function",
    "Grants",
    "Index",
    "Policy",
    "Role",
    "Schema",
    "Sequence",
    "Table",
    "Trigger",
    "Type",
    "dependent_views",
    "read",
    "read_tables",
    "read_temporary_table",
    "read_whole",
    "read_whole_with",
]
