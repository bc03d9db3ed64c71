"""Notifications, messages, audit log, roles, settings (older: 030)."""

import uuid

import django.contrib.postgres.functions
import django.db.models.deletion
import django.db.models.lookups
from django.conf import settings
from django.db import migrations, models

import moeen.db.adoption
import moeen.db.constraints
import moeen.db.functions
import moeen.db.operations
import moeen.db.public_ids
import sysadmin.models.roles


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0002_user_preferences"),
    ]

    operations = [
        moeen.db.operations.CreateTable(
            name="Notification",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="ntf_")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notifications",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
                ("title", models.CharField(max_length=255, verbose_name="title")),
                ("message", models.TextField(verbose_name="message")),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("info", "Information"),
                            ("success", "Success"),
                            ("warning", "Warning"),
                            ("error", "Error"),
                        ],
                        db_default="info",
                        default="info",
                        max_length=50,
                        verbose_name="type",
                    ),
                ),
                ("is_read", models.BooleanField(db_default=False, default=False, verbose_name="read")),
                (
                    "action_url",
                    models.CharField(
                        blank=True,
                        db_comment="Where a click leads: a path of the application or a full address.",
                        max_length=500,
                        null=True,
                        verbose_name="action address",
                    ),
                ),
                ("metadata", models.JSONField(blank=True, null=True, verbose_name="metadata")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=moeen.db.functions.Now(), editable=False, verbose_name="created at"
                    ),
                ),
                ("read_at", models.DateTimeField(blank=True, null=True, verbose_name="read at")),
            ],
            options={
                "verbose_name": "notification",
                "verbose_name_plural": "notifications",
                "db_table": "notifications",
                "db_table_comment": "What the system tells a user.",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("type__in", ["info", "success", "warning", "error"])),
                        name="notifications_type_check",
                    )
                ],
            },
        ),
        moeen.db.operations.CreateTable(
            name="InternalMessage",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="inm_")),
                (
                    "sender",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="sent_messages",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="sender",
                    ),
                ),
                (
                    "recipient",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="received_messages",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="recipient",
                    ),
                ),
                ("subject", models.CharField(blank=True, max_length=255, null=True, verbose_name="subject")),
                ("content", models.TextField(verbose_name="content")),
                ("is_read", models.BooleanField(db_default=False, default=False, verbose_name="read")),
                (
                    "parent_message",
                    models.ForeignKey(
                        blank=True,
                        db_comment="The message this one answers.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="replies",
                        to="sysadmin.internalmessage",
                        verbose_name="reply to",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=moeen.db.functions.Now(), editable=False, verbose_name="created at"
                    ),
                ),
                ("read_at", models.DateTimeField(blank=True, null=True, verbose_name="read at")),
            ],
            options={
                "verbose_name": "internal message",
                "verbose_name_plural": "internal messages",
                "db_table": "internal_messages",
                "db_table_comment": "Messages between users of the clinic; seen by sender and recipient.",
            },
        ),
        moeen.db.operations.CreateTable(
            name="AuditLog",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="aud_")),
                (
                    "user_id",
                    models.UUIDField(
                        blank=True,
                        db_comment="users.id of who did it. No foreign key: a log outlives its user. NULL: nobody was signed in.",
                        null=True,
                        verbose_name="user",
                    ),
                ),
                (
                    "action",
                    models.CharField(
                        db_comment="What was done: INSERT, UPDATE, DELETE or an application's own word.",
                        max_length=100,
                        verbose_name="action",
                    ),
                ),
                ("table_name", models.CharField(max_length=100, verbose_name="table")),
                (
                    "record_id",
                    models.UUIDField(
                        blank=True, db_comment="id of the row that was changed.", null=True, verbose_name="record"
                    ),
                ),
                (
                    "old_values",
                    models.JSONField(
                        blank=True,
                        db_comment="Changed columns before; secrets are redacted.",
                        null=True,
                        verbose_name="old values",
                    ),
                ),
                (
                    "new_values",
                    models.JSONField(
                        blank=True,
                        db_comment="Changed columns after; secrets are redacted.",
                        null=True,
                        verbose_name="new values",
                    ),
                ),
                ("ip_address", models.GenericIPAddressField(blank=True, null=True, verbose_name="IP address")),
                ("user_agent", models.TextField(blank=True, null=True, verbose_name="user agent")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=moeen.db.functions.Now(), editable=False, verbose_name="created at"
                    ),
                ),
            ],
            options={
                "verbose_name": "audit log entry",
                "verbose_name_plural": "audit log",
                "db_table": "audit_logs",
                "db_table_comment": "Who changed what and when. Append-only: filled by triggers, never updated or deleted.",
            },
            legacy=moeen.db.adoption.Legacy(constraints=("audit_logs_user_id_fkey",)),
        ),
        moeen.db.operations.CreateTable(
            name="Role",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="rol_")),
                ("name", models.CharField(max_length=100, unique=True, verbose_name="name")),
                ("description", models.TextField(blank=True, null=True, verbose_name="description")),
                (
                    "permissions",
                    models.JSONField(
                        blank=True,
                        db_comment='Array of strings such as "patients:read".',
                        db_default=[],
                        default=list,
                        validators=[sysadmin.models.roles.validate_permissions],
                        verbose_name="permissions",
                    ),
                ),
                (
                    "is_system",
                    models.BooleanField(
                        db_comment="True: seeded, named by the policies, not to be deleted.",
                        db_default=False,
                        default=False,
                        verbose_name="system role",
                    ),
                ),
            ],
            options={
                "verbose_name": "role",
                "verbose_name_plural": "roles",
                "db_table": "roles",
                "db_table_comment": "Named sets of permissions; who holds them stands in user_roles.",
                "ordering": ["name"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            django.db.models.lookups.Exact(
                                models.Func(
                                    models.F("permissions"), function="jsonb_typeof", output_field=models.TextField()
                                ),
                                "array",
                            ),
                            models.Q(
                                models.Func(
                                    models.F("permissions"),
                                    models.Value('strict $[*] ? (@.type() != "string")'),
                                    models.Value("{}"),
                                    models.Value(True),
                                    function="jsonb_path_exists",
                                    output_field=models.BooleanField(),
                                ),
                                _negated=True,
                            ),
                        ),
                        name="roles_permissions_check",
                    )
                ],
            },
        ),
        moeen.db.operations.CreateTable(
            name="UserRole",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="uro_")),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="user_roles",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
                (
                    "role",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="user_roles",
                        to="sysadmin.role",
                        verbose_name="role",
                    ),
                ),
                (
                    "assigned_by",
                    models.ForeignKey(
                        blank=True,
                        db_column="assigned_by",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="assigned_user_roles",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="assigned by",
                    ),
                ),
                (
                    "assigned_at",
                    models.DateTimeField(
                        db_default=moeen.db.functions.Now(), editable=False, verbose_name="assigned at"
                    ),
                ),
            ],
            options={
                "verbose_name": "role assignment",
                "verbose_name_plural": "role assignments",
                "db_table": "user_roles",
                "db_table_comment": "Roles that a user holds besides users.role.",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "role"),
                        name="user_roles_user_id_role_id_key",
                        violation_error_message="This user holds this role already.",
                    )
                ],
            },
        ),
        moeen.db.operations.CreateTable(
            name="Setting",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="set_")),
                ("key", models.CharField(max_length=255, unique=True, verbose_name="key")),
                ("value", models.JSONField(blank=True, verbose_name="value")),
                ("description", models.TextField(blank=True, null=True, verbose_name="description")),
                (
                    "category",
                    models.CharField(
                        choices=[
                            ("general", "General"),
                            ("api", "API"),
                            ("integrations", "Integrations"),
                            ("notifications", "Notifications"),
                        ],
                        db_default="general",
                        default="general",
                        max_length=100,
                        verbose_name="category",
                    ),
                ),
                (
                    "is_public",
                    models.BooleanField(
                        db_comment="True: anybody may read it, signed in or not.",
                        db_default=False,
                        default=False,
                        help_text="Shown to anybody, signed in or not.",
                        verbose_name="public",
                    ),
                ),
                (
                    "updated_by",
                    models.ForeignKey(
                        blank=True,
                        db_column="updated_by",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="updated_settings",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="updated by",
                    ),
                ),
            ],
            options={
                "verbose_name": "setting",
                "verbose_name_plural": "settings",
                "db_table": "settings",
                "db_table_comment": "Settings that are changed while the application runs; key and JSON value.",
                "ordering": ["key"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("category__in", ["general", "api", "integrations", "notifications"])),
                        name="settings_category_check",
                    )
                ],
            },
        ),
        moeen.db.operations.RunIndexFile(
            app_label="sysadmin",
            name="0003_indexes",
            state_operations=[
                migrations.AddIndex(
                    "auditlog",
                    moeen.db.constraints.Index(
                        fields=["user_id", "created_at"], name="audit_logs_user_id_created_at_idx"
                    ),
                ),
                migrations.AddIndex(
                    "auditlog", moeen.db.constraints.Index(fields=["created_at"], name="audit_logs_created_at_idx")
                ),
            ],
        ),
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0003_updated_at",
        ),
    ]
