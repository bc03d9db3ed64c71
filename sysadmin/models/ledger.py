"""The ledger of migrations, written by the runner and only read here."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from moeen.db.constraints import Index
from moeen.db.functions import Now
from moeen.db.models import Model


class MigrationRun(Model):
    """One call of ``manage.py migrate`` that had something to do."""

    started_at = models.DateTimeField(_("started at"), db_default=Now(), editable=False)
    finished_at = models.DateTimeField(_("finished at"), null=True, editable=False)
    actor = models.CharField(_("by"), max_length=255, db_comment="Operating system user and host.")
    database_role = models.CharField(_("database role"), max_length=63)
    from_version = models.TextField(_("from version"), db_comment="Newest migration of each app before the run.")
    outcome = models.CharField(
        _("outcome"), max_length=20, db_comment="interrupted: killed; the next run noticed and went on."
    )
    error = models.TextField(_("error"), default="", db_default="", blank=True)
    backup_id = models.CharField(_("backup"), max_length=100, default="", db_default="", blank=True)
    no_backup_reason = models.TextField(_("reason for no backup"), default="", db_default="", blank=True)
    decisions = models.TextField(
        _("decisions"),
        default="",
        db_default="",
        blank=True,
        db_comment="What the operator said for the run besides: a rehearsal left out, a policy kept, with the reasons.",
    )
    own_objects = models.JSONField(
        _("the clinic's own"),
        default=list,
        db_default=[],
        blank=True,
        editable=False,
        db_comment="Objects that stood at adoption and that no migration made: they stay, and are no finding.",
    )
    fingerprint = models.CharField(
        _("fingerprint"),
        max_length=64,
        default="",
        db_default="",
        blank=True,
        db_comment="Of the schema after the run; empty when something was left to do.",
    )
    lock_wait_seconds = models.FloatField(
        _("waited for the lock"),
        default=0.0,
        db_default=0.0,
        db_comment="Seconds until no other runner was at work.",
    )

    class Meta:
        db_table = "migration_runs"
        db_table_comment = "Every run of migrate that had something to do."
        verbose_name = _("migration run")
        verbose_name_plural = _("migration runs")
        indexes = [Index(fields=["started_at"], name="migration_runs_started_at_idx")]
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome__in=["running", "done", "failed", "interrupted"]),
                name="migration_runs_outcome_check",
            )
        ]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}"


class MigrationStep(Model):
    """One migration of a run."""

    run = models.ForeignKey(MigrationRun, verbose_name=_("run"), on_delete=models.CASCADE, related_name="steps")
    app = models.CharField(_("app"), max_length=100)
    name = models.CharField(_("name"), max_length=255)
    outcome = models.CharField(_("outcome"), max_length=20)
    started_at = models.DateTimeField(_("started at"), db_default=Now(), editable=False)
    seconds = models.FloatField(_("seconds"))
    retries = models.IntegerField(_("retries"), db_comment="Tries that ended in a lock timeout or a deadlock.")
    lock_wait_seconds = models.FloatField(_("waited for locks"), db_comment="Seconds, pauses included.")
    file_checksum = models.CharField(
        _("checksum of the file"),
        max_length=64,
        db_comment="SHA-256 of the migration and the SQL files it runs.",
    )
    sql_checksum = models.CharField(
        _("checksum of the SQL"), max_length=64, db_comment="SHA-256 of the statements that ran."
    )
    note = models.TextField(_("note"), default="", db_default="", blank=True)

    class Meta:
        db_table = "migration_steps"
        db_table_comment = "The migrations of each run, with what they cost and what they were made of."
        verbose_name = _("migration step")
        verbose_name_plural = _("migration steps")
        indexes = [Index(fields=["app", "name", "started_at"], name="migration_steps_app_name_started_at_idx")]
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome__in=["applied", "unapplied", "faked", "failed", "accepted"]),
                name="migration_steps_outcome_check",
            )
        ]

    def __str__(self) -> str:
        return f"{self.app}.{self.name}"
