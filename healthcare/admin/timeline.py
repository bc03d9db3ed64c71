"""A patient's timeline: what every app keeps of them, the newest first, as far as whoever looks may see it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, time
from itertools import groupby
from typing import Any

from django.contrib.admin import AdminSite
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.timezone import localtime, make_aware
from django.utils.translation import gettext

from healthcare.models import Doctor, Patient
from sysadmin.admin import kinds
from sysadmin.admin.showing import both_calendars
from sysadmin.models import AuditLog, User
from sysadmin.pages import row_page

#: Of each kind so many of the newest; the lists have the others.
MOST = 40
#: What the audit log tells here; who read the record has a page of its own.
_CHANGES = ("INSERT", "UPDATE", "DELETE", "BREAK_GLASS", "LINK_SIGN_IN")


@dataclass(frozen=True)
class Event:
    """Something at a moment. `has_time`: it is known to the minute; `address`: of the row's page, "" without one."""

    at: datetime
    kind: str
    status: str
    told: str = ""
    address: str = ""
    has_time: bool = True


@dataclass(frozen=True)
class Timeline:
    """`more`: (name of the table, address of its list with this patient's rows), where there are older ones."""

    events: list[Event]
    more: list[tuple[str, str]]

    def days(self) -> list[tuple[Any, list[Event]]]:
        """The events of each day, which is shown in both calendars."""
        groups = groupby(self.events, key=lambda event: localtime(event.at).date())
        return [(both_calendars(day), list(events)) for day, events in groups]


def of(request: HttpRequest, site: AdminSite, patient: Patient) -> Timeline:
    """Asks each page that has ``moment_fields`` and whose rows refer to a patient, with one query."""
    events: list[Event] = []
    more: list[tuple[str, str]] = []
    treating: dict[Any, list[Any]] = {}
    for relation in Patient._meta.related_objects:
        model: Any = relation.related_model
        page: Any = site._registry.get(model)
        if page is None or not page.moment_fields or not page.has_view_permission(request):
            continue
        rows: QuerySet[Any] = page.get_queryset(request).filter(**{relation.field.name: patient.pk})
        found = list(rows.order_by(*(f"-{name}" for name in page.moment_fields), "-pk")[: MOST + 1])
        name = str(model._meta.verbose_name)
        if len(found) > MOST:
            listed = page.list_address(**{f"{relation.field.name}__id__exact": patient.pk})
            more.append((str(model._meta.verbose_name_plural), listed))
        for row in found[:MOST]:
            at, has_time = _moment([getattr(row, field) for field in page.moment_fields], row.created_at)
            if doctor := getattr(row, "doctor_id", None):
                treating.setdefault(doctor, []).append(len(events))
            status = row.get_status_display() if hasattr(row, "get_status_display") else ""
            events.append(Event(at, name, status, address=row_page(model, row.pk), has_time=has_time))
    for doctor in Doctor.objects.filter(pk__in=treating) if treating else ():
        for place in treating[doctor.pk]:
            events[place] = replace(events[place], told=str(doctor))
    return Timeline(sorted(events + _changes(patient), key=lambda event: event.at, reverse=True), more)


def _moment(values: list[Any], made: datetime) -> tuple[datetime, bool]:
    """Of a date, of a date and a time, or of a moment; without any, when the row was made."""
    day, *rest = values
    if day is None:
        return made, True
    if isinstance(day, datetime):
        return day, True
    return make_aware(datetime.combine(day, rest[0] if rest else time(0))), bool(rest)


def _changes(patient: Patient) -> list[Event]:
    """Who changed the record, without what: that would be a read of it."""
    person = User.objects.filter(pk=OuterRef("user_id")).values("name")
    # What was added stands in the timeline by itself.
    told = Q(action__in=_CHANGES) & (Q(table_name=Patient._meta.db_table) | ~Q(action="INSERT"))
    found = AuditLog.objects.filter(told, patient_id=patient.pk).order_by("-created_at")
    return [
        Event(at, gettext("Audit log"), f"{kinds.kind(action)}: {kinds.table(table)}", name or "")
        for at, action, table, name in found.values_list("created_at", "action", "table_name", Subquery(person))[:MOST]
    ]
