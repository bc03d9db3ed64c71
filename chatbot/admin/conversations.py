"""Pages of conversations and messages."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from chatbot.models import Conversation, Message
from healthcare.admin import PatientNameMixin
from sysadmin.admin.base import ModelAdmin


@admin.register(Conversation)
class ConversationAdmin(PatientNameMixin, ModelAdmin):
    """Talks between the bot and people."""

    moment_fields = ("started_at",)
    list_display = (
        "shown_public_id",
        "channel",
        "status",
        "patient_name",
        "integration",
        "started_at",
    )
    list_filter = ("status", "channel", "started_at")
    list_select_related = ("patient", "integration")
    search_fields = ("public_id__exact", "external_id__exact")
    search_help_text = _("A public id (of the conversation, its patient or integration), or an external id.")
    autocomplete_fields = ("patient", "integration")
    fieldsets = (
        (None, {"fields": ("channel", "status", "integration", "patient", "external_id")}),
        (_("Details"), {"fields": ("ended_at", "metadata")}),
    )
    record_fields = ("started_at",)


@admin.register(Message)
class MessageAdmin(ModelAdmin):
    """What was said; the list shows no content, which may be about health."""

    list_display = (
        "shown_public_id",
        "conversation",
        "sender_type",
        "message_type",
        "sent_at",
        "read_at",
    )
    list_filter = ("sender_type", "message_type", "sent_at")
    list_select_related = ("conversation",)
    search_help_text = _("A public id: of the message or its conversation.")
    ordering = ("-sent_at",)
    autocomplete_fields = ("conversation",)
    fieldsets = (
        (None, {"fields": ("conversation", "sender_type", "message_type", "content")}),
        (_("Details"), {"fields": ("read_at", "metadata")}),
    )
    record_fields = ("sent_at",)
