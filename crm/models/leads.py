"""Leads: people who may become patients or customers."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from moeen.db.constraints import Index, SearchIndex
from moeen.db.functions import Now, SearchWords
from moeen.db.models import TimestampedModel
from moeen.db.public_ids import PublicIdField


class Lead(TimestampedModel):
    """A person or company that showed interest."""

    public_id = PublicIdField(prefix="led_")

    class Source(models.TextChoices):
        WEBSITE = "website", _("Website")
        REFERRAL = "referral", _("Referral")
        SOCIAL = "social", _("Social media")
        COLD_CALL = "cold_call", _("Cold call")

    class Status(models.TextChoices):
        NEW = "new", _("New")
        CONTACTED = "contacted", _("Contacted")
        QUALIFIED = "qualified", _("Qualified")
        UNQUALIFIED = "unqualified", _("Unqualified")
        CONVERTED = "converted", _("Converted")

    name = models.CharField(_("name"), max_length=255)
    email = models.EmailField(_("e-mail address"), max_length=255, null=True, blank=True)
    phone = models.CharField(_("phone"), max_length=50, null=True, blank=True)
    company = models.CharField(_("company"), max_length=255, null=True, blank=True)
    source = models.CharField(_("source"), max_length=100, choices=Source, null=True, blank=True)
    status = models.CharField(_("status"), max_length=50, choices=Status, default=Status.NEW, db_default=Status.NEW)
    score = models.IntegerField(_("score"), default=0, db_default=0, db_comment="How promising: the higher, the more.")
    notes = models.TextField(_("notes"), null=True, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="leads",
        db_index=False,  # crm_leads_owner_id_status_idx begins with it
        db_comment="Who works on it, and the only staff who see it.",
    )
    assigned_at = models.DateTimeField(
        _("assigned at"), db_default=Now(), editable=False, db_comment="Since when the owner works on it."
    )

    class Meta:
        db_table = "crm_leads"
        db_table_comment = "People and companies that showed interest."
        verbose_name = _("lead")
        verbose_name_plural = _("leads")
        indexes = [
            Index(fields=["owner", "status"], name="crm_leads_owner_id_status_idx"),
            Index(fields=["status"], name="crm_leads_status_idx"),
            Index(fields=["source"], name="crm_leads_source_idx"),
            Index(fields=["email"], name="crm_leads_email_idx"),
            Index(fields=["created_at"], name="crm_leads_created_at_idx"),
            SearchIndex(SearchWords("name", "company", "email", "phone"), name="crm_leads_search_idx"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(source__in=["website", "referral", "social", "cold_call"]),
                name="crm_leads_source_check",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["new", "contacted", "qualified", "unqualified", "converted"]),
                name="crm_leads_status_check",
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id or self.pk)
