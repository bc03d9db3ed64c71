"""Pages of runs over the fleet: what ran, how far it has come, what became of each clinic. To be read, nothing else."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from sysadmin.admin.base import ModelAdmin, ReadOnlyInline, ltr, preformatted
from sysadmin.models import FleetRun, FleetTurn

#: What may become of a run, and of a clinic in it.
OUTCOMES = {
    "running": _("Running"),
    "done": _("Done"),
    "failed": _("Failed"),
    "stopped": _("Stopped"),
    "replaced": _("Begun anew"),
    "waiting": _("Waiting"),
    "refused": _("Refused"),
    "skipped": _("Left out"),
}


class TurnInline(ReadOnlyInline):
    """The clinics of a run, wave by wave."""

    model = FleetTurn
    fields = ("wave", "shown_clinic", "shown_state", "took", "waited", "shown_backup", "shown_reason")
    readonly_fields = fields
    ordering = ("wave", "clinic")

    @admin.display(description=_("clinic"))
    def shown_clinic(self, obj: FleetTurn) -> str:
        return ltr(obj.clinic)

    @admin.display(description=_("state"))
    def shown_state(self, obj: FleetTurn) -> str:
        return str(OUTCOMES[obj.state])

    @admin.display(description=_("seconds"))
    def took(self, obj: FleetTurn) -> str:
        return ltr(f"{obj.seconds:.1f}")

    @admin.display(description=_("longest wait of a client"))
    def waited(self, obj: FleetTurn) -> str:
        return "-" if obj.stall_seconds is None else ltr(f"{obj.stall_seconds:.1f}")

    @admin.display(description=_("backup"))
    def shown_backup(self, obj: FleetTurn) -> str:
        return ltr(obj.receipt.get("backup") or "-")

    @admin.display(description=_("reason"))
    def shown_reason(self, obj: FleetTurn) -> str:
        return preformatted(obj.reason) if obj.reason else "-"


@admin.register(FleetRun)
class FleetRunAdmin(ModelAdmin):
    """Runs, newest first."""

    list_display = ("started_at", "shown_command", "shown_outcome", "progress", "shown_actor", "finished_at")
    list_filter = ("command",)
    search_fields = ("actor", "turns__clinic__exact")
    ordering = ("-started_at",)
    inlines: ClassVar[tuple[Any, ...]] = (TurnInline,)
    fieldsets = (
        (None, {"fields": ("shown_command", "shown_outcome", "shown_note", "progress", "pause_requested")}),
        (_("Origin"), {"fields": ("shown_actor", "shown_selection", "shown_target", "started_at", "finished_at")}),
    )
    readonly_fields = (
        "shown_command", "shown_outcome", "shown_note", "progress", "shown_actor", "shown_selection", "shown_target",
    )  # fmt: skip

    def all_record_fields(self) -> tuple[str, ...]:
        return ("shown_id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[FleetRun]:
        over = Count("turns", filter=~Q(turns__state__in=("waiting", "running")))
        return super().get_queryset(request).annotate(over=over, all=Count("turns"))

    @admin.display(description=_("command"), ordering="command")
    def shown_command(self, obj: FleetRun) -> str:
        return ltr(obj.command)

    @admin.display(description=_("outcome"), ordering="outcome")
    def shown_outcome(self, obj: FleetRun) -> str:
        return str(OUTCOMES[obj.outcome])

    @admin.display(description=_("clinics"))
    def progress(self, obj: Any) -> str:
        return ltr(f"{obj.over}/{obj.all}")

    @admin.display(description=_("by"), ordering="actor")
    def shown_actor(self, obj: FleetRun) -> str:
        return ltr(obj.actor)

    @admin.display(description=_("selection"))
    def shown_selection(self, obj: FleetRun) -> str:
        return ltr(obj.selection or "-")

    @admin.display(description=_("version"))
    def shown_target(self, obj: FleetRun) -> str:
        return preformatted(obj.target.replace(" ", "\n"))

    @admin.display(description=_("note"))
    def shown_note(self, obj: FleetRun) -> str:
        return preformatted(obj.note) if obj.note else "-"
