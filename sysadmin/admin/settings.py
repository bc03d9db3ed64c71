"""Pages of settings."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from sysadmin.admin.base import ModelAdmin, ltr, preformatted
from sysadmin.admin.forms import pretty
from sysadmin.models import Setting


@admin.register(Setting)
class SettingAdmin(ModelAdmin):
    """Key, value, category, and whether anybody may see it."""

    list_display = (
        "key",
        "category",
        "is_public",
        "short_value",
        "updated_by",
        "shown_updated_at",
        "shown_public_id",
    )
    list_filter = ("category", "is_public")
    list_select_related = ("updated_by",)
    search_fields = ("key", "description")
    search_help_text = _("A public id, or part of the key or the description.")
    readonly_fields = ("shown_value",)
    record_fields = ("updated_by",)
    ordering = ("key",)

    def get_fieldsets(self, request: HttpRequest, obj: Setting | None = None) -> list[Any]:
        editable = obj is None or self.has_change_permission(request, obj)
        value = "value" if editable else "shown_value"
        main = (None, {"fields": ("key", value, "description", "category", "is_public")})
        return [main] if obj is None else [main, (_("Record"), {"fields": self.all_record_fields()})]

    @admin.display(description=_("value"))
    def short_value(self, obj: Setting) -> str:
        return ltr(Truncator(json.dumps(obj.value, ensure_ascii=False)).chars(60))

    @admin.display(description=_("value"))
    def shown_value(self, obj: Setting) -> str:
        return preformatted(pretty(obj.value))

    def save_model(self, request: HttpRequest, obj: Setting, form: Any, change: bool) -> None:
        obj.updated_by = request.user  # type: ignore[assignment]
        super().save_model(request, obj, form, change)
