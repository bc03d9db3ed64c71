"""The tables (older: 020)."""

import uuid

import django.contrib.postgres.functions
import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

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
            name="Lead",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="led_")),
                ("name", models.CharField(max_length=255, verbose_name="name")),
                ("email", models.EmailField(blank=True, max_length=255, null=True, verbose_name="e-mail address")),
                ("phone", models.CharField(blank=True, max_length=50, null=True, verbose_name="phone")),
                ("company", models.CharField(blank=True, max_length=255, null=True, verbose_name="company")),
                (
                    "source",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("website", "Website"),
                            ("referral", "Referral"),
                            ("social", "Social media"),
                            ("cold_call", "Cold call"),
                        ],
                        max_length=100,
                        null=True,
                        verbose_name="source",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("new", "New"),
                            ("contacted", "Contacted"),
                            ("qualified", "Qualified"),
                            ("unqualified", "Unqualified"),
                            ("converted", "Converted"),
                        ],
                        db_default="new",
                        default="new",
                        max_length=50,
                        verbose_name="status",
                    ),
                ),
                (
                    "score",
                    models.IntegerField(
                        db_comment="How promising: the higher, the more.", db_default=0, default=0, verbose_name="score"
                    ),
                ),
                ("notes", models.TextField(blank=True, null=True, verbose_name="notes")),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        db_comment="Who works on it, and the only staff who see it.",
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="leads",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
                (
                    "assigned_at",
                    models.DateTimeField(
                        db_comment="Since when the owner works on it.",
                        db_default=moeen.db.functions.Now(),
                        editable=False,
                        verbose_name="assigned at",
                    ),
                ),
            ],
            options={
                "verbose_name": "lead",
                "verbose_name_plural": "leads",
                "db_table": "crm_leads",
                "db_table_comment": "People and companies that showed interest.",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("source__in", ["website", "referral", "social", "cold_call"])),
                        name="crm_leads_source_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["new", "contacted", "qualified", "unqualified", "converted"])
                        ),
                        name="crm_leads_status_check",
                    ),
                ],
            },
        ),
        moeen.db.operations.CreateTable(
            name="Deal",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="del_")),
                ("title", models.CharField(max_length=255, verbose_name="title")),
                ("description", models.TextField(blank=True, null=True, verbose_name="description")),
                (
                    "value",
                    models.DecimalField(
                        blank=True,
                        db_comment="In the deal's currency.",
                        decimal_places=2,
                        max_digits=12,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="value",
                    ),
                ),
                (
                    "currency",
                    models.CharField(
                        db_comment="ISO 4217 code.",
                        db_default="SAR",
                        default="SAR",
                        max_length=10,
                        verbose_name="currency",
                    ),
                ),
                (
                    "stage",
                    models.CharField(
                        choices=[
                            ("prospecting", "Prospecting"),
                            ("qualification", "Qualification"),
                            ("proposal", "Proposal"),
                            ("negotiation", "Negotiation"),
                            ("closed_won", "Won"),
                            ("closed_lost", "Lost"),
                        ],
                        db_default="prospecting",
                        default="prospecting",
                        max_length=50,
                        verbose_name="stage",
                    ),
                ),
                (
                    "probability",
                    models.IntegerField(
                        db_comment="Percent, 0 to 100.",
                        db_default=0,
                        default=0,
                        help_text="Percent.",
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                        verbose_name="probability",
                    ),
                ),
                ("expected_close_date", models.DateField(blank=True, null=True, verbose_name="expected close")),
                ("actual_close_date", models.DateField(blank=True, null=True, verbose_name="closed on")),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        db_comment="Who works on it, and the only staff who see it.",
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="deals",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
                (
                    "contact",
                    models.ForeignKey(
                        blank=True,
                        db_comment="The patient it is made with.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="deals",
                        to="healthcare.patient",
                        verbose_name="contact",
                    ),
                ),
                (
                    "lead",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="deals",
                        to="crm.lead",
                        verbose_name="lead",
                    ),
                ),
            ],
            options={
                "verbose_name": "deal",
                "verbose_name_plural": "deals",
                "db_table": "crm_deals",
                "db_table_comment": "What is to be sold, and how far it has come.",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("value__gte", 0)), name="crm_deals_value_check"),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "stage__in",
                                [
                                    "prospecting",
                                    "qualification",
                                    "proposal",
                                    "negotiation",
                                    "closed_won",
                                    "closed_lost",
                                ],
                            )
                        ),
                        name="crm_deals_stage_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("probability__gte", 0), ("probability__lte", 100)),
                        name="crm_deals_probability_check",
                    ),
                ],
            },
        ),
        moeen.db.operations.CreateTable(
            name="Activity",
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
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="act_")),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("call", "Call"),
                            ("email", "E-mail"),
                            ("meeting", "Meeting"),
                            ("task", "Task"),
                            ("note", "Note"),
                        ],
                        max_length=50,
                        verbose_name="type",
                    ),
                ),
                ("subject", models.CharField(max_length=255, verbose_name="subject")),
                ("description", models.TextField(blank=True, null=True, verbose_name="description")),
                ("due_date", models.DateField(blank=True, null=True, verbose_name="due on")),
                (
                    "due_time",
                    models.TimeField(
                        blank=True, db_comment="The clinic's local time.", null=True, verbose_name="due at"
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("pending", "Pending"), ("completed", "Completed"), ("cancelled", "Cancelled")],
                        db_default="pending",
                        default="pending",
                        max_length=50,
                        verbose_name="status",
                    ),
                ),
                (
                    "priority",
                    models.CharField(
                        choices=[("low", "Low"), ("medium", "Medium"), ("high", "High")],
                        db_default="medium",
                        default="medium",
                        max_length=20,
                        verbose_name="priority",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        db_comment="Who does it, and the only staff who see it.",
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="activities",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
                (
                    "contact",
                    models.ForeignKey(
                        blank=True,
                        db_comment="The patient it is about.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="activities",
                        to="healthcare.patient",
                        verbose_name="contact",
                    ),
                ),
                (
                    "deal",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="activities",
                        to="crm.deal",
                        verbose_name="deal",
                    ),
                ),
                ("completed_at", models.DateTimeField(blank=True, null=True, verbose_name="completed at")),
            ],
            options={
                "verbose_name": "activity",
                "verbose_name_plural": "activities",
                "db_table": "crm_activities",
                "db_table_comment": "Calls, meetings, tasks: what is done or to be done.",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("type__in", ["call", "email", "meeting", "task", "note"])),
                        name="crm_activities_type_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["pending", "completed", "cancelled"])),
                        name="crm_activities_status_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("priority__in", ["low", "medium", "high"])),
                        name="crm_activities_priority_check",
                    ),
                ],
            },
        ),
        moeen.db.operations.RunSQLFile(
            app_label="crm",
            name="0001_updated_at",
        ),
    ]
