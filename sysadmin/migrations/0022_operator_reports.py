"""What an operator's commands last found, for administrators to look at."""

import uuid

import django.contrib.postgres.functions
from django.db import migrations, models

import moeen.db.functions
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0021_administrators"),
    ]

    operations = [
        moeen.db.operations.CreateTable(
            name="OperatorReport",
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
                ("kind", models.CharField(editable=False, max_length=20, unique=True, verbose_name="kind")),
                (
                    "looked_at",
                    models.DateTimeField(db_default=moeen.db.functions.Now(), editable=False, verbose_name="looked at"),
                ),
                (
                    "actor",
                    models.CharField(
                        db_comment="Operating system user and host.",
                        editable=False,
                        max_length=255,
                        verbose_name="by",
                    ),
                ),
                ("ok", models.BooleanField(editable=False, verbose_name="in order")),
                (
                    "report",
                    models.JSONField(
                        db_comment="Lines or findings: names of objects, states and next steps. No row's content.",
                        editable=False,
                        verbose_name="report",
                    ),
                ),
            ],
            options={
                "verbose_name": "operations report",
                "verbose_name_plural": "operations",
                "db_table": "operator_reports",
                "db_table_comment": "What doctor and validate_schema last found; one row of each kind.",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["doctor", "validation"])),
                        name="operator_reports_kind_check",
                    )
                ],
            },
        ),
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0022_rls",
        ),
    ]
