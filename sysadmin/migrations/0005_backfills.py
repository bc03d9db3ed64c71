"""Backfills in progress and done; public ids that were replaced, and whose they were."""

import uuid

import django.contrib.postgres.functions
from django.db import migrations, models

import moeen.db.functions
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0004_audit"),
    ]

    operations = [
        moeen.db.operations.CreateTable(
            name="PublicIdAlias",
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
                (
                    "alias",
                    models.CharField(
                        db_collation="C", editable=False, max_length=255, unique=True, verbose_name="former public id"
                    ),
                ),
                ("table_name", models.CharField(editable=False, max_length=100, verbose_name="table")),
                (
                    "row_id",
                    models.UUIDField(
                        db_comment="id of the row. No foreign key: it may be of any table.",
                        editable=False,
                        verbose_name="row",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=moeen.db.functions.Now(), editable=False, verbose_name="created at"
                    ),
                ),
            ],
            options={
                "verbose_name": "former public id",
                "verbose_name_plural": "former public ids",
                "db_table": "public_id_aliases",
                "db_table_comment": "Public ids that were replaced, and whose they were: old links still resolve.",
            },
        ),
        moeen.db.operations.CreateTable(
            name="BackfillRun",
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
                ("name", models.CharField(max_length=100, verbose_name="backfill")),
                ("table_name", models.CharField(max_length=100, verbose_name="table")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("paused", "Paused"),
                            ("stopped", "Stopped"),
                            ("incomplete", "Some rows refused"),
                            ("failed", "Failed"),
                            ("finished", "Finished"),
                        ],
                        db_comment="running with an old heartbeat: killed. The next run of the same backfill goes on with this row.",
                        db_default="running",
                        default="running",
                        max_length=20,
                        verbose_name="status",
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
                    "sweep",
                    models.IntegerField(
                        db_comment="1: the table as it stood; later ones: rows that moved.",
                        db_default=1,
                        default=1,
                        verbose_name="sweep",
                    ),
                ),
                (
                    "position",
                    models.BigIntegerField(
                        db_comment="Every page below this one is done in this sweep.",
                        db_default=0,
                        default=0,
                        verbose_name="position",
                    ),
                ),
                (
                    "bound",
                    models.BigIntegerField(
                        db_comment="The page at which this sweep ends, frozen when it began.",
                        db_default=0,
                        default=0,
                        verbose_name="bound",
                    ),
                ),
                ("rows_total", models.BigIntegerField(db_default=0, default=0, verbose_name="rows")),
                (
                    "rows_missing",
                    models.BigIntegerField(
                        db_comment="Without a value when the run began.",
                        db_default=0,
                        default=0,
                        verbose_name="rows to fill",
                    ),
                ),
                ("rows_filled", models.BigIntegerField(db_default=0, default=0, verbose_name="rows filled")),
                ("batches", models.BigIntegerField(db_default=0, default=0, verbose_name="batches")),
                (
                    "seconds",
                    models.FloatField(
                        db_comment="Of work, over all calls.", db_default=0.0, default=0.0, verbose_name="seconds"
                    ),
                ),
                (
                    "failures",
                    models.JSONField(
                        blank=True,
                        db_comment="Array of {row, reason}: the key of a row and why it could not be filled; never what it holds.",
                        db_default=[],
                        default=list,
                        verbose_name="refused rows",
                    ),
                ),
                (
                    "note",
                    models.TextField(
                        blank=True,
                        db_comment="Why it waits, or what made it fail.",
                        db_default="",
                        default="",
                        verbose_name="note",
                    ),
                ),
                (
                    "started_at",
                    models.DateTimeField(
                        db_default=moeen.db.functions.Now(), editable=False, verbose_name="started at"
                    ),
                ),
                (
                    "heartbeat_at",
                    models.DateTimeField(
                        db_default=moeen.db.functions.Now(), editable=False, verbose_name="last sign of life"
                    ),
                ),
                ("finished_at", models.DateTimeField(editable=False, null=True, verbose_name="finished at")),
            ],
            options={
                "verbose_name": "backfill run",
                "verbose_name_plural": "backfill runs",
                "db_table": "backfill_runs",
                "db_table_comment": "Backfills and how far they have come; a run that was stopped goes on from its position.",
                "ordering": ["-started_at"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["running", "paused", "stopped", "incomplete", "failed", "finished"])
                        ),
                        name="backfill_runs_status_check",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("finished_at__isnull", True)),
                        fields=("name", "table_name"),
                        name="backfill_runs_name_table_name_unfinished_key",
                    ),
                ],
            },
        ),
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0005_public_id_aliases",
        ),
    ]
