"""The history of a row: what the audit log says of it, and Django's own log, as one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connections, models, router
from django.utils.formats import localize
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext

from sysadmin.admin import kinds
from sysadmin.admin.forms import pretty
from sysadmin.models import AuditLog, User
from sysadmin.trail import Entry, Question, find

#: Of a row, so many of the newest.
MOST = 200
#: What Django's log calls what ours knows better: it is shown where ours has nothing of that person at that time.
_SAME = {ADDITION: "INSERT", CHANGE: "UPDATE", DELETION: "DELETE"}
_MOMENT = timedelta(seconds=10)


@dataclass(frozen=True)
class Line:
    """Something that was done to a row; `changes`: (field, before, after)."""

    at: datetime
    who: str
    role: str
    what: str
    told: str
    changes: tuple[tuple[str, str, str], ...] = ()

    @property
    def time(self) -> str:
        return str(localize(localtime(self.at)))


def of(model: type[models.Model], key: UUID) -> list[Line]:
    """The newest first, as far as the acting role may see it."""
    entries = find(connections[router.db_for_read(AuditLog)], Question(record=key, limit=MOST))
    ours = [_line(model, entry) for entry in entries]
    djangos = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(model), object_id=str(key)
    ).order_by("-action_time")[:MOST]
    names = dict(User.objects.filter(pk__in={entry.user_id for entry in djangos}).values_list("pk", "name"))
    theirs = [
        Line(
            entry.action_time,
            names.get(entry.user_id) or str(entry.user_id),
            "",
            kinds.kind(_SAME[entry.action_flag]),
            str(entry),
        )
        for entry in djangos
        if not any(_is_same(entry, known) for known in entries)
    ]
    return sorted(ours + theirs, key=lambda line: line.at, reverse=True)[:MOST]


def _is_same(entry: LogEntry, known: Entry) -> bool:
    return (
        known.action == _SAME[entry.action_flag]
        and known.user_id == entry.user_id
        and abs(known.at - entry.action_time) < _MOMENT
    )


def _line(model: type[models.Model], entry: Entry) -> Line:
    fields = {field.column: field for field in model._meta.concrete_fields}
    told = str(kinds.PURPOSES.get(entry.why, entry.why))
    changes: tuple[tuple[str, str, str], ...] = ()
    if entry.action == "READ":
        told = ": ".join(filter(None, (told, ", ".join(_label(fields, name) for name in entry.columns))))
    elif isinstance(entry.before, dict) or isinstance(entry.after, dict):
        before, after = (side if isinstance(side, dict) else {} for side in (entry.before, entry.after))
        changes = tuple(
            (
                _label(fields, name),
                shown(fields.get(name), before.get(name)),
                shown(fields.get(name), after.get(name)),
            )
            for name in sorted(before | after)
            if entry.action not in ("INSERT", "DELETE") or fields.get(name) is None or fields[name].editable
        )
    return Line(entry.at, entry.person, kinds.role(entry.acted_as), kinds.kind(entry.action), told, changes)


def _label(fields: dict[str, Any], column: str) -> str:
    return str(fields[column].verbose_name) if column in fields else column


def shown(field: Any, value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return gettext("Yes") if value else gettext("No")
    if value == "[redacted]":
        return gettext("(hidden)")
    if isinstance(value, dict) and value.keys() == {"length", "sha256", "beginning"}:
        letters = ngettext("%(count)d letter", "%(count)d letters", value["length"]) % {"count": value["length"]}
        return f"{value['beginning']} … ({letters})"
    if field is not None and field.choices:
        return str(dict(field.flatchoices).get(value, value))
    return value if isinstance(value, str) else pretty(value)
