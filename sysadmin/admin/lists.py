"""Lists of rows, of what the person may see, whatever stands in the address."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.views.main import ChangeList as DjangoChangeList
from django.core.paginator import Page
from django.core.paginator import Paginator as DjangoPaginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property


class Paginator(DjangoPaginator):
    """A page of the second half is read from the end: the last of a million rows is as near as the first."""

    def page(self, number: Any) -> Page[Any]:
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        last = min(first + self.per_page, self.count)
        rows: Any = self.object_list
        if first <= self.count // 2 or not getattr(rows, "ordered", False):
            return super().page(number)
        page = list(rows.reverse()[self.count - last : self.count - first])
        return Page(page[::-1], number, self)


class NewestPaginator(Paginator):
    """Pages of the first rows of a log that only grows. To count all would read all of it, each time."""

    most = 10_000

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: self.most].count())

    def page(self, number: Any) -> Page[Any]:
        # The last of those that are counted is not the last that there is.
        return DjangoPaginator.page(self, number) if self.count == self.most else super().page(number)


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
