"""Histories that other migration tools keep in the same database, by the tables that their documentation names.

Two that change one schema do not know of each other: what the other did since our last run, we have not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.sql import compose, fragment


@dataclass(frozen=True)
class Tool:
    """``column``: when an entry was made; "" where it is not kept, or without a zone. ``moment``: its SQL as a time."""

    name: str
    schema: str
    table: str
    column: str = ""
    moment: str = ""


TOOLS = (
    Tool("Supabase CLI", "supabase_migrations", "schema_migrations"),
    Tool("Prisma", "public", "_prisma_migrations", "finished_at"),
    Tool("Drizzle", "drizzle", "__drizzle_migrations", "created_at", "to_timestamp(created_at / 1000.0)"),
    Tool("Knex", "public", "knex_migrations", "migration_time"),
    Tool("Flyway", "public", "flyway_schema_history"),
    Tool("Liquibase", "public", "databasechangelog"),
    Tool("Alembic", "public", "alembic_version"),
    Tool("Sequelize", "public", "SequelizeMeta"),
    Tool("Rails", "public", "schema_migrations"),
)


@dataclass(frozen=True)
class OtherHistory:
    """``entries``: None where it may not be read. ``newest``: of the newest entry, None where that is not told."""

    tool: Tool
    entries: int | None
    newest: datetime | None

    def pretty(self) -> str:
        number = "not readable" if self.entries is None else f"{self.entries:,} entries"
        return f"{self.tool.name} ({self.tool.schema}.{self.tool.table}, {number})"


def look(connection: BaseDatabaseWrapper) -> Iterator[OtherHistory]:
    """Those that stand. Raises the database's errors."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT n.nspname::text, c.relname::text,
                      has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'),
                      ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0)
               FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
               WHERE c.relname = ANY (%s) AND c.relkind IN ('r', 'p')""",
            [[tool.table for tool in TOOLS]],
        )
        stands = {(schema, table): rest for schema, table, *rest in cursor.fetchall()}
        for tool in TOOLS:
            readable, columns = stands.get((tool.schema, tool.table), (None, ()))
            if readable is None:
                continue
            if not readable:
                yield OtherHistory(tool, None, None)
                continue
            moment = (tool.moment or tool.column) if tool.column in columns else "NULL"
            query = "SELECT count(*), max({m})::timestamptz FROM {s}.{t}"
            cursor.execute(compose(query, m=fragment(moment), s=tool.schema, t=tool.table))
            yield OtherHistory(tool, *cursor.fetchone())
