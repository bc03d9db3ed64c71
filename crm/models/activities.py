"""Activities: what is done, or to be done, about a deal or a contact."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from crm.models.deals import Deal
from healthcare.models import Patient
from moeen.db.constraints import Index
from moeen.db.models import TimestampedModel
from moeen.db.public_ids import PublicIdField


class Activity(TimestampedModel):
    """A call, a meeting, a task: something done or to be done."""

    public_id = PublicIdField(prefix="act_")

    class Type(models.TextChoices):
        CALL = "call", _("Call")
        EMAIL = "email", _("E-mail")
        MEETING = "meeting", _("Meeting")
        TASK = "task", _("Task")
        NOTE = "note", _("Note")

    class Status(models.TextChoices):
        PENDING = "pending", _("Pending")
        COMPLETED = "completed", _("Completed")
        CANCELLED = "cancelled", _("Cancelled")

    class Priority(models.TextChoices):
        LOW = "low", _("Low")
        MEDIUM = "medium", _("Medium")
        HIGH = "high", _("High")

    type = models.CharField(_("type"), max_length=50, choices=Type)
    subject = models.CharField(_("subject"), max_length=255)
    description = models.TextField(_("description"), null=True, blank=True)
    due_date = models.DateField(_("due on"), null=True, blank=True)
    due_time = models.TimeField(_("due at"), null=True, blank=True, db_comment="The clinic's local time.")
    status = models.CharField(
        _("status"), max_length=50, choices=Status, default=Status.PENDING, db_default=Status.PENDING
    )
    priority = models.CharField(
        _("priority"), max_length=20, choices=Priority, default=Priority.MEDIUM, db_default=Priority.MEDIUM
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="activities",
        db_index=False,  # crm_activities_owner_id_status_idx begins with it
        db_comment="Who does it, and the only staff who see it.",
    )
    contact = models.ForeignKey(
        Patient,
        verbose_name=_("contact"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="activities",
        db_comment="The patient it is about.",
    )
    deal = models.ForeignKey(
        Deal,
        verbose_name=_("deal"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="activities",
    )
    completed_at = models.DateTimeField(_("completed at"), null=True, blank=True)

    class Meta:
        db_table = "crm_activities"
        db_table_comment = "Calls, meetings, tasks: what is done or to be done."
        verbose_name = _("activity")
        verbose_name_plural = _("activities")
        indexes = [
            Index(fields=["owner", "status"], name="crm_activities_owner_id_status_idx"),
            Index(fields=["due_date", "status"], name="crm_activities_due_date_status_idx"),
            Index(fields=["type"], name="crm_activities_type_idx"),
            Index(fields=["status"], name="crm_activities_status_idx"),
            Index(fields=["priority"], name="crm_activities_priority_idx"),
            Index(fields=["created_at"], name="crm_activities_created_at_idx"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(type__in=["call", "email", "meeting", "task", "note"]),
                name="crm_activities_type_check",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["pending", "completed", "cancelled"]),
                name="crm_activities_status_check",
            ),
            models.CheckConstraint(
                condition=Q(priority__in=["low", "medium", "high"]), name="crm_activities_priority_check"
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id or self.pk)
