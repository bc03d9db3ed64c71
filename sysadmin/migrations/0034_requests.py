"""What administrators ask an operator's worker to do, from the pages."""

import uuid

import django.contrib.postgres.functions
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import moeen.db.functions
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0033_kept"),
    ]

    operations = [
        moeen.db.operations.CreateTable(
            name="OperatorRequest",
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
                    "kind",
                    models.CharField(
                        choices=[
                            ("backfill_public_ids", "Fill in public ids"),
                            ("cancel_backfill", "Cancel the backfill"),
                            ("verify_backup", "Prove a backup by a restore"),
                        ],
                        max_length=40,
                        verbose_name="what",
                    ),
                ),
                (
                    "subject",
                    models.CharField(
                        db_comment="A table; the id of a backup, or latest: a word of the command.",
                        max_length=100,
                        verbose_name="of what",
                    ),
                ),
                (
                    "asked_at",
                    models.DateTimeField(db_default=moeen.db.functions.Now(), editable=False, verbose_name="asked at"),
                ),
                (
                    "taken_at",
                    models.DateTimeField(
                        db_comment="NULL: it waits for a worker, and may be withdrawn.",
                        editable=False,
                        null=True,
                        verbose_name="taken up at",
                    ),
                ),
                (
                    "taken_by",
                    models.CharField(
                        blank=True,
                        db_comment="Operating system user and host.",
                        db_default="",
                        default="",
                        editable=False,
                        max_length=255,
                        verbose_name="taken up by",
                    ),
                ),
                ("finished_at", models.DateTimeField(editable=False, null=True, verbose_name="finished at")),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[("done", "Done"), ("refused", "Ended with findings"), ("failed", "It failed")],
                        db_default="",
                        default="",
                        editable=False,
                        max_length=20,
                        verbose_name="outcome",
                    ),
                ),
                (
                    "says",
                    models.TextField(
                        blank=True,
                        db_comment="The command's last words. No row's content.",
                        db_default="",
                        default="",
                        editable=False,
                        verbose_name="what came of it",
                    ),
                ),
                (
                    "asked_by",
                    models.ForeignKey(
                        db_column="asked_by",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="asked by",
                    ),
                ),
            ],
            options={
                "verbose_name": "request to operators",
                "verbose_name_plural": "requests to operators",
                "db_table": "operator_requests",
                "db_table_comment": "What administrators asked an operator's worker to do, and what came of it.",
                "ordering": ["-asked_at"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["backfill_public_ids", "cancel_backfill", "verify_backup"])),
                        name="operator_requests_kind_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("subject__regex", "^[A-Za-z0-9][A-Za-z0-9_-]*$")),
                        name="operator_requests_subject_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("outcome__in", ["", "done", "refused", "failed"])),
                        name="operator_requests_outcome_check",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("finished_at__isnull", True)),
                        fields=("kind", "subject"),
                        name="operator_requests_kind_subject_unfinished_key",
                        violation_error_message="This is asked for already.",
                    ),
                ],
            },
        ),
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0034_rls",
        ),
    ]
