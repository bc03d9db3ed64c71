"""What the system tells a user, and what users tell each other."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from moeen.db.functions import Now
from moeen.db.models import Model
from moeen.db.public_ids import PublicIdField
from sysadmin.models.users import User


class Notification(Model):
    """Something the system tells one user."""

    public_id = PublicIdField(prefix="ntf_")

    class Type(models.TextChoices):
        INFO = "info", _("Information")
        SUCCESS = "success", _("Success")
        WARNING = "warning", _("Warning")
        ERROR = "error", _("Error")

    user = models.ForeignKey(User, verbose_name=_("user"), on_delete=models.CASCADE, related_name="notifications")
    title = models.CharField(_("title"), max_length=255)
    message = models.TextField(_("message"))
    type = models.CharField(_("type"), max_length=50, choices=Type, default=Type.INFO, db_default=Type.INFO)
    is_read = models.BooleanField(_("read"), default=False, db_default=False)
    action_url = models.CharField(
        _("action address"),
        max_length=500,
        null=True,
        blank=True,
        db_comment="Where a click leads: a path of the application or a full address.",
    )
    metadata = models.JSONField(_("metadata"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    read_at = models.DateTimeField(_("read at"), null=True, blank=True)

    class Meta:
        db_table = "notifications"
        db_table_comment = "What the system tells a user."
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [
            models.CheckConstraint(
                condition=Q(type__in=["info", "success", "warning", "error"]), name="notifications_type_check"
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id or self.pk)


class InternalMessage(Model):
    """A message from one user to another. It outlives both."""

    public_id = PublicIdField(prefix="inm_")

    sender = models.ForeignKey(
        User,
        verbose_name=_("sender"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="sent_messages",
    )
    recipient = models.ForeignKey(
        User,
        verbose_name=_("recipient"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="received_messages",
    )
    subject = models.CharField(_("subject"), max_length=255, null=True, blank=True)
    content = models.TextField(_("content"))
    is_read = models.BooleanField(_("read"), default=False, db_default=False)
    parent_message = models.ForeignKey(
        "self",
        verbose_name=_("reply to"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="replies",
        db_comment="The message this one answers.",
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    read_at = models.DateTimeField(_("read at"), null=True, blank=True)

    class Meta:
        db_table = "internal_messages"
        db_table_comment = "Messages between users of the clinic; seen by sender and recipient."
        verbose_name = _("internal message")
        verbose_name_plural = _("internal messages")

    def __str__(self) -> str:
        return str(self.public_id or self.pk)
