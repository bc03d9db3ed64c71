"""Preferences of users (older: 004)."""

import uuid

import django.contrib.postgres.functions
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import moeen.db.constraints
import moeen.db.functions
import moeen.db.operations
import moeen.db.public_ids


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0001_users"),
    ]

    operations = [
        moeen.db.operations.CreateTable(
            name="UserPreference",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="prf_")),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="preferences",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
                (
                    "theme",
                    models.CharField(
                        choices=[("system", "As the device"), ("light", "Light"), ("dark", "Dark")],
                        db_default="system",
                        default="system",
                        max_length=20,
                        verbose_name="theme",
                    ),
                ),
                (
                    "language",
                    models.CharField(
                        choices=[("ar", "Arabic"), ("en", "English")],
                        db_default="ar",
                        default="ar",
                        max_length=5,
                        verbose_name="language",
                    ),
                ),
                (
                    "timezone",
                    models.CharField(
                        db_comment="IANA name of the zone times are shown in; all times are stored in UTC.",
                        db_default="Asia/Riyadh",
                        default="Asia/Riyadh",
                        max_length=50,
                        verbose_name="time zone",
                    ),
                ),
                (
                    "notifications_enabled",
                    models.BooleanField(db_default=True, default=True, verbose_name="notifications"),
                ),
                (
                    "sidebar_collapsed",
                    models.BooleanField(db_default=False, default=False, verbose_name="sidebar collapsed"),
                ),
                (
                    "dashboard_layout",
                    models.CharField(
                        choices=[("grid", "Grid"), ("list", "List")],
                        db_default="grid",
                        default="grid",
                        max_length=20,
                        verbose_name="dashboard layout",
                    ),
                ),
            ],
            options={
                "verbose_name": "user preference",
                "verbose_name_plural": "user preferences",
                "db_table": "user_preferences",
                "db_table_comment": "How a user wants the application to look and speak; at most one row a user.",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("theme__in", ["system", "light", "dark"])),
                        name="user_preferences_theme_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("language__in", ["ar", "en"])), name="user_preferences_language_check"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("dashboard_layout__in", ["grid", "list"])),
                        name="user_preferences_dashboard_layout_check",
                    ),
                ],
            },
        ),
        moeen.db.operations.RunIndexFile(
            app_label="sysadmin",
            name="0002_indexes",
            state_operations=[
                migrations.AddIndex(
                    "userpreference", moeen.db.constraints.Index(fields=["theme"], name="user_preferences_theme_idx")
                ),
                migrations.AddIndex(
                    "userpreference",
                    moeen.db.constraints.Index(fields=["language"], name="user_preferences_language_idx"),
                ),
            ],
        ),
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0002_updated_at",
        ),
    ]
