"""The pages of a table that no app has written any for, as its model has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.db import models
from django.db.models import Field
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from moeen.db import public_ids
from moeen.db.roles import PREFIX
from sysadmin.admin.base import LTR_NAMES, ModelAdmin, ltr

#: As many columns as a narrow list has room for, besides the public id.
COLUMNS = 5


class DerivedModelAdmin(ModelAdmin):
    """Fields that refer to other tables look rows up."""

    search_help_text = _("A public id, of the row or of one it refers to, or part of a text.")

    def get_autocomplete_fields(self, request: HttpRequest) -> list[str]:
        """Rows of large tables are looked up; all tables that may be referred to have pages."""
        return [f.name for f in self.opts.concrete_fields if f.related_model in self.admin_site._registry]


def options(model: type[models.Model]) -> dict[str, Any]:
    """The list shows the first short columns, is narrowed by choices, booleans and dates, and searched by texts.

    Columns that administrators may not read are left out.
    """
    withheld = model.withheld_from(f"{PREFIX}admin") if hasattr(model, "withheld_from") else ()
    columns: Sequence[Any] = model._meta.concrete_fields
    fields = [field for field in columns if field.editable and field.name not in withheld]
    listed = [f for f in fields if not isinstance(f, models.TextField | models.JSONField)][:COLUMNS]
    texts = [f.name for f in fields if isinstance(f, models.CharField) and not f.choices]
    made = [f.name for f in columns if f.get_internal_type() == "DateTimeField" and f.has_db_default()]
    return {
        "ordering": [f"-{name}" for name in made[:1]] or ["-pk"],
        "fields": [field.name for field in fields],
        "list_display": [*map(_column, listed), "shown_public_id"],
        "list_filter": [f.name for f in fields if f.choices or isinstance(f, models.BooleanField | models.DateField)],
        "list_select_related": [field.name for field in listed if field.is_relation] or False,
        "search_fields": texts or ["public_id__exact"],
    }


def _column(field: Field[Any, Any]) -> str | Callable[[Any], str]:
    """A column of the list: the field's name, or what shows its text from left to right in every language."""
    if not LTR_NAMES.search(field.name):
        return field.name

    @admin.display(description=field.verbose_name, ordering=field.name)
    def shown(obj: Any) -> str:
        return ltr(getattr(obj, field.name))

    return shown


def register_the_rest(site: AdminSite) -> None:
    """Give every table with public ids its pages, where no app has."""
    for model in public_ids.PREFIXES.values():
        if not site.is_registered(model):
            site.register(model, DerivedModelAdmin, **options(model))
