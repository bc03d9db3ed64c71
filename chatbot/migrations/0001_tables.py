"""The tables (older: 010)."""

import uuid

import django.contrib.postgres.functions
import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import moeen.db.adoption
import moeen.db.constraints
import moeen.db.functions
import moeen.db.operations
import moeen.db.public_ids


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    initial = True

    dependencies = [
        ("healthcare", "0003_audit"),
    ]

    operations = [
        moeen.db.operations.CreateTable(
            name="Flow",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="flw_")),
                ("name", models.CharField(max_length=255, verbose_name="name")),
                ("description", models.TextField(blank=True, null=True, verbose_name="description")),
                (
                    "status",
                    models.CharField(
                        choices=[("draft", "Draft"), ("published", "Published"), ("archived", "Archived")],
                        db_default="draft",
                        default="draft",
                        max_length=50,
                        verbose_name="status",
                    ),
                ),
                ("version", models.IntegerField(db_default=1, default=1, verbose_name="version")),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        db_column="created_by",
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="created_flows",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="created by",
                    ),
                ),
                ("published_at", models.DateTimeField(blank=True, null=True, verbose_name="published at")),
            ],
            options={
                "verbose_name": "flow",
                "verbose_name_plural": "flows",
                "db_table": "chatbot_flows",
                "db_table_comment": "Conversation plans of the bot; nodes and edges belong to one flow.",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["draft", "published", "archived"])),
                        name="chatbot_flows_status_check",
                    )
                ],
            },
        ),
        moeen.db.operations.CreateTable(
            name="Node",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="nod_")),
                (
                    "flow",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="nodes",
                        to="chatbot.flow",
                        verbose_name="flow",
                    ),
                ),
                (
                    "node_type",
                    models.CharField(
                        choices=[
                            ("start", "Start"),
                            ("message", "Message"),
                            ("condition", "Condition"),
                            ("action", "Action"),
                            ("end", "End"),
                        ],
                        max_length=50,
                        verbose_name="type",
                    ),
                ),
                ("name", models.CharField(max_length=255, verbose_name="name")),
                ("config", models.JSONField(blank=True, db_default={}, default=dict, verbose_name="configuration")),
                (
                    "position_x",
                    models.IntegerField(
                        db_comment="Pixels from the left in the flow editor.",
                        db_default=0,
                        default=0,
                        verbose_name="position x",
                    ),
                ),
                (
                    "position_y",
                    models.IntegerField(
                        db_comment="Pixels from the top in the flow editor.",
                        db_default=0,
                        default=0,
                        verbose_name="position y",
                    ),
                ),
            ],
            options={
                "verbose_name": "node",
                "verbose_name_plural": "nodes",
                "db_table": "chatbot_nodes",
                "db_table_comment": "Steps of a flow.",
                "constraints": [
                    models.UniqueConstraint(fields=("flow", "id"), name="chatbot_nodes_flow_id_id_key"),
                    models.CheckConstraint(
                        condition=models.Q(("node_type__in", ["start", "message", "condition", "action", "end"])),
                        name="chatbot_nodes_node_type_check",
                    ),
                ],
            },
        ),
        moeen.db.operations.CreateTable(
            name="Edge",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="edg_")),
                (
                    "flow",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="edges",
                        to="chatbot.flow",
                        verbose_name="flow",
                    ),
                ),
                (
                    "source_node",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="outgoing_edges",
                        to="chatbot.node",
                        verbose_name="from node",
                    ),
                ),
                (
                    "target_node",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="incoming_edges",
                        to="chatbot.node",
                        verbose_name="to node",
                    ),
                ),
                (
                    "condition",
                    models.JSONField(
                        blank=True,
                        db_comment="When the edge is taken; NULL: always.",
                        null=True,
                        verbose_name="condition",
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
                "verbose_name": "edge",
                "verbose_name_plural": "edges",
                "db_table": "chatbot_edges",
                "db_table_comment": "Steps from node to node; both nodes belong to the edge's own flow.",
                "constraints": [
                    moeen.db.constraints.ForeignKeyConstraint(
                        fields=("flow", "source_node"),
                        name="chatbot_edges_flow_id_source_node_id_fkey",
                        on_delete=django.db.models.deletion.CASCADE,
                        to="chatbot.Node",
                        to_fields=("flow", "id"),
                        violation_error_message="The node it comes from belongs to another flow.",
                    ),
                    moeen.db.constraints.ForeignKeyConstraint(
                        fields=("flow", "target_node"),
                        name="chatbot_edges_flow_id_target_node_id_fkey",
                        on_delete=django.db.models.deletion.CASCADE,
                        to="chatbot.Node",
                        to_fields=("flow", "id"),
                        violation_error_message="The node it leads to belongs to another flow.",
                    ),
                ],
            },
            legacy=moeen.db.adoption.Legacy(
                constraints=("chatbot_edges_source_node_id_fkey", "chatbot_edges_target_node_id_fkey")
            ),
        ),
        moeen.db.operations.CreateTable(
            name="Template",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="tpl_")),
                ("name", models.CharField(max_length=255, verbose_name="name")),
                (
                    "category",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("greeting", "Greeting"),
                            ("appointment", "Appointment"),
                            ("information", "Information"),
                            ("support", "Support"),
                        ],
                        max_length=100,
                        null=True,
                        verbose_name="category",
                    ),
                ),
                (
                    "language",
                    models.CharField(
                        db_comment="Language tag, such as ar or en.",
                        db_default="ar",
                        default="ar",
                        max_length=10,
                        verbose_name="language",
                    ),
                ),
                ("content", models.TextField(verbose_name="content")),
                (
                    "variables",
                    models.JSONField(
                        blank=True,
                        db_comment="Names of what is filled into the content.",
                        null=True,
                        verbose_name="variables",
                    ),
                ),
                ("is_approved", models.BooleanField(db_default=False, default=False, verbose_name="approved")),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        db_column="created_by",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="created_templates",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="created by",
                    ),
                ),
                (
                    "approved_by",
                    models.ForeignKey(
                        blank=True,
                        db_column="approved_by",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="approved_templates",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="approved by",
                    ),
                ),
            ],
            options={
                "verbose_name": "template",
                "verbose_name_plural": "templates",
                "db_table": "chatbot_templates",
                "db_table_comment": "Texts that the bot may send once they are approved.",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("category__in", ["greeting", "appointment", "information", "support"])),
                        name="chatbot_templates_category_check",
                    )
                ],
            },
        ),
        moeen.db.operations.CreateTable(
            name="Integration",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="int_")),
                (
                    "provider",
                    models.CharField(
                        choices=[
                            ("whatsapp", "WhatsApp"),
                            ("web", "Web"),
                            ("telegram", "Telegram"),
                            ("facebook", "Facebook"),
                        ],
                        max_length=50,
                        verbose_name="provider",
                    ),
                ),
                ("name", models.CharField(max_length=255, verbose_name="name")),
                ("config", models.JSONField(blank=True, verbose_name="configuration")),
                (
                    "status",
                    models.CharField(
                        choices=[("inactive", "Inactive"), ("active", "Active"), ("error", "Error")],
                        db_default="inactive",
                        default="inactive",
                        max_length=50,
                        verbose_name="status",
                    ),
                ),
                (
                    "webhook_url",
                    models.CharField(
                        blank=True,
                        max_length=500,
                        null=True,
                        validators=[django.core.validators.URLValidator(schemes=["http", "https"])],
                        verbose_name="webhook address",
                    ),
                ),
                (
                    "webhook_secret",
                    models.CharField(
                        blank=True,
                        db_comment="A secret: signs what the service sends. Never logged, never shown whole.",
                        max_length=255,
                        null=True,
                        verbose_name="webhook secret",
                    ),
                ),
                ("last_health_check", models.DateTimeField(blank=True, null=True, verbose_name="last health check")),
                (
                    "health_status",
                    models.CharField(
                        choices=[("unknown", "Unknown"), ("healthy", "Healthy"), ("unhealthy", "Unhealthy")],
                        db_default="unknown",
                        default="unknown",
                        max_length=50,
                        verbose_name="health",
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        db_column="created_by",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="created_integrations",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="created by",
                    ),
                ),
            ],
            options={
                "verbose_name": "integration",
                "verbose_name_plural": "integrations",
                "db_table": "chatbot_integrations",
                "db_table_comment": "Accounts at messaging services; holds secrets, seen by administrators only.",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("provider__in", ["whatsapp", "web", "telegram", "facebook"])),
                        name="chatbot_integrations_provider_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["inactive", "active", "error"])),
                        name="chatbot_integrations_status_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("health_status__in", ["unknown", "healthy", "unhealthy"])),
                        name="chatbot_integrations_health_status_check",
                    ),
                ],
            },
        ),
        moeen.db.operations.CreateTable(
            name="Conversation",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="cnv_")),
                (
                    "integration",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="conversations",
                        to="chatbot.integration",
                        verbose_name="integration",
                    ),
                ),
                (
                    "patient",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="conversations",
                        to="healthcare.patient",
                        verbose_name="patient",
                    ),
                ),
                (
                    "external_id",
                    models.CharField(
                        blank=True,
                        db_comment="The service's own id of the conversation.",
                        max_length=255,
                        null=True,
                        verbose_name="external id",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("closed", "Closed"), ("archived", "Archived")],
                        db_default="active",
                        default="active",
                        max_length=50,
                        verbose_name="status",
                    ),
                ),
                (
                    "channel",
                    models.CharField(
                        choices=[
                            ("whatsapp", "WhatsApp"),
                            ("web", "Web"),
                            ("telegram", "Telegram"),
                            ("facebook", "Facebook"),
                        ],
                        max_length=50,
                        verbose_name="channel",
                    ),
                ),
                (
                    "started_at",
                    models.DateTimeField(
                        db_default=moeen.db.functions.Now(), editable=False, verbose_name="started at"
                    ),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended at")),
                ("metadata", models.JSONField(blank=True, null=True, verbose_name="metadata")),
            ],
            options={
                "verbose_name": "conversation",
                "verbose_name_plural": "conversations",
                "db_table": "conversations",
                "db_table_comment": "Talks between the bot and people.",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["active", "closed", "archived"])),
                        name="conversations_status_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("channel__in", ["whatsapp", "web", "telegram", "facebook"])),
                        name="conversations_channel_check",
                    ),
                ],
            },
        ),
        moeen.db.operations.CreateTable(
            name="Message",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="msg_")),
                (
                    "conversation",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="messages",
                        to="chatbot.conversation",
                        verbose_name="conversation",
                    ),
                ),
                (
                    "sender_type",
                    models.CharField(
                        choices=[("user", "Person"), ("bot", "Bot"), ("system", "System")],
                        max_length=50,
                        verbose_name="sender",
                    ),
                ),
                ("content", models.TextField(verbose_name="content")),
                (
                    "message_type",
                    models.CharField(
                        choices=[("text", "Text"), ("image", "Image"), ("file", "File"), ("button", "Button")],
                        db_default="text",
                        default="text",
                        max_length=50,
                        verbose_name="type",
                    ),
                ),
                ("metadata", models.JSONField(blank=True, null=True, verbose_name="metadata")),
                (
                    "sent_at",
                    models.DateTimeField(db_default=moeen.db.functions.Now(), editable=False, verbose_name="sent at"),
                ),
                ("read_at", models.DateTimeField(blank=True, null=True, verbose_name="read at")),
            ],
            options={
                "verbose_name": "message",
                "verbose_name_plural": "messages",
                "db_table": "messages",
                "db_table_comment": "What was said in a conversation; may hold health data.",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("sender_type__in", ["user", "bot", "system"])),
                        name="messages_sender_type_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("message_type__in", ["text", "image", "file", "button"])),
                        name="messages_message_type_check",
                    ),
                ],
            },
        ),
        moeen.db.operations.RunSQLFile(
            app_label="chatbot",
            name="0001_updated_at",
        ),
    ]
