"""The admin's site: Django's own with the project's name, and choices that people can recognise."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.admin import AdminSite
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

from moeen.db import public_ids


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


def row_by_public_id(request: HttpRequest, text: str) -> HttpResponse:
    """Leads from any public id, a former one too, to its row's page: where old links arrive."""
    try:
        row = public_ids.look_up(text)
    except ObjectDoesNotExist as error:
        raise Http404(str(error)) from error
    return redirect(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", row.pk)
