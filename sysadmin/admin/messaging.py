"""Pages of notifications and internal messages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from sysadmin.admin.base import ModelAdmin
from sysadmin.models import InternalMessage, Notification


@admin.register(Notification)
class NotificationAdmin(ModelAdmin):
    """What the system tells users."""

    list_display = (
        "title",
        "user",
        "type",
        "is_read",
        "shown_created_at",
        "shown_public_id",
    )
    list_filter = ("type", "is_read", "created_at")
    list_select_related = ("user",)
    search_fields = ("public_id__exact", "title")
    search_help_text = _("A public id (of the notification or its user), or part of the title.")
    autocomplete_fields = ("user",)
    fieldsets = (
        (None, {"fields": ("user", "type", "title", "message", "action_url", "metadata")}),
        (_("State"), {"fields": ("is_read", "read_at")}),
    )


@admin.register(InternalMessage)
class InternalMessageAdmin(ModelAdmin):
    """What users write to each other, each in their own name; the recipient notes that it is read."""

    list_display = (
        "shown_public_id",
        "sender",
        "recipient",
        "is_read",
        "shown_created_at",
    )
    list_filter = ("is_read", "created_at")
    list_select_related = ("sender", "recipient")
    search_help_text = _("A public id: of the message, its sender or its recipient.")
    autocomplete_fields = ("recipient", "parent_message")
    author_field = "sender"
    fieldsets = (
        (None, {"fields": ("sender", "recipient", "parent_message", "subject", "content")}),
        (_("State"), {"fields": ("is_read", "read_at")}),
    )
    readonly_fields = ("sender", "read_at")

    def get_fieldsets(self, request: HttpRequest, obj: InternalMessage | None = None) -> list[Any]:
        if obj is None:
            return [(None, {"fields": ("recipient", "parent_message", "subject", "content")})]
        return super().get_fieldsets(request, obj)
