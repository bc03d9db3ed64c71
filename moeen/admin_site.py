"""The admin's site: Django's own with the project's name, and choices that people can recognise."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.admin import AdminSite
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _


class AutocompleteView(AutocompleteJsonView):
    """Stock, but a row is labelled by its ModelAdmin: ``__str__`` alone says no name of a patient."""

    def serialize_result(self, obj: Model, to_field_name: str) -> dict[str, Any]:
        label = getattr(self.model_admin, "choice_label", str)
        result: dict[str, Any] = super().serialize_result(obj, to_field_name)  # type: ignore[misc]
        return {**result, "text": label(obj)}


class MoeenAdminSite(AdminSite):
    """The site of administrators (everything) and supervisors (what the policies let them see)."""

    site_title = _("Moeen")
    site_header = _("Moeen administration")
    index_title = _("The clinic's data")
    site_url = None  # there is nothing else to view: the root leads here

    def get_log_entries(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_log_entries(request).defer("user__password")

    def autocomplete_view(self, request: HttpRequest) -> HttpResponse:
        return cast(HttpResponse, AutocompleteView.as_view(admin_site=self)(request))
