"""A clinic's own triggers on tables whose rows adoption changes: told of beforehand, and held off where that is said.

Held off means disabled and enabled again within each transaction that fills values. The owner of a table may do that,
and no other session ever sees them disabled; ours and those behind foreign keys go on firing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.converge.leftovers import LEGACY_FUNCTIONS
from moeen.db.findings import Finding, Fix
from moeen.db.kinds import Kind
from moeen.db.scoped import scoped
from moeen.db.sql import compose, fragment

_held: ContextVar[bool] = ContextVar("held", default=False)
#: A body that does nothing but let the row pass.
_IDLE = re.compile(r"\s*BEGIN\s+RETURN\s+(?P<what>NEW|OLD|NULL)\s*;\s*END\s*;?\s*", re.IGNORECASE)
#: As an operator's session is pinned.
_OURS_AGAIN = ("RESET ROLE", "SET search_path TO public", "SET statement_timeout TO 0")
_AGAIN = {"O": "ENABLE TRIGGER", "A": "ENABLE ALWAYS TRIGGER"}


@dataclass(frozen=True)
class Trigger:
    """A trigger that fires at an UPDATE. ``columns``: of these alone, of any where there are none."""

    table: str
    name: str
    before: bool
    state: str
    columns: tuple[str, ...]
    function: str
    body: str

    @property
    def is_idle(self) -> bool:
        """Whether its function plainly does nothing, and keeps no row."""
        found = _IDLE.fullmatch(self.body)
        return found is not None and (not self.before or found["what"].upper() == "NEW")

    def fires_for(self, columns: Collection[str]) -> bool:
        return not self.columns or not set(self.columns).isdisjoint(columns)

    def finding(self, rows: int) -> Finding:
        when = "before" if self.before else "after"
        return Finding(
            f"{self.table}.{self.name}",
            Kind.TRIGGER_FIRES,
            "no trigger of others at the rows that adoption changes",
            f"{self.function} at {rows:,} {'row' if rows == 1 else 'rows'}, {when} the change",
            fix=Fix(advice="manage.py migrate --hold-triggers keeps it from firing; --fire-triggers lets it fire"),
            why="it may keep or refuse a row, which stops the run half-way, or tell others of changes that nobody made",
        )


def holding(yes: bool) -> AbstractContextManager[bool]:
    """Meanwhile triggers of others do not fire when values are filled in, where ``yes``."""
    return scoped(_held, yes)


def without(connection: BaseDatabaseWrapper, table: str, statements: Sequence[str]) -> list[str]:
    """The statements, which change rows of the table, with its triggers of others held off where that was said.

    Where they fire, one may set the session's path or role, and the next statement would be another's.
    """
    found = look(connection, table)
    if not _held.get():
        return [part for statement in statements for part in (statement, *(_OURS_AGAIN if found else ()))]
    names = {"t": table}
    off = [compose("ALTER TABLE {t} DISABLE TRIGGER {n}", n=it.name, **names) for it in found]
    on = [compose("ALTER TABLE {t} {how} {n}", how=fragment(_AGAIN[it.state]), n=it.name, **names) for it in found]
    # What is deferred to the end of the transaction would keep the triggers from being switched on again.
    return [*off, *statements, *(["SET CONSTRAINTS ALL IMMEDIATE"] if on else []), *on]


def look(connection: BaseDatabaseWrapper, table: str) -> list[Trigger]:
    """The enabled triggers of a table of schema public that fire at an UPDATE; ours and the older scripts' aside."""
    with connection.cursor() as cursor:
        cursor.execute(_QUERY, [compose("public.{t}", t=table), list(LEGACY_FUNCTIONS)])
        return [
            Trigger(table, name, before, state, tuple(columns), function, body)
            for name, before, state, columns, function, body in cursor.fetchall()
        ]


_QUERY = """
    SELECT t.tgname::text, (t.tgtype & 2) <> 0, t.tgenabled::text,
           ARRAY(SELECT a.attname::text FROM pg_attribute AS a
                 WHERE a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr::int2[])),
           n.nspname || '.' || p.proname, p.prosrc
    FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE t.tgrelid = to_regclass(%s) AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND (t.tgtype & 16) <> 0
      AND n.nspname <> 'app' AND n.nspname || '.' || p.proname <> ALL (%s)
    ORDER BY t.tgname
"""
