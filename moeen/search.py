"""The search box of every page: an id leads to its row, other text to what bears it, of what the person may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import ObjectDoesNotExist
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
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
            return redirect(address(site, public_ids.look_up(text)))
        except ObjectDoesNotExist:
            pass
    words = {"title": _("Search"), "q": text, "found": _by_name(request, site, text) if text else []}
    return TemplateResponse(request, "admin/search.html", site.each_context(request) | words)


def _by_name(request: HttpRequest, site: AdminSite, text: str) -> list[Found]:
    registered: dict[Any, Any] = site._registry  # of pages that have all this
    pages = [
        page
        for page in registered.values()
        if getattr(page, "found_by_name", False) and page.has_view_permission(request)
    ]
    groups = []
    for page in pages:
        page.ask_index(request, text, pages)
        rows, _duplicates = page.get_search_results(request, page.get_queryset(request), text)
        first = list(rows[: ROWS + 1])
        if first:
            labels = tuple((page.choice_label(row), page.row_address(row.pk)) for row in first[:ROWS])
            more = page.list_address(q=text) if len(first) > ROWS else ""
            groups.append(Found(str(page.opts.verbose_name_plural), labels, more))
    return groups


def address(site: AdminSite, row: Any) -> str:
    """Of its page."""
    page: Any = site._registry[type(row)]
    return str(page.row_address(row.pk))
