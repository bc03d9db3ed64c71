"""Runs over a fleet of clinics, kept in the one database that `manage.py fleet` works from."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from moeen.db.functions import Now
from moeen.db.models import Model


class FleetRun(Model):
    """One run of ``manage.py fleet`` over its clinics, from its start to its end, over however many calls."""

    command = models.CharField(_("command"), max_length=20)
    target = models.TextField(_("version"), db_comment="Newest migration of each app in the code that ran.")
    selection = models.TextField(
        _("selection"), default="", db_default="", blank=True, db_comment="Tags and names; empty: all clinics."
    )
    actor = models.CharField(_("by"), max_length=255, db_comment="Operating system user and host.")
    started_at = models.DateTimeField(_("started at"), db_default=Now(), editable=False)
    finished_at = models.DateTimeField(_("finished at"), null=True, editable=False)
    outcome = models.CharField(
        _("outcome"),
        max_length=20,
        default="running",
        db_default="running",
        db_comment="running without a session that holds the lock: killed; the next call goes on with this run.",
    )
    pause_requested = models.BooleanField(
        _("pause requested"), default=False, db_default=False, db_comment="Set and cleared by the operator."
    )
    note = models.TextField(
        _("note"), default="", db_default="", blank=True, db_comment="Why it waits, or was stopped."
    )

    class Meta:
        db_table = "fleet_runs"
        db_table_comment = "Runs of a command over many clinics."
        verbose_name = _("fleet run")
        verbose_name_plural = _("fleet runs")
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome__in=["running", "done", "failed", "stopped", "replaced"]),
                name="fleet_runs_outcome_check",
            )
        ]

    def __str__(self) -> str:
        return f"{self.command} {self.outcome}"


class FleetTurn(Model):
    """What became of one clinic in a run."""

    run = models.ForeignKey(FleetRun, verbose_name=_("run"), on_delete=models.CASCADE, related_name="turns")
    clinic = models.CharField(_("clinic"), max_length=63)
    wave = models.IntegerField(_("wave"), db_comment="From 1.")
    state = models.CharField(_("state"), max_length=20, default="waiting", db_default="waiting")
    reason = models.TextField(
        _("reason"), default="", db_default="", blank=True, db_comment="Of a failure, a refusal, or why it was skipped."
    )
    started_at = models.DateTimeField(_("started at"), null=True, editable=False)
    seconds = models.FloatField(_("seconds"), default=0.0, db_default=0.0)
    stall_seconds = models.FloatField(
        _("longest wait of a client"),
        null=True,
        editable=False,
        db_comment="For a lock of ours; null where it could not be watched.",
    )
    receipt = models.JSONField(
        _("receipt"),
        default=dict,
        db_default={},
        blank=True,
        editable=False,
        db_comment="What the command said of itself. No row's content.",
    )

    class Meta:
        db_table = "fleet_turns"
        db_table_comment = "The clinics of each run over a fleet, and what became of them."
        verbose_name = _("clinic in a fleet run")
        verbose_name_plural = _("clinics in fleet runs")
        constraints = [
            models.UniqueConstraint(fields=["run", "clinic"], name="fleet_turns_run_id_clinic_key"),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "running", "done", "refused", "failed", "skipped"]),
                name="fleet_turns_state_check",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.clinic} {self.state}"
