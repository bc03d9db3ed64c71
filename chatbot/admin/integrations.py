"""Pages of integrations. The webhook secret is written here, and never shown."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from chatbot.models import Integration
from sysadmin.admin.base import ModelAdmin
from sysadmin.admin.forms import RowForm


class IntegrationForm(RowForm):
    """A secret goes in and does not come out: the field is always empty, and empty keeps what is stored."""

    new_webhook_secret = forms.CharField(
        label=_("New webhook secret"),
        max_length=255,
        required=False,
        strip=False,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
        help_text=_("Leave it empty to keep the present one. It is never shown."),
    )
    remove_webhook_secret = forms.BooleanField(label=_("Remove the webhook secret"), required=False)

    class Meta:
        model = Integration
        fields = ("provider", "name", "config", "status", "webhook_url", "last_health_check", "health_status")

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if data.get("new_webhook_secret") and data.get("remove_webhook_secret"):
            raise ValidationError(_("Either give a new secret or remove it."))
        return data

    def save(self, commit: bool = True) -> Integration:
        if secret := self.cleaned_data.get("new_webhook_secret"):
            self.instance.webhook_secret = secret
        elif self.cleaned_data.get("remove_webhook_secret"):
            self.instance.webhook_secret = None
        return super().save(commit)


@admin.register(Integration)
class IntegrationAdmin(ModelAdmin):
    """Accounts at messaging services."""

    form = IntegrationForm
    list_display = (
        "name",
        "provider",
        "status",
        "health_status",
        "last_health_check",
        "shown_public_id",
    )
    list_filter = ("provider", "status", "health_status")
    search_fields = ("name",)
    search_help_text = _("A public id (of the integration or its author), or part of the name.")
    fieldsets = (
        (None, {"fields": ("provider", "name", "status", "config")}),
        (
            _("Webhook"),
            {"fields": ("webhook_url", "secret_state", "new_webhook_secret", "remove_webhook_secret")},
        ),
        (_("Health of the service"), {"fields": ("health_status", "last_health_check")}),
    )
    readonly_fields = ("secret_state",)
    record_fields = ("created_by",)
    author_field = "created_by"

    @admin.display(description=_("webhook secret"))
    def secret_state(self, obj: Integration) -> str:
        return str(_("Set") if not obj._state.adding and obj.has_webhook_secret() else _("Not set"))
