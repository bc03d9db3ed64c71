"""Schema app, its functions, and the users (older: part of 001)."""

import uuid

import django.contrib.postgres.functions
import django.db.models.functions.text
from django.db import migrations, models

import moeen.db.adoption
import moeen.db.functions
import moeen.db.operations
import moeen.db.public_ids


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    initial = True

    dependencies = []

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0001_functions",
        ),
        moeen.db.operations.CreateTable(
            name="User",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="usr_")),
                ("email", models.EmailField(max_length=255, verbose_name="e-mail address")),
                (
                    "password",
                    models.CharField(
                        blank=True,
                        db_column="password_hash",
                        db_comment="A secret: a password hash, never shown or logged. NULL: this user cannot sign in with a password. Bcrypt of older applications is read, and hashed anew when its person signs in.",
                        max_length=255,
                        null=True,
                        verbose_name="password",
                    ),
                ),
                ("name", models.CharField(blank=True, db_default="", default="", max_length=255, verbose_name="name")),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("patient", "Patient"),
                            ("doctor", "Doctor"),
                            ("staff", "Staff"),
                            ("supervisor", "Supervisor"),
                            ("admin", "Administrator"),
                        ],
                        db_comment="The role this person usually acts in; further ones come by user_roles. Legacy value: user = patient.",
                        db_default="patient",
                        default="patient",
                        max_length=50,
                        verbose_name="role",
                    ),
                ),
                ("phone", models.CharField(blank=True, max_length=50, null=True, verbose_name="phone")),
                (
                    "is_active",
                    models.BooleanField(
                        db_comment="False: may not sign in.", db_default=True, default=True, verbose_name="active"
                    ),
                ),
                (
                    "last_login",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="last sign-in"),
                ),
            ],
            options={
                "verbose_name": "user",
                "verbose_name_plural": "users",
                "db_table": "users",
                "db_table_comment": "Everyone who may sign in: patients, doctors, staff, supervisors, administrators.",
                "constraints": [
                    models.UniqueConstraint(
                        django.db.models.functions.text.Lower("email"),
                        name="users_email_lower_key",
                        violation_error_message="Another user has this e-mail address.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["patient", "doctor", "staff", "supervisor", "admin"])),
                        name="users_role_check",
                    ),
                ],
            },
            legacy=moeen.db.adoption.Legacy(constraints=("users_email_key",), values={"role": {"user": "patient"}}),
        ),
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0001_updated_at",
        ),
    ]
