"""Second factors of signing in, and what becomes of them in the audit log."""

import uuid

import django.contrib.postgres.functions
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import moeen.db.functions
import moeen.db.operations
import moeen.db.public_ids


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0023_fleet"),
    ]

    operations = [
        moeen.db.operations.CreateTable(
            name="SecondFactor",
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
                ("created_at", models.DateTimeField(db_default=moeen.db.functions.Now(), editable=False)),
                ("updated_at", models.DateTimeField(db_default=moeen.db.functions.Now(), editable=False)),
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="sfa_")),
                (
                    "secret",
                    models.TextField(
                        db_comment="A secret: what codes are computed from, encrypted with a key that SECRET_KEY gives.",
                        editable=False,
                        verbose_name="secret",
                    ),
                ),
                (
                    "confirmed_at",
                    models.DateTimeField(
                        db_comment="NULL: begun, and not asked for at signing in.",
                        editable=False,
                        null=True,
                        verbose_name="set up at",
                    ),
                ),
                (
                    "last_step",
                    models.BigIntegerField(
                        db_comment="Of the last code taken, in steps of 30 seconds since 1970: it and earlier ones are refused.",
                        db_default=0,
                        default=0,
                        editable=False,
                        verbose_name="last code",
                    ),
                ),
                (
                    "recovery_codes",
                    models.JSONField(
                        db_comment="Keyed hashes of those that were not used.",
                        db_default=[],
                        default=list,
                        editable=False,
                        verbose_name="recovery codes",
                    ),
                ),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="second_factor",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "second factor",
                "verbose_name_plural": "second factors",
                "db_table": "second_factors",
                "db_table_comment": "What people sign in with besides a password: the secret of an authenticator, recovery codes.",
                "base_manager_name": "objects",
            },
        ),
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0024_sign_ins",
            replaces=["0018_sign_ins"],
        ),
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0024_rls",
        ),
    ]
