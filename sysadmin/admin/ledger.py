"""Pages of the ledger: what migrate did, when, from which version and with which backup. To be read, nothing else."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from moeen.db.migrate import mutex
from sysadmin.admin.base import ModelAdmin, ReadOnlyInline, ltr, preformatted
from sysadmin.admin.kinds import english
from sysadmin.models import MigrationRun, MigrationStep

#: What may become of a run, and of a migration in it.
OUTCOMES = {
    "running": _("Running"),
    "done": _("Done"),
    "failed": _("Failed"),
    "interrupted": _("Interrupted"),
    "applied": _("Applied"),
    "unapplied": _("Reversed"),
    "faked": _("Only recorded"),
    "accepted": _("Change accepted"),
}


class OutcomeFilter(admin.SimpleListFilter):
    """By outcome."""

    title = _("outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, OUTCOMES[name]) for name in ("done", "failed", "interrupted", "running")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[MigrationRun]) -> QuerySet[MigrationRun]:
        return queryset.filter(outcome=self.value()) if self.value() else queryset


class StepInline(ReadOnlyInline):
    """The migrations of a run, in the order in which they ran."""

    model = MigrationStep
    fields = ("migration", "shown_outcome", "took", "retries", "waited", "shown_file", "shown_sql", "shown_note")
    readonly_fields = fields
    ordering = ("started_at",)

    @admin.display(description=_("migration"))
    def migration(self, obj: MigrationStep) -> str:
        return ltr(f"{obj.app}.{obj.name}")

    @admin.display(description=_("outcome"))
    def shown_outcome(self, obj: MigrationStep) -> str:
        return str(OUTCOMES[obj.outcome])

    @admin.display(description=_("seconds"))
    def took(self, obj: MigrationStep) -> str:
        return ltr(f"{obj.seconds:.1f}")

    @admin.display(description=_("waited for locks"))
    def waited(self, obj: MigrationStep) -> str:
        return ltr(f"{obj.lock_wait_seconds:.1f}")

    @admin.display(description=_("checksum of the file"))
    def shown_file(self, obj: MigrationStep) -> str:
        return ltr(obj.file_checksum[:12])

    @admin.display(description=_("checksum of the SQL"))
    def shown_sql(self, obj: MigrationStep) -> str:
        return ltr(obj.sql_checksum[:12])

    @admin.display(description=_("note"))
    def shown_note(self, obj: MigrationStep) -> str:
        return english(obj.note)


@admin.register(MigrationRun)
class MigrationRunAdmin(ModelAdmin):
    """Runs of migrate, newest first."""

    list_display = ("started_at", "shown_outcome", "shown_actor", "count", "shown_backup", "finished_at")
    list_filter = (OutcomeFilter,)
    search_fields = ("actor", "backup_id__exact", "fingerprint__exact", "steps__name")
    ordering = ("-started_at",)
    inlines: ClassVar[tuple[Any, ...]] = (StepInline,)
    fieldsets = (
        (None, {"fields": ("shown_outcome", "shown_error", "started_at", "finished_at", "waited")}),
        (_("Origin"), {"fields": ("shown_actor", "shown_role", "shown_version", "decisions")}),
        (_("Proof"), {"fields": ("shown_backup", "no_backup_reason", "shown_fingerprint")}),
    )
    readonly_fields = (
        "shown_outcome",
        "shown_error",
        "waited",
        "shown_actor",
        "shown_role",
        "shown_version",
        "shown_backup",
        "shown_fingerprint",
    )

    def all_record_fields(self) -> tuple[str, ...]:
        return ("shown_id",)

    def get_queryset(self, request: HttpRequest) -> Any:
        lives = RawSQL(*mutex.lives(), output_field=BooleanField())
        return super().get_queryset(request).annotate(lives=lives).prefetch_related("steps")

    @admin.display(description=_("outcome"), ordering="outcome")
    def shown_outcome(self, obj: Any) -> str:
        """A run that was killed is marked by the next one; until then, nobody holds its lock."""
        killed = obj.outcome == "running" and not obj.lives
        return str(OUTCOMES["interrupted" if killed else obj.outcome])

    @admin.display(description=_("waited for the lock"))
    def waited(self, obj: MigrationRun) -> str:
        return ltr(f"{obj.lock_wait_seconds:.1f}")

    @admin.display(description=_("by"), ordering="actor")
    def shown_actor(self, obj: MigrationRun) -> str:
        return ltr(obj.actor)

    @admin.display(description=_("database role"))
    def shown_role(self, obj: MigrationRun) -> str:
        return ltr(obj.database_role)

    @admin.display(description=_("from version"))
    def shown_version(self, obj: MigrationRun) -> str:
        return preformatted(obj.from_version.replace(" ", "\n"))

    @admin.display(description=_("backup"))
    def shown_backup(self, obj: MigrationRun) -> str:
        return ltr(obj.backup_id)

    @admin.display(description=_("fingerprint"))
    def shown_fingerprint(self, obj: MigrationRun) -> str:
        return ltr(obj.fingerprint)

    @admin.display(description=_("error"))
    def shown_error(self, obj: MigrationRun) -> str:
        return preformatted(obj.error) if obj.error else "-"

    @admin.display(description=_("migrations"))
    def count(self, obj: MigrationRun) -> int:
        return len(obj.steps.all())
