"""Runs over a fleet of clinics, and what became of each clinic in them."""

import uuid

import django.contrib.postgres.functions
import django.db.models.deletion
from django.db import migrations, models

import moeen.db.functions
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0022_operator_reports"),
    ]

    operations = [
        moeen.db.operations.CreateTable(
            name="FleetRun",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        default=uuid.uuid4,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("command", models.CharField(max_length=20, verbose_name="command")),
                (
                    "target",
                    models.TextField(
                        db_comment="Newest migration of each app in the code that ran.", verbose_name="version"
                    ),
                ),
                (
                    "selection",
                    models.TextField(
                        blank=True,
                        db_comment="Tags and names; empty: all clinics.",
                        db_default="",
                        default="",
                        verbose_name="selection",
                    ),
                ),
                (
                    "actor",
                    models.CharField(db_comment="Operating system user and host.", max_length=255, verbose_name="by"),
                ),
                (
                    "started_at",
                    models.DateTimeField(
                        db_default=moeen.db.functions.Now(), editable=False, verbose_name="started at"
                    ),
                ),
                ("finished_at", models.DateTimeField(editable=False, null=True, verbose_name="finished at")),
                (
                    "outcome",
                    models.CharField(
                        db_comment="running without a session that holds the lock: killed; the next call goes on with this run.",
                        db_default="running",
                        default="running",
                        max_length=20,
                        verbose_name="outcome",
                    ),
                ),
                (
                    "pause_requested",
                    models.BooleanField(
                        db_comment="Set and cleared by the operator.",
                        db_default=False,
                        default=False,
                        verbose_name="pause requested",
                    ),
                ),
                (
                    "note",
                    models.TextField(
                        blank=True,
                        db_comment="Why it waits, or was stopped.",
                        db_default="",
                        default="",
                        verbose_name="note",
                    ),
                ),
            ],
            options={
                "verbose_name": "fleet run",
                "verbose_name_plural": "fleet runs",
                "db_table": "fleet_runs",
                "db_table_comment": "Runs of a command over many clinics.",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("outcome__in", ["running", "done", "failed", "stopped", "replaced"])),
                        name="fleet_runs_outcome_check",
                    )
                ],
            },
        ),
        moeen.db.operations.CreateTable(
            name="FleetTurn",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        default=uuid.uuid4,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("clinic", models.CharField(max_length=63, verbose_name="clinic")),
                ("wave", models.IntegerField(db_comment="From 1.", verbose_name="wave")),
                (
                    "state",
                    models.CharField(db_default="waiting", default="waiting", max_length=20, verbose_name="state"),
                ),
                (
                    "reason",
                    models.TextField(
                        blank=True,
                        db_comment="Of a failure, a refusal, or why it was skipped.",
                        db_default="",
                        default="",
                        verbose_name="reason",
                    ),
                ),
                ("started_at", models.DateTimeField(editable=False, null=True, verbose_name="started at")),
                ("seconds", models.FloatField(db_default=0.0, default=0.0, verbose_name="seconds")),
                (
                    "stall_seconds",
                    models.FloatField(
                        db_comment="For a lock of ours; null where it could not be watched.",
                        editable=False,
                        null=True,
                        verbose_name="longest wait of a client",
                    ),
                ),
                (
                    "receipt",
                    models.JSONField(
                        blank=True,
                        db_comment="What the command said of itself. No row's content.",
                        db_default={},
                        default=dict,
                        editable=False,
                        verbose_name="receipt",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="turns",
                        to="sysadmin.fleetrun",
                        verbose_name="run",
                    ),
                ),
            ],
            options={
                "verbose_name": "clinic in a fleet run",
                "verbose_name_plural": "clinics in fleet runs",
                "db_table": "fleet_turns",
                "db_table_comment": "The clinics of each run over a fleet, and what became of them.",
                "constraints": [
                    models.UniqueConstraint(fields=("run", "clinic"), name="fleet_turns_run_id_clinic_key"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["waiting", "running", "done", "refused", "failed", "skipped"])
                        ),
                        name="fleet_turns_state_check",
                    ),
                ],
            },
        ),
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0023_rls",
        ),
    ]
