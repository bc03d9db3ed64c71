"""The clinical tables, as they were before public ids."""

import uuid

import django.contrib.postgres.functions
import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import moeen.db.functions
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    initial = True

    dependencies = [
        ("sysadmin", "0004_audit"),
    ]

    operations = [
        moeen.db.operations.CreateTable(
            name="Patient",
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
                (
                    "user",
                    models.OneToOneField(
                        blank=True,
                        db_comment="The patient's own sign-in; NULL when there is none.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="patient",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
                ("first_name", models.CharField(max_length=255, verbose_name="first name")),
                ("last_name", models.CharField(max_length=255, verbose_name="last name")),
                (
                    "email",
                    models.EmailField(
                        blank=True, max_length=255, null=True, unique=True, verbose_name="e-mail address"
                    ),
                ),
                ("phone", models.CharField(blank=True, max_length=50, null=True, verbose_name="phone")),
                (
                    "date_of_birth",
                    models.DateField(blank=True, db_comment="Gregorian.", null=True, verbose_name="date of birth"),
                ),
                (
                    "gender",
                    models.CharField(
                        blank=True, db_comment="Free text.", max_length=20, null=True, verbose_name="gender"
                    ),
                ),
                ("address", models.TextField(blank=True, null=True, verbose_name="address")),
                (
                    "emergency_contact_name",
                    models.CharField(blank=True, max_length=255, null=True, verbose_name="emergency contact"),
                ),
                (
                    "emergency_contact_phone",
                    models.CharField(blank=True, max_length=50, null=True, verbose_name="emergency contact's phone"),
                ),
                (
                    "medical_history",
                    models.TextField(
                        blank=True,
                        db_comment="Health data: clinical eyes only.",
                        null=True,
                        verbose_name="medical history",
                    ),
                ),
                (
                    "allergies",
                    models.TextField(
                        blank=True, db_comment="Health data: clinical eyes only.", null=True, verbose_name="allergies"
                    ),
                ),
            ],
            options={
                "verbose_name": "patient",
                "verbose_name_plural": "patients",
                "db_table": "patients",
                "db_table_comment": "People under care. Never deleted by a cascade.",
            },
        ),
        moeen.db.operations.CreateTable(
            name="Doctor",
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
                (
                    "user",
                    models.OneToOneField(
                        blank=True,
                        db_comment="The doctor's own sign-in; NULL when there is none.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="doctor",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
                ("first_name", models.CharField(max_length=255, verbose_name="first name")),
                ("last_name", models.CharField(max_length=255, verbose_name="last name")),
                (
                    "specialization",
                    models.CharField(blank=True, max_length=255, null=True, verbose_name="specialization"),
                ),
                (
                    "license_number",
                    models.CharField(blank=True, max_length=100, null=True, verbose_name="licence number"),
                ),
                ("phone", models.CharField(blank=True, max_length=50, null=True, verbose_name="phone")),
                ("email", models.EmailField(blank=True, max_length=255, null=True, verbose_name="e-mail address")),
                (
                    "consultation_fee",
                    models.DecimalField(
                        blank=True,
                        db_comment="Saudi riyals.",
                        decimal_places=2,
                        max_digits=10,
                        null=True,
                        verbose_name="consultation fee",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        db_comment="False: takes no appointments and is not listed.",
                        db_default=True,
                        default=True,
                        verbose_name="active",
                    ),
                ),
            ],
            options={
                "verbose_name": "doctor",
                "verbose_name_plural": "doctors",
                "db_table": "doctors",
                "db_table_comment": "People who treat patients. Never deleted by a cascade.",
            },
        ),
        moeen.db.operations.CreateTable(
            name="Appointment",
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
                (
                    "patient",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="appointments",
                        to="healthcare.patient",
                        verbose_name="patient",
                    ),
                ),
                (
                    "doctor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="appointments",
                        to="healthcare.doctor",
                        verbose_name="doctor",
                    ),
                ),
                (
                    "appointment_date",
                    models.DateField(db_comment="The clinic's local, Gregorian date.", verbose_name="date"),
                ),
                ("appointment_time", models.TimeField(db_comment="The clinic's local time.", verbose_name="time")),
                (
                    "duration",
                    models.IntegerField(
                        db_comment="Minutes.",
                        db_default=30,
                        default=30,
                        help_text="Minutes.",
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="duration",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("scheduled", "Scheduled"),
                            ("confirmed", "Confirmed"),
                            ("completed", "Completed"),
                            ("cancelled", "Cancelled"),
                            ("no_show", "Did not come"),
                        ],
                        db_default="scheduled",
                        default="scheduled",
                        max_length=50,
                        verbose_name="status",
                    ),
                ),
                ("notes", models.TextField(blank=True, null=True, verbose_name="notes")),
            ],
            options={
                "verbose_name": "appointment",
                "verbose_name_plural": "appointments",
                "db_table": "appointments",
                "db_table_comment": "Times at which patients are to see doctors.",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("duration__gt", 0)), name="appointments_duration_check"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["scheduled", "confirmed", "completed", "cancelled", "no_show"])
                        ),
                        name="appointments_status_check",
                    ),
                ],
            },
        ),
        moeen.db.operations.CreateTable(
            name="Session",
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
                (
                    "appointment",
                    models.ForeignKey(
                        blank=True,
                        db_comment="NULL: the patient came without an appointment.",
                        null=True,
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="sessions",
                        to="healthcare.appointment",
                        verbose_name="appointment",
                    ),
                ),
                (
                    "patient",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="sessions",
                        to="healthcare.patient",
                        verbose_name="patient",
                    ),
                ),
                (
                    "doctor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="sessions",
                        to="healthcare.doctor",
                        verbose_name="doctor",
                    ),
                ),
                (
                    "session_date",
                    models.DateField(db_comment="The clinic's local, Gregorian date.", verbose_name="date"),
                ),
                ("session_time", models.TimeField(db_comment="The clinic's local time.", verbose_name="time")),
                (
                    "duration",
                    models.IntegerField(
                        db_comment="Minutes.",
                        db_default=30,
                        default=30,
                        help_text="Minutes.",
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="duration",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("scheduled", "Scheduled"),
                            ("in_progress", "In progress"),
                            ("completed", "Completed"),
                            ("cancelled", "Cancelled"),
                        ],
                        db_default="scheduled",
                        default="scheduled",
                        max_length=50,
                        verbose_name="status",
                    ),
                ),
                (
                    "diagnosis",
                    models.TextField(
                        blank=True, db_comment="Health data: clinical eyes only.", null=True, verbose_name="diagnosis"
                    ),
                ),
                (
                    "treatment_plan",
                    models.TextField(
                        blank=True,
                        db_comment="Health data: clinical eyes only.",
                        null=True,
                        verbose_name="treatment plan",
                    ),
                ),
                (
                    "notes",
                    models.TextField(
                        blank=True, db_comment="Health data: clinical eyes only.", null=True, verbose_name="notes"
                    ),
                ),
            ],
            options={
                "verbose_name": "session",
                "verbose_name_plural": "sessions",
                "db_table": "sessions",
                "db_table_comment": "Consultations: what the doctor found and decided. Clinical; web sessions are elsewhere.",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("duration__gt", 0)), name="sessions_duration_check"),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["scheduled", "in_progress", "completed", "cancelled"])),
                        name="sessions_status_check",
                    ),
                ],
            },
        ),
        moeen.db.operations.CreateTable(
            name="InsuranceClaim",
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
                (
                    "patient",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="insurance_claims",
                        to="healthcare.patient",
                        verbose_name="patient",
                    ),
                ),
                (
                    "appointment",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="insurance_claims",
                        to="healthcare.appointment",
                        verbose_name="appointment",
                    ),
                ),
                (
                    "claim_number",
                    models.CharField(
                        blank=True,
                        db_comment="The insurer's number.",
                        max_length=100,
                        null=True,
                        unique=True,
                        verbose_name="claim number",
                    ),
                ),
                ("insurance_provider", models.CharField(blank=True, max_length=255, null=True, verbose_name="insurer")),
                (
                    "claim_amount",
                    models.DecimalField(
                        blank=True,
                        db_comment="Saudi riyals.",
                        decimal_places=2,
                        max_digits=10,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="claimed amount",
                    ),
                ),
                (
                    "approved_amount",
                    models.DecimalField(
                        blank=True,
                        db_comment="Saudi riyals.",
                        decimal_places=2,
                        max_digits=10,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="approved amount",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("approved", "Approved"),
                            ("rejected", "Rejected"),
                            ("paid", "Paid"),
                        ],
                        db_default="pending",
                        default="pending",
                        max_length=50,
                        verbose_name="status",
                    ),
                ),
                ("submitted_date", models.DateField(blank=True, null=True, verbose_name="submitted on")),
                ("processed_date", models.DateField(blank=True, null=True, verbose_name="processed on")),
                ("notes", models.TextField(blank=True, null=True, verbose_name="notes")),
            ],
            options={
                "verbose_name": "insurance claim",
                "verbose_name_plural": "insurance claims",
                "db_table": "insurance_claims",
                "db_table_comment": "What insurers were asked to pay, and what they agreed to.",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("claim_amount__gte", 0)), name="insurance_claims_claim_amount_check"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("approved_amount__gte", 0)), name="insurance_claims_approved_amount_check"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["pending", "approved", "rejected", "paid"])),
                        name="insurance_claims_status_check",
                    ),
                ],
            },
        ),
        moeen.db.operations.RunSQLFile(
            app_label="healthcare",
            name="0001_updated_at",
        ),
    ]
