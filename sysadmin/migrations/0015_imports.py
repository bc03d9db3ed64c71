"""Imports from databases of another shape, and the keys that their rows had there."""

import uuid

import django.contrib.postgres.functions
from django.db import migrations, models

import moeen.db.functions
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0014_door"),
    ]

    operations = [
        moeen.db.operations.CreateTable(
            name="ImportRun",
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
                    "source",
                    models.CharField(
                        db_comment="The name that the mapping gives it.", max_length=100, verbose_name="source"
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
                (
                    "outcome",
                    models.CharField(
                        db_comment="running without a session that holds the lock: killed; the next run went on.",
                        db_default="running",
                        default="running",
                        max_length=20,
                        verbose_name="outcome",
                    ),
                ),
                ("mapping", models.TextField(db_comment="The file as it was read.", verbose_name="mapping")),
                (
                    "receipt",
                    models.JSONField(
                        blank=True,
                        db_comment="Of each table: rows and digests as read and as they stand, rows refused. No row's content.",
                        db_default={},
                        default=dict,
                        editable=False,
                        verbose_name="receipt",
                    ),
                ),
                ("error", models.TextField(blank=True, db_default="", default="", verbose_name="error")),
            ],
            options={
                "verbose_name": "import",
                "verbose_name_plural": "imports",
                "db_table": "import_runs",
                "db_table_comment": "Imports from databases of another shape, each with its mapping and its receipt.",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("outcome__in", ["running", "done", "failed"])),
                        name="import_runs_outcome_check",
                    )
                ],
            },
        ),
        moeen.db.operations.CreateTable(
            name="LegacyKey",
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
                ("source", models.CharField(editable=False, max_length=100, verbose_name="source")),
                ("table_name", models.CharField(editable=False, max_length=100, verbose_name="table")),
                (
                    "old_key",
                    models.TextField(db_collation="C", db_comment="As text.", editable=False, verbose_name="old key"),
                ),
                (
                    "new_id",
                    models.UUIDField(
                        db_comment="id of the row. No foreign key: it may be of any table.",
                        editable=False,
                        verbose_name="row",
                    ),
                ),
                (
                    "digest",
                    models.UUIDField(
                        db_comment="MD5 of the row as it was read: a later run takes what differs.",
                        editable=False,
                        verbose_name="digest",
                    ),
                ),
                (
                    "row_hash",
                    models.BigIntegerField(
                        db_comment="hash_record_extended of the row as it was written.",
                        editable=False,
                        verbose_name="hash",
                    ),
                ),
            ],
            options={
                "verbose_name": "old key",
                "verbose_name_plural": "old keys",
                "db_table": "legacy_keys",
                "db_table_comment": "Keys that imported rows had before, and whose they were: old links still resolve.",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("source", "table_name", "old_key"), name="legacy_keys_source_table_name_old_key_key"
                    )
                ],
            },
        ),
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0015_rls",
        ),
    ]
