"""Pages of backfills: how far each has come, and two actions, pause and go on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from moeen.db.backfill import runs
from sysadmin.admin import kinds
from sysadmin.admin.base import ModelAdmin, ltr, preformatted
from sysadmin.models import BackfillRun, PublicIdAlias

#: A worker that holds its lock and says nothing for so long is stuck.
SILENT = timedelta(minutes=5)


def state(run: Any) -> str:
    """ok, warn or fail. `run`: of get_queryset(), which knows whether its worker lives."""
    if run.finished_at is not None:
        return "ok"
    if run.status in ("failed", "incomplete"):
        return "fail"
    return "ok" if run.lives and timezone.now() - run.heartbeat_at < SILENT else "warn"


def left(run: Any) -> timedelta | None:
    """How long it will still take at its rate so far; None where nobody works on it."""
    rate = run.rows_filled / run.seconds if run.seconds else 0
    if run.finished_at is not None or not run.lives or not rate:
        return None
    return timedelta(seconds=round(max(run.rows_missing - run.rows_filled, 0) / rate))


@admin.register(BackfillRun)
class BackfillRunAdmin(ModelAdmin):
    """Runs, newest first. A run looks every second whether it shall wait."""

    list_display = (
        "shown_name",
        "shown_table",
        "shown_status",
        "progress",
        "shown_rate",
        "shown_note",
        "heartbeat_at",
        "started_at",
    )
    list_filter = ("status",)
    search_fields = ("table_name", "name")
    ordering = ("-started_at",)
    actions = ("pause", "go_on")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "shown_name",
                    "shown_table",
                    "shown_status",
                    "pause_requested",
                    "progress",
                    "shown_rate",
                    "shown_note",
                )
            },
        ),
        (_("Rows"), {"fields": ("rows_total", "rows_missing", "rows_filled", "refused")}),
        (_("Progress"), {"fields": ("sweep", "position", "bound", "batches", "seconds")}),
        (_("Times"), {"fields": ("started_at", "heartbeat_at", "finished_at")}),
    )
    readonly_fields = ("shown_name", "shown_table", "shown_status", "progress", "shown_rate", "shown_note", "refused")

    def all_record_fields(self) -> tuple[str, ...]:
        return ("shown_id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[BackfillRun]:
        lives = RawSQL(*runs.lives(), output_field=BooleanField())
        return super().get_queryset(request).annotate(lives=lives)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # the one column that may be written is written by the actions

    def has_pause_permission(self, request: HttpRequest) -> bool:
        # Nothing of a run is edited, but whoever may change runs may make them wait.
        return request.user.has_perm("sysadmin.change_backfillrun")

    @admin.action(description=_("Pause the selected runs"), permissions=["pause"])
    def pause(self, request: HttpRequest, queryset: QuerySet[BackfillRun]) -> None:
        self.tell(request, queryset, paused=True)

    @admin.action(description=_("Let the selected runs go on"), permissions=["pause"])
    def go_on(self, request: HttpRequest, queryset: QuerySet[BackfillRun]) -> None:
        self.tell(request, queryset, paused=False)

    def tell(self, request: HttpRequest, queryset: QuerySet[BackfillRun], *, paused: bool) -> None:
        """Have the unfinished ones of these runs wait, or go on; their history says who did."""
        told = list(queryset.filter(finished_at__isnull=True))
        count = queryset.filter(pk__in=[run.pk for run in told], finished_at__isnull=True).update(
            pause_requested=paused
        )
        change = {"changed": {"fields": [str(BackfillRun._meta.get_field("pause_requested").verbose_name)]}}
        for run in told:
            self.log_change(request, run, [change])
        text = ngettext("%(count)d unfinished run was told.", "%(count)d unfinished runs were told.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)

    @admin.display(description=_("name"), ordering="name")
    def shown_name(self, obj: BackfillRun) -> str:
        return obj.shown_name

    @admin.display(description=_("table"), ordering="table_name")
    def shown_table(self, obj: BackfillRun) -> str:
        return kinds.table(obj.table_name)

    @admin.display(description=_("status"), ordering="status")
    def shown_status(self, obj: Any) -> str:
        """A run whose worker was killed says so; in the table it is running for ever."""
        if obj.finished_at is None and obj.status in ("running", "paused"):
            if not obj.lives:
                return str(_("Stopped: its worker is gone"))
            if timezone.now() - obj.heartbeat_at > SILENT:
                return str(_("Stuck: no sign of life"))
        return str(obj.get_status_display())

    @admin.display(description=_("progress"))
    def progress(self, obj: BackfillRun) -> str:
        total = max(obj.rows_missing, obj.rows_filled, 1)
        return format_html(
            '<progress max="{}" value="{}"></progress> <bdi dir="ltr">{}%</bdi>',
            total,
            obj.rows_filled,
            100 * obj.rows_filled // total,
        )

    @admin.display(description=_("note"), ordering="note")
    def shown_note(self, obj: BackfillRun) -> str:
        return kinds.note(obj.note)

    @admin.display(description=_("rows a second"))
    def shown_rate(self, obj: BackfillRun) -> str:
        return ltr(f"{obj.rows_filled / obj.seconds:,.0f}") if obj.seconds else "-"

    @admin.display(description=_("refused rows"))
    def refused(self, obj: BackfillRun) -> str:
        return (
            preformatted("\n".join(f"{one['row']}: {one['reason']}" for one in obj.failures)) if obj.failures else "-"
        )


@admin.register(PublicIdAlias)
class PublicIdAliasAdmin(ModelAdmin):
    """Public ids that were replaced, and the rows they lead to."""

    list_display = ("shown_alias", "shown_table", "row_id", "created_at")
    list_filter = ("table_name",)
    search_fields = ("alias__exact",)
    ordering = ("-created_at",)
    fieldsets = ((None, {"fields": ("shown_alias", "shown_table", "row_id", "created_at")}),)
    readonly_fields = ("shown_alias", "shown_table")

    def all_record_fields(self) -> tuple[str, ...]:
        return ("shown_id",)

    def search_by_id(self, request: HttpRequest, term: str) -> Any:
        return None  # its own uuid is nothing that anybody would look for

    @admin.display(description=_("former public id"), ordering="alias")
    def shown_alias(self, obj: Any) -> str:
        return ltr(obj.alias)

    @admin.display(description=_("table"), ordering="table_name")
    def shown_table(self, obj: Any) -> str:
        return kinds.table(obj.table_name)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip().replace("\0", "")
        return (queryset.filter(alias=term) if term else queryset), False
