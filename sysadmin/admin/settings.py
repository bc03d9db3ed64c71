"""Pages of settings. The value of a secret one is written here; whoever has it shown is in the audit log."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connections, router
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from sysadmin.admin.base import ModelAdmin, ltr, preformatted
from sysadmin.admin.forms import JSONFormField, RowForm, pretty
from sysadmin.declared_settings import declared
from sysadmin.models import Setting
from sysadmin.models.settings import is_secret

_MASK = "••••••"


class SettingForm(RowForm):
    """A declared setting keeps its type and category; one whose name tells of a secret is not public."""

    class Meta:
        model = Setting
        fields: tuple[str, ...] = ("key", "value", "description", "category", "is_public")

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        key = data.get("key", self.instance.key)
        if data.get("is_public") and is_secret(key):
            self.add_error("is_public", ValidationError(_("A setting whose name tells of a secret is not public.")))
        known = declared().get(key)
        if known is None:
            return data
        for name in ("value", "new_value"):
            if data.get(name) is not None and not known.kind.fits(data[name]):
                text = _("The value of this setting is of another type: %(type)s.") % {"type": _KINDS[known.kind]}
                self.add_error(name, ValidationError(text))
        if "category" in data and data["category"] != known.category:
            category = Setting.Category(known.category).label
            text = _("This setting belongs to the category: %(category)s.") % {"category": category}
            self.add_error("category", ValidationError(text))
        return data


class SecretSettingForm(SettingForm):
    """Of a secret, the value goes in and does not come out: the field is empty, and empty keeps what is stored."""

    new_value = JSONFormField(
        label=_("New value"), required=False, help_text=_("Leave it empty to keep the present one.")
    )

    class Meta(SettingForm.Meta):
        fields = ("key", "description", "category", "is_public")

    def unseen(self) -> Any:
        return self.instance.value

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if data.get("new_value") is None:
            if not is_secret(data.get("key", self.instance.key)):
                text = _(
                    "The name must go on telling of a secret: else its value would be shown. Or give it a new one."
                )
                self.add_error("key", ValidationError(text))
        elif self.unseen_has_changed:
            text = _("Somebody else has given it a new value meanwhile. Save again to let yours stand.")
            self.add_error("new_value", ValidationError(text, code="conflict"))
        return data

    def save(self, commit: bool = True) -> Any:
        if self.cleaned_data.get("new_value") is not None:
            self.instance.value = self.cleaned_data["new_value"]
        return super().save(commit)


_KINDS = {
    "text": _("text"),
    "number": _("number"),
    "whole number": _("whole number"),
    "true or false": _("true or false"),
    "list of texts": _("list of texts"),
    "object": _("object"),
}


@admin.register(Setting)
class SettingAdmin(ModelAdmin):
    """Key, value, category, and whether anybody may see it."""

    form = SettingForm
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

    def get_urls(self) -> list[Any]:
        reveal = self.admin_site.admin_view(never_cache(require_POST(self.reveal_view)))
        return [path("<uuid:setting_id>/reveal/", reveal, name="sysadmin_setting_reveal"), *super().get_urls()]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None and is_secret(obj.key):
            kwargs["form"] = SecretSettingForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Setting | None = None) -> list[Any]:
        editable = obj is None or self.has_change_permission(request, obj)
        value: tuple[str, ...] = ("value",) if editable else ("shown_value",)
        if obj is not None and is_secret(obj.key):
            value = ("shown_value", "new_value") if editable else ("shown_value",)
        main = (None, {"fields": ("key", *value, "description", "category", "is_public")})
        return [main] if obj is None else [main, (_("Record"), {"fields": self.all_record_fields()})]

    @admin.display(description=_("value"))
    def short_value(self, obj: Setting) -> str:
        return _MASK if is_secret(obj.key) else ltr(Truncator(json.dumps(obj.value, ensure_ascii=False)).chars(60))

    @admin.display(description=_("value"))
    def shown_value(self, obj: Setting) -> str:
        if not is_secret(obj.key):
            return preformatted(pretty(obj.value))
        address = reverse("admin:sysadmin_setting_reveal", args=[obj.pk])
        button = '{} <button type="submit" class="button" formaction="{}" formnovalidate>{}</button>'
        return format_html(button, _MASK, address, _("Show it (this is recorded)"))

    def reveal_view(self, request: HttpRequest, setting_id: Any) -> HttpResponse:
        """The value of a secret, once; app.reveal_setting() records who has seen it."""
        setting = self.get_object(request, str(setting_id))
        if setting is None or not self.has_change_permission(request, setting):
            raise PermissionDenied
        with connections[router.db_for_write(Setting)].cursor() as cursor:
            cursor.execute("SELECT app.reveal_setting(%s)::text", [setting.pk])
            (text,) = cursor.fetchone()
        context = {"title": gettext("Value of a secret"), "setting": setting, "value": pretty(json.loads(text))}
        words = self.admin_site.each_context(request) | {"opts": self.opts} | context
        return TemplateResponse(request, "admin/sysadmin/setting/reveal.html", words)

    def save_model(self, request: HttpRequest, obj: Setting, form: Any, change: bool) -> None:
        obj.updated_by = request.user  # type: ignore[assignment]
        super().save_model(request, obj, form, change)
