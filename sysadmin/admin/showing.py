"""Values as people read them: dates in both calendars, money in its currency, ids that a button copies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

from django.contrib import admin
from django.contrib.admin.templatetags import admin_list
from django.db import models
from django.templatetags.static import static
from django.utils.formats import localize, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from hijridate import Gregorian

#: The currency of a row that names none.
RIYALS = "SAR"


def yes_or_no(value: bool | None) -> SafeString:
    """The picture of it, called so in the person's language."""
    name, said = ("unknown", gettext("Unknown")) if value is None else ("no", gettext("No"))
    if value:
        name, said = "yes", gettext("Yes")
    return format_html('<img src="{}" alt="{}">', static(f"admin/img/icon-{name}.svg"), said)


admin_list._boolean_icon = yes_or_no  # type: ignore[attr-defined]  # Django's is called True and False in every language


def hijri(value: date) -> str:
    """The day as 1447-06-05, by Umm al-Qura.

    "" before 1924-08-01 and after 2077-11-16: hijridate does not know those.
    """
    try:
        return str(Gregorian(value.year, value.month, value.day).to_hijri().isoformat())
    except OverflowError:
        return ""


def both_calendars(value: date) -> str | SafeString:
    """The Gregorian date, and the Hijri one beside it."""
    day, shown = hijri(value), str(localize(value))
    if not day:
        return shown
    return format_html('{} <span class="hijri"><bdi dir="ltr">{}</bdi> {}</span>', shown, day, gettext("AH"))


def money(value: Decimal, currency: str = RIYALS) -> str | SafeString:
    amount = number_format(value, 2, force_grouping=True)
    name = gettext("SAR") if currency == RIYALS else currency
    return format_html('<span class="money"><bdi dir="ltr">{}</bdi> <bdi>{}</bdi></span>', amount, name)


def copied(text: str, shown: str = "") -> SafeString:
    """An id, or the beginning of it, and a button that copies the whole (sysadmin/page.js)."""
    return format_html(
        '<span class="id"><bdi dir="ltr" title="{0}">{1}</bdi> '
        '<button type="button" class="copy" data-copy="{0}" aria-label="{2}" title="{2}"></button></span>',
        text, shown or text, gettext("Copy the id"),
    )  # fmt: skip


def column(field: models.Field[Any, Any]) -> Callable[[Any], Any] | None:
    """What shows a field in a list, where it is a date or money."""
    return _column(field) if type(field) in (models.DateField, models.DecimalField) else None


@cache
def _column(field: models.Field[Any, Any]) -> Callable[[Any], Any]:
    @admin.display(description=field.verbose_name, ordering=field.name)
    def shown(obj: Any) -> Any:
        value = getattr(obj, field.attname)
        if value is None:
            return None
        if isinstance(value, date):
            return both_calendars(value)
        return money(value, getattr(obj, "currency", RIYALS))

    shown.__name__ = field.name  # the list's class for it
    return shown
