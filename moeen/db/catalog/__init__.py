"""What stands in a database: `reading` asks pg_catalog, `objects` holds the answers, `sizes` says how much there is."""

from __future__ import annotations

from moeen.db.catalog.objects import (
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
)
from moeen.db.catalog.reading import (
    is_looking,
    looking,
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
    "is_looking",
    "looking",
    "read",
    "read_tables",
    "read_temporary_table",
    "read_whole",
    "read_whole_with",
]
