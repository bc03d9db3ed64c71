"""The admin pages of the CRM app."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from crm.models import Activity, Deal, Lead
from sysadmin.admin.base import ModelAdmin, ltr

__all__ = ["ActivityAdmin", "DealAdmin", "LeadAdmin"]


@admin.register(Lead)
class LeadAdmin(ModelAdmin):
    """People and companies that showed interest."""

    found_by_name = True
    search_function = "search_leads"
    list_display = (
        "name",
        "company",
        "shown_phone",
        "source",
        "status",
        "score",
        "owner",
        "shown_public_id",
    )
    list_filter = ("status", "source")
    list_select_related = ("owner",)
    search_fields = ("name", "company", "email", "phone")
    search_help_text = _(
        "A public id (of the lead or its owner), or the beginning of a name, an e-mail address or a phone number."
    )
    autocomplete_fields = ("owner",)
    fieldsets = (
        (None, {"fields": ("name", "company", "email", "phone")}),
        (_("State"), {"fields": ("status", "source", "score", "owner")}),
        (_("Notes"), {"fields": ("notes",)}),
    )
    record_fields = ("assigned_at",)

    @admin.display(description=_("phone"))
    def shown_phone(self, obj: Lead) -> str:
        return ltr(obj.phone)

    def choice_label(self, obj: Any) -> str:
        return f"{obj.name} ({obj.public_id or obj.pk})"


@admin.register(Deal)
class DealAdmin(ModelAdmin):
    """What is to be sold."""

    list_display = (
        "title",
        "value",
        "stage",
        "expected_close_date",
        "owner",
        "shown_public_id",
    )
    list_filter = ("stage", "expected_close_date")
    list_select_related = ("owner",)
    search_fields = ("title",)
    search_help_text = _("A public id (of the deal, its owner, contact or lead), or part of the title.")
    autocomplete_fields = ("owner", "contact", "lead")
    fieldsets = (
        (None, {"fields": ("title", "description", "owner", "contact", "lead")}),
        (_("State"), {"fields": ("stage", "probability", "expected_close_date", "actual_close_date")}),
        (_("Amounts"), {"fields": ("value", "currency")}),
    )

    def choice_label(self, obj: Any) -> str:
        return f"{obj.title} ({obj.public_id or obj.pk})"


@admin.register(Activity)
class ActivityAdmin(ModelAdmin):
    """What is done or to be done."""

    list_display = (
        "subject",
        "type",
        "status",
        "priority",
        "due_date",
        "owner",
        "shown_public_id",
    )
    list_filter = ("status", "type", "priority", "due_date")
    list_select_related = ("owner",)
    search_fields = ("subject",)
    search_help_text = _("A public id (of the activity, its owner, contact or deal), or part of the subject.")
    autocomplete_fields = ("owner", "contact", "deal")
    fieldsets = (
        (None, {"fields": ("type", "subject", "description", "owner", "contact", "deal")}),
        (_("Time"), {"fields": ("due_date", "due_time")}),
        (_("State"), {"fields": ("status", "priority", "completed_at")}),
    )
