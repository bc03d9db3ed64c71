"""A clinic's own triggers that copy whole rows into a table of theirs: at the first one more column, they fail."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.converge.leftovers import LEGACY_FUNCTIONS
from moeen.db.converge.subject import Subject
from moeen.db.findings import Finding, Fix
from moeen.db.kinds import Kind

#: A row as it comes: OLD.*, (NEW).*, or what EXECUTE ... USING is given as ($1).*
_ROW = r"(?:\(\s*)?(?:OLD|NEW|\$\d+)\s*(?:\)\s*)?\.\s*\*"
#: In an INSERT, not in a comparison of the two.
_COPIES = re.compile(rf"\bINSERT\s+INTO\b[^;]*?{_ROW}", re.IGNORECASE)
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def findings(connection: BaseDatabaseWrapper, item: Subject) -> Iterator[Finding]:
    """For a table that gets more columns."""
    more = [column.name for column in item.missing]
    if not more or item.live.kind != "r":
        return
    with connection.cursor() as cursor:
        cursor.execute(_TRIGGERS, [item.live.oid, sorted(LEGACY_FUNCTIONS)])
        triggers = cursor.fetchall()
    some = next(iter(item.live.columns), "id")
    for name, function, body, transitions in triggers:
        if _copies_rows(body, transitions):
            yield Finding(
                f"{item.name}.{name}",
                Kind.TRIGGER_DEFINITION,
                "one that names the columns which it copies",
                f"{function} inserts whole rows; the table gets more columns: {', '.join(more)}",
                fix=Fix(
                    advice=f"let the function name the columns on both sides: ({some}, ...) VALUES (OLD.{some}, ...)"
                ),
                why="every write that sets it off would fail afterwards",
            )


def _copies_rows(body: str, transitions: list[str]) -> bool:
    """``transitions``: what a trigger of statements calls the rows before and after."""
    text = _COMMENTS.sub(" ", body)
    names = "|".join(re.escape(name) for name in transitions)
    all_of = rf"\bINSERT\s+INTO\b[^;]*?\bSELECT\s+(?:\w+\s*\.\s*)?\*[^;]*?\bFROM\s+\"?(?:{names})\b"
    return bool(_COPIES.search(text) or (names and re.search(all_of, text, re.IGNORECASE)))


_TRIGGERS = """
    SELECT t.tgname::text, n.nspname || '.' || p.proname, p.prosrc,
           array_remove(ARRAY[t.tgoldtable::text, t.tgnewtable::text], NULL)
    FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE t.tgrelid = %s AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
      AND n.nspname <> 'app' AND n.nspname || '.' || p.proname <> ALL (%s)
    ORDER BY 1
"""
