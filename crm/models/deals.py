"""Deals: what a lead or a patient may buy."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from crm.models.leads import Lead
from healthcare.models import Patient
from moeen.db.constraints import Index
from moeen.db.models import TimestampedModel
from moeen.db.public_ids import PublicIdField


class Deal(TimestampedModel):
    """Something to be sold, and how far it has come."""

    public_id = PublicIdField(prefix="del_")

    class Stage(models.TextChoices):
        PROSPECTING = "prospecting", _("Prospecting")
        QUALIFICATION = "qualification", _("Qualification")
        PROPOSAL = "proposal", _("Proposal")
        NEGOTIATION = "negotiation", _("Negotiation")
        CLOSED_WON = "closed_won", _("Won")
        CLOSED_LOST = "closed_lost", _("Lost")

    title = models.CharField(_("title"), max_length=255)
    description = models.TextField(_("description"), null=True, blank=True)
    value = models.DecimalField(
        _("value"),
        max_digits=12,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        db_comment="In the deal's currency.",
    )
    currency = models.CharField(
        _("currency"), max_length=10, default="SAR", db_default="SAR", db_comment="ISO 4217 code."
    )
    stage = models.CharField(
        _("stage"), max_length=50, choices=Stage, default=Stage.PROSPECTING, db_default=Stage.PROSPECTING
    )
    probability = models.IntegerField(
        _("probability"),
        default=0,
        db_default=0,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text=_("Percent."),
        db_comment="Percent, 0 to 100.",
    )
    expected_close_date = models.DateField(_("expected close"), null=True, blank=True)
    actual_close_date = models.DateField(_("closed on"), null=True, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="deals",
        db_index=False,  # crm_deals_owner_id_stage_idx begins with it
        db_comment="Who works on it, and the only staff who see it.",
    )
    contact = models.ForeignKey(
        Patient,
        verbose_name=_("contact"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="deals",
        db_comment="The patient it is made with.",
    )
    lead = models.ForeignKey(
        Lead, verbose_name=_("lead"), on_delete=models.SET_NULL, null=True, blank=True, related_name="deals"
    )

    class Meta:
        db_table = "crm_deals"
        db_table_comment = "What is to be sold, and how far it has come."
        verbose_name = _("deal")
        verbose_name_plural = _("deals")
        indexes = [
            Index(fields=["owner", "stage"], name="crm_deals_owner_id_stage_idx"),
            Index(fields=["stage"], name="crm_deals_stage_idx"),
            Index(fields=["value"], name="crm_deals_value_idx"),
            Index(fields=["expected_close_date"], name="crm_deals_expected_close_date_idx"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(value__gte=0), name="crm_deals_value_check"),
            models.CheckConstraint(
                condition=Q(
                    stage__in=[
                        "prospecting",
                        "qualification",
                        "proposal",
                        "negotiation",
                        "closed_won",
                        "closed_lost",
                    ]
                ),
                name="crm_deals_stage_check",
            ),
            models.CheckConstraint(
                condition=Q(probability__gte=0, probability__lte=100), name="crm_deals_probability_check"
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id or self.pk)
