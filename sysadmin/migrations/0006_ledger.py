"""The ledger of migrations: runs and their steps."""

import uuid

import django.contrib.postgres.functions
import django.db.models.deletion
from django.db import migrations, models

import moeen.db.constraints
import moeen.db.functions
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0005_backfills"),
    ]

    operations = [
        moeen.db.operations.CreateTable(
            name="MigrationRun",
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
                    "started_at",
                    models.DateTimeField(
                        db_default=moeen.db.functions.Now(), editable=False, verbose_name="started at"
                    ),
                ),
                ("finished_at", models.DateTimeField(editable=False, null=True, verbose_name="finished at")),
                (
                    "actor",
                    models.CharField(db_comment="Operating system user and host.", max_length=255, verbose_name="by"),
                ),
                ("database_role", models.CharField(max_length=63, verbose_name="database role")),
                (
                    "from_version",
                    models.TextField(
                        db_comment="Newest migration of each app before the run.", verbose_name="from version"
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        db_comment="interrupted: killed; the next run noticed and went on.",
                        max_length=20,
                        verbose_name="outcome",
                    ),
                ),
                ("error", models.TextField(blank=True, db_default="", default="", verbose_name="error")),
                (
                    "backup_id",
                    models.CharField(blank=True, db_default="", default="", max_length=100, verbose_name="backup"),
                ),
                (
                    "no_backup_reason",
                    models.TextField(blank=True, db_default="", default="", verbose_name="reason for no backup"),
                ),
                (
                    "fingerprint",
                    models.CharField(
                        blank=True,
                        db_comment="Of the schema after the run; empty when something was left to do.",
                        db_default="",
                        default="",
                        max_length=64,
                        verbose_name="fingerprint",
                    ),
                ),
                (
                    "lock_wait_seconds",
                    models.FloatField(
                        db_comment="Seconds until no other runner was at work.",
                        db_default=0.0,
                        default=0.0,
                        verbose_name="waited for the lock",
                    ),
                ),
            ],
            options={
                "verbose_name": "migration run",
                "verbose_name_plural": "migration runs",
                "db_table": "migration_runs",
                "db_table_comment": "Every run of migrate that had something to do.",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("outcome__in", ["running", "done", "failed", "interrupted"])),
                        name="migration_runs_outcome_check",
                    )
                ],
            },
        ),
        moeen.db.operations.CreateTable(
            name="MigrationStep",
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
                ("app", models.CharField(max_length=100, verbose_name="app")),
                ("name", models.CharField(max_length=255, verbose_name="name")),
                ("outcome", models.CharField(max_length=20, verbose_name="outcome")),
                (
                    "started_at",
                    models.DateTimeField(
                        db_default=moeen.db.functions.Now(), editable=False, verbose_name="started at"
                    ),
                ),
                ("seconds", models.FloatField(verbose_name="seconds")),
                (
                    "retries",
                    models.IntegerField(
                        db_comment="Tries that ended in a lock timeout or a deadlock.", verbose_name="retries"
                    ),
                ),
                (
                    "lock_wait_seconds",
                    models.FloatField(db_comment="Seconds, pauses included.", verbose_name="waited for locks"),
                ),
                (
                    "file_checksum",
                    models.CharField(
                        db_comment="SHA-256 of the migration and the SQL files it runs.",
                        max_length=64,
                        verbose_name="checksum of the file",
                    ),
                ),
                (
                    "sql_checksum",
                    models.CharField(
                        db_comment="SHA-256 of the statements that ran.",
                        max_length=64,
                        verbose_name="checksum of the SQL",
                    ),
                ),
                ("note", models.TextField(blank=True, db_default="", default="", verbose_name="note")),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="steps",
                        to="sysadmin.migrationrun",
                        verbose_name="run",
                    ),
                ),
            ],
            options={
                "verbose_name": "migration step",
                "verbose_name_plural": "migration steps",
                "db_table": "migration_steps",
                "db_table_comment": "The migrations of each run, with what they cost and what they were made of.",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("outcome__in", ["applied", "unapplied", "faked", "failed", "accepted"])),
                        name="migration_steps_outcome_check",
                    )
                ],
            },
        ),
        moeen.db.operations.RunIndexFile(
            app_label="sysadmin",
            name="0006_indexes",
            state_operations=[
                migrations.AddIndex(
                    "migrationrun",
                    moeen.db.constraints.Index(fields=["started_at"], name="migration_runs_started_at_idx"),
                ),
                migrations.AddIndex(
                    "migrationstep",
                    moeen.db.constraints.Index(
                        fields=["app", "name", "started_at"], name="migration_steps_app_name_started_at_idx"
                    ),
                ),
            ],
        ),
    ]
