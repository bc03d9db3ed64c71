"""The search box of every page: an id leads to its row, other text to what bears it, of what the person may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from moeen.db import public_ids

#: Of each table so many rows are shown; its list shows the rest.
ROWS = 8
LONGEST = 200


@dataclass(frozen=True)
class Found:
    """What one table has: (label, address) of its first rows, and its list's address where there are more."""

    table: str
    rows: tuple[tuple[str, str], ...]
    more: str


def answer(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """Asks the pages that say ``found_by_name``, each with one query, as the person who asks."""
    text = request.GET.get("q", "").replace("\0", "").strip()[:LONGEST]
    if text:
        try:
            return redirect(address(public_ids.look_up(text)))
        except ObjectDoesNotExist:
            pass
    words = {"title": _("Search"), "q": text, "found": _by_name(request, site, text) if text else []}
    return TemplateResponse(request, "admin/search.html", site.each_context(request) | words)


def _by_name(request: HttpRequest, site: AdminSite, text: str) -> list[Found]:
    groups = []
    for model, page in site._registry.items():
        if not getattr(page, "found_by_name", False) or not page.has_view_permission(request):
            continue
        rows, _duplicates = page.get_search_results(request, page.get_queryset(request), text)
        first = list(rows[: ROWS + 1])
        if first:
            name: Any = page
            labels = tuple((name.choice_label(row), address(row)) for row in first[:ROWS])
            listed = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            more = f"{listed}?{urlencode({'q': text})}" if len(first) > ROWS else ""
            groups.append(Found(str(model._meta.verbose_name_plural), labels, more))
    return groups


def address(row: Model) -> str:
    """Of its page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
