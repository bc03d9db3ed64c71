"""The audit log's pages: to be read, and nothing else."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from moeen.db import public_ids
from moeen.db.security import reads
from sysadmin.admin.base import ModelAdmin, ltr
from sysadmin.admin.forms import pretty
from sysadmin.admin.history import shown
from sysadmin.admin.kinds import KINDS, kind, models_by_table, role, table
from sysadmin.admin.lists import NewestPaginator
from sysadmin.models import AuditLog, User
from sysadmin.pages import row_page

ABSENT = object()


class TableFilter(admin.SimpleListFilter):
    """By table, from the models: asking the log which tables occur would read all of it."""

    title = _("table")
    parameter_name = "table_name"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(table, model._meta.verbose_name_plural) for table, model in sorted(models_by_table().items())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditLog]) -> QuerySet[AuditLog]:
        return queryset.filter(table_name=self.value()) if self.value() else queryset


class ActionFilter(admin.SimpleListFilter):
    """By what was done."""

    title = _("action")
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(KINDS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditLog]) -> QuerySet[AuditLog]:
        return queryset.filter(action=self.value()) if self.value() else queryset


@admin.register(AuditLog)
class AuditLogAdmin(ModelAdmin):
    """Who changed what: newest first, old and new values side by side."""

    list_display = ("created_at", "shown_action", "shown_table", "short_record", "actor", "shown_public_id")
    date_hierarchy = "created_at"
    show_facets = admin.ShowFacets.NEVER  # each count reads the whole log
    list_filter = (ActionFilter, TableFilter, "created_at")
    search_fields = ("public_id__exact", "table_name__exact", "action__exact")
    search_help_text = _(
        "A public id, the internal id of a row or of a user, or a table as the database calls it. Of more than 10,000 "
        "entries the first 10,000 are listed: say a day or a kind."
    )
    paginator = NewestPaginator
    fieldsets = (
        (None, {"fields": ("shown_action", "shown_table", "record", "actor", "shown_role", "changes")}),
        (_("Origin"), {"fields": ("ip_address", "user_agent", "request_id")}),
    )
    readonly_fields = ("shown_action", "shown_table", "record", "actor", "shown_role", "changes")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditLog]:
        name = User.objects.filter(pk=OuterRef("user_id")).values("name")[:1]
        email = User.objects.filter(pk=OuterRef("user_id")).values("email")[:1]
        return super().get_queryset(request).annotate(actor_name=Subquery(name), actor_email=Subquery(email))

    def search_by_id(self, request: HttpRequest, term: str) -> Q | None:
        """Of each kind of word one condition, which has an index: joined by OR they would read the whole log."""
        if not term:
            return None
        key: Any = None
        try:
            key = UUID(term)
        except ValueError:
            try:
                model = public_ids.parse(term).model
            except public_ids.PublicIdError:
                return Q(action=term) if term.isupper() else Q(table_name=term)
            if model is AuditLog:
                return Q(public_id=term)
            key = model._base_manager.filter(public_id=term).values_list("pk", flat=True).first()
        asked = [Q(pk=key), Q(record_id=key), Q(user_id=key)]
        return reduce(or_, (one for one in asked if key and AuditLog.objects.filter(one).exists()), Q(pk__in=[]))

    @admin.display(description=_("action"))
    def shown_action(self, obj: AuditLog) -> str:
        return kind(obj.action)

    @admin.display(description=_("table"), ordering="table_name")
    def shown_table(self, obj: AuditLog) -> str:
        return table(obj.table_name)

    @admin.display(description=_("acted as"))
    def shown_role(self, obj: AuditLog) -> str:
        return role(obj.acted_as)

    @admin.display(description=_("user"), ordering="user_id")
    def actor(self, obj: Any) -> str:
        if obj.user_id is None:
            return "-"
        name = obj.actor_name or obj.actor_email
        if name is None:  # the user is gone; the log is not
            return ltr(str(obj.user_id))
        return format_html('<a href="{}">{}</a>', reverse("admin:sysadmin_user_change", args=[obj.user_id]), name)

    @admin.display(description=_("record"))
    def record(self, obj: AuditLog) -> str:
        return linked_record(obj, str(obj.record_id))

    @admin.display(description=_("record"), ordering="record_id")
    def short_record(self, obj: AuditLog) -> str:
        return linked_record(obj, str(obj.record_id)[:8])

    @admin.display(description=_("changes"))
    def changes(self, obj: AuditLog) -> str:
        old, new = _columns(obj.old_values), _columns(obj.new_values)
        reads.told(obj.table_name, obj.record_id, {*old, *new})
        if not old and not new:
            return "-"
        model = models_by_table().get(obj.table_name)
        fields = {field.column: field for field in model._meta.concrete_fields} if model else {}
        rows = format_html_join(
            "",
            '<tr><th scope="row">{}</th><td><bdi>{}</bdi></td><td><bdi>{}</bdi></td></tr>',
            (
                (
                    ltr(name),
                    _cell(fields.get(name), old.get(name, ABSENT)),
                    _cell(fields.get(name), new.get(name, ABSENT)),
                )
                for name in sorted({*old, *new})
            ),
        )
        return format_html(
            '<table class="changes"><thead><tr><th scope="col">{}</th><th scope="col">{}</th>'
            '<th scope="col">{}</th></tr></thead><tbody>{}</tbody></table>',
            gettext("Column"),
            gettext("Before"),
            gettext("After"),
            rows,
        )


def linked_record(obj: AuditLog, text: str) -> str:
    """The row that was changed: a link, when its table has pages."""
    if obj.record_id is None:
        return "-"
    model = models_by_table().get(obj.table_name)
    if model is None:
        return ltr(text)
    address = row_page(model, obj.record_id)
    return format_html('<a href="{}">{}</a>', address, ltr(text))


def _columns(values: Any) -> dict[str, Any]:
    """The values by column; older entries may hold anything."""
    if values is None:
        return {}
    return values if isinstance(values, dict) else {"*": values}


def _cell(field: Any, value: Any) -> str:
    """As it was written; of a choice, what it is called."""
    if value is ABSENT:
        return ""
    if field is not None and field.choices:
        return shown(field, value)
    return value if isinstance(value, str) else pretty(value)
