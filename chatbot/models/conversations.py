"""Conversations and their messages."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from chatbot.models.integrations import Channel, Integration
from healthcare.models import Patient
from moeen.db.constraints import Index
from moeen.db.functions import Now
from moeen.db.models import Model, TimestampedModel
from moeen.db.public_ids import PublicIdField


class Conversation(TimestampedModel):
    """A talk between the bot and one person, who may be a patient."""

    public_id = PublicIdField(prefix="cnv_")

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")
        CLOSED = "closed", _("Closed")
        ARCHIVED = "archived", _("Archived")

    integration = models.ForeignKey(
        Integration,
        verbose_name=_("integration"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="conversations",
    )
    patient = models.ForeignKey(
        Patient,
        verbose_name=_("patient"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="conversations",
        db_index=False,  # conversations_patient_id_status_idx begins with it
    )
    external_id = models.CharField(
        _("external id"),
        max_length=255,
        null=True,
        blank=True,
        db_comment="The service's own id of the conversation.",
    )
    status = models.CharField(
        _("status"), max_length=50, choices=Status, default=Status.ACTIVE, db_default=Status.ACTIVE
    )
    channel = models.CharField(_("channel"), max_length=50, choices=Channel)
    started_at = models.DateTimeField(_("started at"), db_default=Now(), editable=False)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    metadata = models.JSONField(_("metadata"), null=True, blank=True)

    class Meta:
        db_table = "conversations"
        db_table_comment = "Talks between the bot and people."
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        indexes = [
            Index(fields=["patient", "status"], name="conversations_patient_id_status_idx"),
            Index(fields=["status"], name="conversations_status_idx"),
            Index(fields=["channel"], name="conversations_channel_idx"),
            Index(fields=["external_id"], name="conversations_external_id_idx"),
            Index(fields=["created_at"], name="conversations_created_at_idx"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["active", "closed", "archived"]), name="conversations_status_check"
            ),
            models.CheckConstraint(
                condition=Q(channel__in=["whatsapp", "web", "telegram", "facebook"]),
                name="conversations_channel_check",
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id or self.pk)


class Message(Model):
    """One utterance in a conversation."""

    public_id = PublicIdField(prefix="msg_")

    class SenderType(models.TextChoices):
        USER = "user", _("Person")
        BOT = "bot", _("Bot")
        SYSTEM = "system", _("System")

    class MessageType(models.TextChoices):
        TEXT = "text", _("Text")
        IMAGE = "image", _("Image")
        FILE = "file", _("File")
        BUTTON = "button", _("Button")

    conversation = models.ForeignKey(
        Conversation,
        verbose_name=_("conversation"),
        on_delete=models.CASCADE,
        related_name="messages",
        db_index=False,  # messages_conversation_id_sent_at_idx begins with it
    )
    sender_type = models.CharField(_("sender"), max_length=50, choices=SenderType)
    content = models.TextField(_("content"))
    message_type = models.CharField(
        _("type"), max_length=50, choices=MessageType, default=MessageType.TEXT, db_default=MessageType.TEXT
    )
    metadata = models.JSONField(_("metadata"), null=True, blank=True)
    sent_at = models.DateTimeField(_("sent at"), db_default=Now(), editable=False)
    read_at = models.DateTimeField(_("read at"), null=True, blank=True)

    class Meta:
        db_table = "messages"
        db_table_comment = "What was said in a conversation; may hold health data."
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes = [
            Index(fields=["conversation", "sent_at"], name="messages_conversation_id_sent_at_idx"),
            Index(fields=["sender_type"], name="messages_sender_type_idx"),
            Index(fields=["message_type"], name="messages_message_type_idx"),
            Index(fields=["sent_at"], name="messages_sent_at_idx"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(sender_type__in=["user", "bot", "system"]), name="messages_sender_type_check"
            ),
            models.CheckConstraint(
                condition=Q(message_type__in=["text", "image", "file", "button"]),
                name="messages_message_type_check",
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id or self.pk)
