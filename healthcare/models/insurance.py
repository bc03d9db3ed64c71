"""Claims to insurers."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from healthcare.models.people import Patient
from healthcare.models.visits import Appointment
from moeen.db.constraints import Index
from moeen.db.models import TimestampedModel
from moeen.db.public_ids import PublicIdField


class InsuranceClaim(TimestampedModel):
    """What an insurer was asked to pay for a patient, and what it agreed to."""

    clinical_fields = ("notes",)

    public_id = PublicIdField(prefix="clm_")

    class Status(models.TextChoices):
        PENDING = "pending", _("Pending")
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")
        PAID = "paid", _("Paid")

    patient = models.ForeignKey(
        Patient, verbose_name=_("patient"), on_delete=models.RESTRICT, related_name="insurance_claims"
    )
    appointment = models.ForeignKey(
        Appointment,
        verbose_name=_("appointment"),
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="insurance_claims",
    )
    claim_number = models.CharField(
        _("claim number"),
        max_length=100,
        unique=True,
        null=True,
        blank=True,
        db_comment="The insurer's number.",
    )
    insurance_provider = models.CharField(_("insurer"), max_length=255, null=True, blank=True)
    claim_amount = models.DecimalField(
        _("claimed amount"),
        max_digits=10,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        db_comment="Saudi riyals.",
    )
    approved_amount = models.DecimalField(
        _("approved amount"),
        max_digits=10,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        db_comment="Saudi riyals.",
    )
    status = models.CharField(
        _("status"), max_length=50, choices=Status, default=Status.PENDING, db_default=Status.PENDING
    )
    submitted_date = models.DateField(_("submitted on"), null=True, blank=True)
    processed_date = models.DateField(_("processed on"), null=True, blank=True)
    notes = models.TextField(_("notes"), null=True, blank=True)

    class Meta:
        db_table = "insurance_claims"
        base_manager_name = "referred"
        db_table_comment = "What insurers were asked to pay, and what they agreed to."
        verbose_name = _("insurance claim")
        verbose_name_plural = _("insurance claims")
        indexes = [Index(fields=["created_at"], name="insurance_claims_created_at_idx")]
        constraints = [
            models.CheckConstraint(condition=Q(claim_amount__gte=0), name="insurance_claims_claim_amount_check"),
            models.CheckConstraint(condition=Q(approved_amount__gte=0), name="insurance_claims_approved_amount_check"),
            models.CheckConstraint(
                condition=Q(status__in=["pending", "approved", "rejected", "paid"]),
                name="insurance_claims_status_check",
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id or self.pk)
