"""Looking entries of the audit log up: by table, row, patient, person, time and kind. Newest first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db.security import reads


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked for; what is None or empty is not asked about. `since` is included, `until` is not."""

    table: str = ""
    record: UUID | None = None
    patient: UUID | None = None
    user: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    kinds: Sequence[str] = ()
    limit: int | None = None


@dataclass(frozen=True)
class Entry:
    """An entry of the log, and what its person is called now; None for nobody and for whoever is there no more."""

    public_id: str
    at: datetime
    user_id: UUID | None
    who: str | None
    acted_as: str | None
    action: str
    table: str
    record: UUID | None
    patient: UUID | None
    before: Any
    after: Any
    address: str | None
    agent: str | None
    request: str | None

    @property
    def person(self) -> str:
        """Who it was as people read it: the name, else the id, - for nobody."""
        return self.who or (str(self.user_id) if self.user_id else "-")

    @property
    def why(self) -> str:
        """The purpose of a read, the reason of an emergency."""
        said = self.after if isinstance(self.after, dict) else {}
        return str(said.get({"READ": "purpose", "BREAK_GLASS": "reason"}.get(self.action, ""), ""))

    @property
    def columns(self) -> list[str]:
        """Those that were read, or changed."""
        if self.action == "READ":
            return list((self.after or {}).get("columns") or [])
        if self.action != "UPDATE":
            return []
        return sorted(self.after) if isinstance(self.after, dict) else []

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.public_id,
            "at": self.at.isoformat(),
            "user_id": self.user_id and str(self.user_id),
            "who": self.who,
            "acted_as": self.acted_as,
            "action": self.action,
            "table": self.table,
            "record_id": self.record and str(self.record),
            "patient_id": self.patient and str(self.patient),
            "why": self.why,
            "before": self.before,
            "after": self.after,
            "ip_address": self.address,
            "user_agent": self.agent,
            "request_id": self.request,
        }


#: What is asked -> its condition. Each has an index that begins with it and goes on with the time; of kinds, the rare.
_CONDITIONS = {
    "table": "a.table_name = {}",
    "record": "a.record_id = {}",
    # Entries from before the log named patients say whom they concern by the row alone.
    "patient": "(a.patient_id = {0} OR (a.record_id = {0} AND a.patient_id IS NULL AND a.table_name = 'patients'))",
    "user": "a.user_id = {}",
    "since": "a.created_at >= {}",
    "until": "a.created_at < {}",
    "kinds": "a.action = ANY ({})",
}
_QUERY = """
    SELECT a.public_id, a.created_at, a.user_id, coalesce(nullif(u.name, ''), u.email), a.acted_as, a.action,
           a.table_name, a.record_id, a.patient_id, a.old_values::text, a.new_values::text, host(a.ip_address),
           a.user_agent, a.request_id
    FROM audit_logs AS a LEFT JOIN users AS u ON u.id = a.user_id
    WHERE {conditions} ORDER BY a.created_at DESC, a.id LIMIT {limit}
"""


def find(connection: BaseDatabaseWrapper, question: Question) -> list[Entry]:
    """The entries that the current identity may see; clinical values in them are read, and noted so."""
    asked = {name: getattr(question, name) for name in _CONDITIONS if getattr(question, name)}
    conditions: list[sql.Composable] = [sql.SQL(_CONDITIONS[name]).format(sql.Placeholder(name)) for name in asked] or [
        sql.SQL("true")
    ]
    query = sql.SQL(_QUERY).format(conditions=sql.SQL(" AND ").join(conditions), limit=sql.Placeholder("limit"))
    values = {name: list(value) if name == "kinds" else value for name, value in asked.items()}
    with connection.cursor() as cursor:
        cursor.execute(query, values | {"limit": question.limit})
        found = [
            Entry(*row[:9], *(json.loads(text) if text else None for text in row[9:11]), *row[11:])
            for row in cursor.fetchall()
        ]
    for entry in found:
        reads.told(entry.table, entry.record, values_of(entry.before, entry.after) if entry.action != "READ" else ())
    return found


def values_of(*sides: Any) -> set[str]:
    """The columns whose values an entry holds; older entries may hold anything."""
    return {name for side in sides if isinstance(side, dict) for name in side}
