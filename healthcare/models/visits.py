"""Appointments, and the sessions that come of them."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from healthcare.models.people import Doctor, Patient
from moeen.db.constraints import Index
from moeen.db.models import TimestampedModel
from moeen.db.public_ids import PublicIdField


class Appointment(TimestampedModel):
    """A time at which a patient is to see a doctor."""

    clinical_fields = ("notes",)

    public_id = PublicIdField(prefix="apt_")

    class Status(models.TextChoices):
        SCHEDULED = "scheduled", _("Scheduled")
        CONFIRMED = "confirmed", _("Confirmed")
        COMPLETED = "completed", _("Completed")
        CANCELLED = "cancelled", _("Cancelled")
        NO_SHOW = "no_show", _("Did not come")

    patient = models.ForeignKey(
        Patient, verbose_name=_("patient"), on_delete=models.RESTRICT, related_name="appointments"
    )
    doctor = models.ForeignKey(Doctor, verbose_name=_("doctor"), on_delete=models.RESTRICT, related_name="appointments")
    appointment_date = models.DateField(_("date"), db_comment="The clinic's local, Gregorian date.")
    appointment_time = models.TimeField(_("time"), db_comment="The clinic's local time.")
    duration = models.IntegerField(
        _("duration"),
        default=30,
        db_default=30,
        validators=[MinValueValidator(1)],
        help_text=_("Minutes."),
        db_comment="Minutes.",
    )
    status = models.CharField(
        _("status"), max_length=50, choices=Status, default=Status.SCHEDULED, db_default=Status.SCHEDULED
    )
    notes = models.TextField(_("notes"), null=True, blank=True)

    class Meta:
        db_table = "appointments"
        base_manager_name = "referred"
        db_table_comment = "Times at which patients are to see doctors."
        verbose_name = _("appointment")
        verbose_name_plural = _("appointments")
        indexes = [
            Index(fields=["created_at"], name="appointments_created_at_idx"),  # the newest, and how many there are
            Index(fields=["appointment_date"], name="appointments_appointment_date_idx"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(duration__gt=0), name="appointments_duration_check"),
            models.CheckConstraint(
                condition=Q(status__in=["scheduled", "confirmed", "completed", "cancelled", "no_show"]),
                name="appointments_status_check",
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id or self.pk)


class Session(TimestampedModel):
    """A consultation: what the doctor found and decided. Clinical."""

    clinical_fields = ("diagnosis", "treatment_plan", "notes")

    public_id = PublicIdField(prefix="ses_")

    class Status(models.TextChoices):
        SCHEDULED = "scheduled", _("Scheduled")
        IN_PROGRESS = "in_progress", _("In progress")
        COMPLETED = "completed", _("Completed")
        CANCELLED = "cancelled", _("Cancelled")

    appointment = models.ForeignKey(
        Appointment,
        verbose_name=_("appointment"),
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="sessions",
        db_comment="NULL: the patient came without an appointment.",
    )
    patient = models.ForeignKey(Patient, verbose_name=_("patient"), on_delete=models.RESTRICT, related_name="sessions")
    doctor = models.ForeignKey(Doctor, verbose_name=_("doctor"), on_delete=models.RESTRICT, related_name="sessions")
    session_date = models.DateField(_("date"), db_comment="The clinic's local, Gregorian date.")
    session_time = models.TimeField(_("time"), db_comment="The clinic's local time.")
    duration = models.IntegerField(
        _("duration"),
        default=30,
        db_default=30,
        validators=[MinValueValidator(1)],
        help_text=_("Minutes."),
        db_comment="Minutes.",
    )
    status = models.CharField(
        _("status"), max_length=50, choices=Status, default=Status.SCHEDULED, db_default=Status.SCHEDULED
    )
    diagnosis = models.TextField(_("diagnosis"), null=True, blank=True, db_comment="Health data: clinical eyes only.")
    treatment_plan = models.TextField(
        _("treatment plan"), null=True, blank=True, db_comment="Health data: clinical eyes only."
    )
    notes = models.TextField(_("notes"), null=True, blank=True, db_comment="Health data: clinical eyes only.")

    class Meta:
        db_table = "sessions"
        base_manager_name = "referred"
        db_table_comment = "Consultations: what the doctor found and decided. Clinical; web sessions are elsewhere."
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        indexes = [
            Index(fields=["created_at"], name="sessions_created_at_idx"),  # the newest, and how many there are
            Index(fields=["session_date"], name="sessions_session_date_idx"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(duration__gt=0), name="sessions_duration_check"),
            models.CheckConstraint(
                condition=Q(status__in=["scheduled", "in_progress", "completed", "cancelled"]),
                name="sessions_status_check",
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id or self.pk)
