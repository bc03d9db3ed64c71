"""Lists of rows, of what the person may see, whatever stands in the address."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.views.main import ChangeList as DjangoChangeList
from django.db.models import QuerySet
from django.http import HttpRequest


class ChangeList(DjangoChangeList):
    """Rows that are referred to come by queries of their own.

    In a join, a row would be missing from the list where what it refers to may not be seen.
    """

    list_select_related: list[str]

    def apply_select_related(self, qs: QuerySet[Any]) -> QuerySet[Any]:
        return qs.prefetch_related(*self.list_select_related)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        for row in self.result_list:
            for name in self.list_select_related:
                row._state.fields_cache.setdefault(name, None)  # not asked for once more, row by row
