"""Advisory locks of two numbers: they belong to one database, and to a session as long as it lasts."""

from __future__ import annotations

from moeen.db.sql import compose, fragment

#: A row of pg_locks, called l, is of a session that holds the lock in this database; its numbers are the parameters.
#: Of every session pg_locks tells everybody.
HELD = """l.locktype = 'advisory' AND l.granted AND (l.classid, l.objid) = (%s, %s) AND l.objsubid = 2
      AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())"""


def is_held(lock: tuple[int, int]) -> tuple[str, list[int]]:
    """A condition, and its values: some session holds the lock in this database."""
    return compose("(EXISTS (SELECT FROM pg_locks AS l WHERE {held}))", held=fragment(HELD)), list(lock)
