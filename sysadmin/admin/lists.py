"""Lists of rows, of what the person may see, whatever stands in the address."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.contrib.admin import RelatedFieldListFilter
from django.contrib.admin.views.main import ChangeList as DjangoChangeList
from django.core.paginator import Page
from django.core.paginator import Paginator as DjangoPaginator
from django.db.models import Max, Min, QuerySet
from django.http import HttpRequest
from django.utils import formats
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.timezone import localtime
from django.utils.translation import gettext

#: So many years are offered, the newest.
YEARS = 12


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


@dataclass(frozen=True)
class Period:
    """A year, a month or a day of a list. `query`: what leads there, "" where one is."""

    title: str
    query: str = ""


class ChangeList(DjangoChangeList):
    """Rows that are referred to come by queries of their own.

    In a join, a row would be missing from the list where what it refers to may not be seen.
    """

    list_select_related: list[str]

    def apply_select_related(self, qs: QuerySet[Any]) -> QuerySet[Any]:
        return qs.prefetch_related(*self.list_select_related)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.is_cut = request.__dict__.get("_is_cut", False)
        for row in self.result_list:
            for name in self.list_select_related:
                row._state.fields_cache.setdefault(name, None)  # not asked for once more, row by row

    def periods(self) -> list[Period]:
        """The way back, then the years, months or days to choose from.

        Which of them have rows is not asked: that would read every row there is.
        """
        name = str(self.date_hierarchy)
        parts = [f"{name}__{part}" for part in ("year", "month", "day")]
        year, month, day = (self._number(part) for part in parts)

        def to(title: str, *values: int) -> Period:
            chosen = dict(zip(parts, values, strict=False))
            return Period(capfirst(title), self.get_query_string(chosen, remove=[f"{name}__"]))

        back = []
        if year is None:
            years = self._years(name)
            if len(years) != 1:
                return [to(str(one), one) for one in years]
            (year,) = years
        elif month is None:
            back = [to(gettext("All dates"))]
        if month is None:
            months = (date(year, one, 1) for one in range(1, 13))
            return [*back, *(to(_said(one, "YEAR_MONTH_FORMAT"), year, one.month) for one in months)]
        if day is None:
            days = (date(year, month, one) for one in range(1, monthrange(year, month)[1] + 1))
            return [to(str(year), year), *(to(_said(one, "MONTH_DAY_FORMAT"), year, month, one.day) for one in days)]
        chosen = date(year, month, day)
        return [
            to(_said(chosen, "YEAR_MONTH_FORMAT"), year, month),
            Period(_said(chosen, "MONTH_DAY_FORMAT")),
        ]

    def _number(self, part: str) -> int | None:
        return int(self.params[part]) if part in self.params else None

    def _years(self, name: str) -> range:
        """From the first row's to the last one's, by index."""
        found = self.root_queryset.order_by().aggregate(first=Min(name), last=Max(name))
        if found["first"] is None:
            return range(0)
        first, last = ((localtime(one) if isinstance(one, datetime) else one).year for one in found.values())
        return range(max(first, last - YEARS + 1), last + 1)


def _said(day: date, form: str) -> str:
    return str(formats.date_format(day, form))


class ChoiceFilter(RelatedFieldListFilter):
    """By a row that is chosen from a field of a form: there may be too many for a link to each."""

    template = "admin/choice_filter.html"

    def __init__(self, field: Any, request: Any, params: Any, model: Any, model_admin: Any, field_path: str) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        if self.used_parameters.get(self.lookup_kwarg) == [""]:  # the form, sent with none chosen
            del self.used_parameters[self.lookup_kwarg]
            self.lookup_val = None

    def get_facet_counts(self, pk_attname: str, filtered_qs: Any) -> dict[str, Any]:
        return {}

    def choices(self, changelist: Any) -> Iterator[Any]:
        #: What else narrows the list stays as it is.
        self.kept = [(name, value) for name, value in changelist.params.items() if name != self.lookup_kwarg]
        for key, label in sorted(self.lookup_choices, key=lambda choice: str(choice[1])):
            yield {"key": str(key), "display": label, "selected": str(key) in (self.lookup_val or ())}
