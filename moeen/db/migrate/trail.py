"""What of a clinic's own on the audit log would change an entry, or refuse one, and with it the write that it tells of.

The log refuses such a trigger itself, so that afterwards nothing could be written at all: it is told beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db import registry
from moeen.db.actions import DropConstraint, DropIndex, DropTrigger
from moeen.db.converge.leftovers import LEGACY_FUNCTIONS
from moeen.db.converge.subject import Subject
from moeen.db.findings import Finding, Fix
from moeen.db.kinds import Kind
from moeen.db.names import PUBLIC, ObjectName
from moeen.db.sql import compose

_WHY = "a write that cannot be recorded does not happen: what keeps an entry out of the log keeps people from working"


def findings(connection: BaseDatabaseWrapper, adopted: Sequence[Subject]) -> Iterator[Finding]:
    """Triggers before an entry, and constraints on what is ours to write into one."""
    log = registry.facts().audit_table
    if log:
        yield from _triggers(connection, ObjectName(PUBLIC, log))
    for item in adopted:
        if item.name == log and item.live.kind == "r":
            yield from _constraints(item)


def _triggers(connection: BaseDatabaseWrapper, log: ObjectName) -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute(_TRIGGERS, [compose("{t}", t=log.identifier()), sorted(LEGACY_FUNCTIONS)])
        found = cursor.fetchall()
    for name, definition in found:
        fix = Fix.by(DropTrigger(log.has(name)), advice="or make it anew, to run AFTER INSERT")
        expected = "no trigger that could change or refuse an entry"
        yield Finding(f"{log.table}.{name}", Kind.TRIGGER_DEFINITION, expected, definition, fix=fix, why=_WHY)


def _constraints(item: Subject) -> Iterator[Finding]:
    """Those on its own columns a clinic may keep; a key to a person would besides keep that person for ever."""
    ours = {column.name for column in item.want.columns}
    kept = {constraint.columns for constraint in item.pattern.constraints.values() if constraint.kind in "pu"}
    expected = "none that could refuse an entry"
    for constraint in item.live.constraints.values():
        known = {*item.pattern.constraints, *item.legacy.constraints}
        is_key = constraint.kind in "pu" and constraint.columns in kept
        if not is_key and constraint.name not in known and not ours.isdisjoint(constraint.columns):
            fix = Fix.by(DropConstraint(item.has(constraint.name)))
            where, words = f"{item.name}.{constraint.name}", constraint.definition
            yield Finding(where, Kind.CONSTRAINT_DEFINITION, expected, words, fix=fix, why=_WHY)
    for index in item.live.indexes.values():
        own = index.unique and not index.constraint and index.name not in item.pattern.indexes
        if own and not ours.isdisjoint(re.findall(r"\w+", index.definition)):
            fix = Fix.by(DropIndex(item.has(index.name)))
            where, words = f"{item.name}.{index.name}", index.definition
            yield Finding(where, Kind.INDEX_DEFINITION, expected, words, fix=fix, why=_WHY)


# Before an INSERT: of each row (1, 2 and 4), or of the statement (2 and 4).
_TRIGGERS = """
    SELECT t.tgname::text, pg_get_triggerdef(t.oid, true)
    FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE t.tgrelid = to_regclass(%s) AND NOT t.tgisinternal AND t.tgtype & 6 = 6
      AND n.nspname <> 'app' AND n.nspname || '.' || p.proname <> ALL (%s)
    ORDER BY 1
"""
