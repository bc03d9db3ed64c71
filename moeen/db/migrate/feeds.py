"""Who is sent the rows of our tables as they change: told before, for what follows the run breaks at their end."""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby

from django.db.backends.base.base import BaseDatabaseWrapper


def look(connection: BaseDatabaseWrapper, tables: Collection[str]) -> tuple[str, ...]:
    """In words: the publications that send these tables with whatever columns they have, and who reads changes."""
    with connection.cursor() as cursor:
        cursor.execute(_PUBLISHED, [sorted(tables)])
        published = cursor.fetchall()
        cursor.execute(
            """SELECT format('%%s (%%s%%s)', slot_name, plugin, CASE WHEN active THEN '' ELSE ', unread now' END),
                      plugin = 'pgoutput'
               FROM pg_replication_slots WHERE slot_type = 'logical' AND database = current_database() ORDER BY 1"""
        )
        slots = cursor.fetchall()
    said = []
    readers = ", ".join(name for name, of_publications in slots if of_publications) or "none"
    for publication, rows in groupby(published, key=lambda row: row[0]):
        names = ", ".join(table for _, table in rows)
        said.append(
            f"Publication {publication} sends {names}, with the columns that they get: a subscriber stops at the first "
            f"row until it has them too, and is sent the rows that are changed. Add them there first. Slots: {readers}."
        )
    if others := [name for name, of_publications in slots if not of_publications]:
        said.append(f"Each change, those of migrate too, is read through slot {', '.join(others)}.")
    return tuple(said)


# Where it lists columns, none comes to it. What lists them differs by version.
_PUBLISHED = """
    SELECT p.pubname::text, t.tablename::text
    FROM pg_publication AS p JOIN pg_publication_tables AS t USING (pubname)
    JOIN pg_class AS c ON c.relnamespace = 'public'::regnamespace AND c.relname = t.tablename
    WHERE t.schemaname = 'public' AND t.tablename = ANY (%s)
      AND NOT EXISTS (SELECT FROM pg_publication_rel AS r
                      WHERE r.prpubid = p.oid AND r.prrelid = c.oid AND to_jsonb(r) ->> 'prattrs' IS NOT NULL)
    ORDER BY 1, 2
"""
