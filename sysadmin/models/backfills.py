"""Backfills in progress and done, and the public ids that were replaced: tables of the operator's own."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from moeen.db import public_ids
from moeen.db.functions import Now
from moeen.db.models import Model

#: What backfills are called -> as people read it.
NAMES = {"public_ids": _("public ids")}


class BackfillRun(Model):
    """One backfill of one table, from its start to its end, over however many calls of the command."""

    class Status(models.TextChoices):
        RUNNING = "running", _("Running")
        PAUSED = "paused", _("Paused")
        STOPPED = "stopped", _("Stopped")
        INCOMPLETE = "incomplete", _("Some rows refused")
        FAILED = "failed", _("Failed")
        FINISHED = "finished", _("Finished")

    name = models.CharField(_("backfill"), max_length=100)
    table_name = models.CharField(_("table"), max_length=100)
    status = models.CharField(
        _("status"),
        max_length=20,
        choices=Status,
        default=Status.RUNNING,
        db_default=Status.RUNNING,
        db_comment="running with an old heartbeat: killed. The next run of the same backfill goes on with this row.",
    )
    pause_requested = models.BooleanField(
        _("pause requested"), default=False, db_default=False, db_comment="Set and cleared by the operator."
    )
    sweep = models.IntegerField(
        _("sweep"), default=1, db_default=1, db_comment="1: the table as it stood; later ones: rows that moved."
    )
    position = models.BigIntegerField(
        _("position"), default=0, db_default=0, db_comment="Every page below this one is done in this sweep."
    )
    bound = models.BigIntegerField(
        _("bound"), default=0, db_default=0, db_comment="The page at which this sweep ends, frozen when it began."
    )
    rows_total = models.BigIntegerField(_("rows"), default=0, db_default=0)
    rows_missing = models.BigIntegerField(
        _("rows to fill"), default=0, db_default=0, db_comment="Without a value when the run began."
    )
    rows_filled = models.BigIntegerField(_("rows filled"), default=0, db_default=0)
    batches = models.BigIntegerField(_("batches"), default=0, db_default=0)
    seconds = models.FloatField(_("seconds"), default=0.0, db_default=0.0, db_comment="Of work, over all calls.")
    failures = models.JSONField(
        _("refused rows"),
        default=list,
        db_default=[],
        blank=True,
        db_comment="Array of {row, reason}: the key of a row and why it could not be filled; never what it holds.",
    )
    note = models.TextField(
        _("note"), default="", db_default="", blank=True, db_comment="Why it waits, or what made it fail."
    )
    started_at = models.DateTimeField(_("started at"), db_default=Now(), editable=False)
    heartbeat_at = models.DateTimeField(_("last sign of life"), db_default=Now(), editable=False)
    finished_at = models.DateTimeField(_("finished at"), null=True, editable=False)

    class Meta:
        db_table = "backfill_runs"
        db_table_comment = "Backfills and how far they have come; a run that was stopped goes on from its position."
        verbose_name = _("backfill run")
        verbose_name_plural = _("backfill runs")
        ordering = ["-started_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["running", "paused", "stopped", "incomplete", "failed", "finished"]),
                name="backfill_runs_status_check",
            ),
            models.UniqueConstraint(
                fields=["name", "table_name"],
                condition=Q(finished_at__isnull=True),
                name="backfill_runs_name_table_name_unfinished_key",
            ),
        ]

    @property
    def shown_name(self) -> str:
        return str(NAMES.get(self.name, self.name))

    def __str__(self) -> str:
        """Without words of a language: the history of a run keeps it as it was when somebody paused the run."""
        return f"{self.name}:{self.table_name}"


class PublicIdAlias(Model):
    """A public id that a row had before. It resolves to the row for ever."""

    alias = models.CharField(
        _("former public id"), max_length=public_ids.MAX_LENGTH, unique=True, db_collation="C", editable=False
    )
    table_name = models.CharField(_("table"), max_length=100, editable=False)
    row_id = models.UUIDField(
        _("row"), editable=False, db_comment="id of the row. No foreign key: it may be of any table."
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    class Meta:
        db_table = "public_id_aliases"
        db_table_comment = "Public ids that were replaced, and whose they were: old links still resolve."
        verbose_name = _("former public id")
        verbose_name_plural = _("former public ids")

    def __str__(self) -> str:
        return self.alias
