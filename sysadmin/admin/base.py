"""What all admin pages share: the record's own fields, search by public id, JSON that can be read."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin import utils
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q, QuerySet
from django.forms import Field as FormField
from django.http import HttpRequest
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from moeen.db import public_ids
from moeen.db.models import without_withheld

#: Fields whose texts read from left to right in every language: +966 ... would be turned round.
LTR_NAMES = re.compile(r"(phone|_url|_number|_id|^key|^timezone|^currency)$")


class NestedObjects(utils.NestedObjects):
    """What goes when a row is deleted; rows that refer to a user are loaded together with that user."""

    def related_objects(self, *args: Any) -> QuerySet[Any]:
        return without_withheld(super().related_objects(*args))


utils.NestedObjects = NestedObjects  # type: ignore[misc]  # Django's own name for it is the only way in


class JSONFormField(forms.JSONField):
    """JSON, indented, in Arabic letters and not their escapes. An empty object or list is a value."""

    widget = forms.Textarea(attrs={"class": "vLargeTextField json", "rows": 8, "dir": "ltr"})

    def validate(self, value: Any) -> None:
        if self.required and value is None:
            raise ValidationError(self.error_messages["required"], code="required")

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, forms.fields.InvalidJSONInput):
            return value
        return None if value is None else pretty(value)


class ModelAdmin(admin.ModelAdmin):
    """A table's pages. ``id``, ``public_id`` and what else the database fills are shown, never edited."""

    empty_value_display = "-"
    list_per_page = 50
    show_full_result_count = False  # a second count(*) over the whole table for every search
    ordering = ("-created_at",)  # a heap of one page's rows: what is new is what people look for
    search_fields: ClassVar[tuple[str, ...]] = ("public_id__exact",)
    #: The field that a new row's author goes into, if there is one.
    author_field: str | None = None
    #: Fields that the database fills, besides the four of every record.
    record_fields: ClassVar[tuple[str, ...]] = ()

    @admin.display(description=_("internal id"))
    def shown_id(self, obj: Any) -> str:
        return ltr(str(obj.pk))

    @admin.display(description=_("public id"), ordering="public_id")
    def shown_public_id(self, obj: Any) -> str:
        return ltr(obj.public_id)

    @admin.display(description=_("created at"), ordering="created_at")
    def shown_created_at(self, obj: Any) -> Any:
        return localize(localtime(obj.created_at))

    @admin.display(description=_("updated at"), ordering="updated_at")
    def shown_updated_at(self, obj: Any) -> Any:
        return localize(localtime(obj.updated_at))

    def choice_label(self, obj: models.Model) -> str:
        """What the row is called where it is chosen."""
        return str(obj)

    def all_record_fields(self) -> tuple[str, ...]:
        present = {field.name for field in self.opts.concrete_fields}
        times = tuple(f"shown_{name}" for name in ("created_at", "updated_at") if name in present)
        return ("shown_id", "shown_public_id", *self.record_fields, *times)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*super().get_readonly_fields(request, obj), *self.all_record_fields())

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fieldsets = list(super().get_fieldsets(request, obj))
        if obj is None:  # the database has not filled these yet
            return fieldsets
        return [*fieldsets, (_("Record"), {"fields": self.all_record_fields()})]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """An id, own or of a row referred to, is looked up by index; other text is searched for as usual."""
        term = search_term.strip()
        by_id = self.search_by_id(term)
        if by_id is not None:
            return queryset.filter(by_id), False
        return super().get_search_results(request, queryset, term.replace("\0", ""))

    def search_by_id(self, term: str) -> Q | None:
        """The condition for rows of this id (public id or uuid), or None when the text is no id."""
        try:
            return Q(pk=uuid.UUID(term))
        except ValueError:
            pass
        try:
            model = public_ids.parse(term).model
        except public_ids.PublicIdError:
            return None
        if model is self.model:
            return Q(public_id=term)
        referring = [field.name for field in self.opts.concrete_fields if field.related_model is model]
        found = Q(pk__in=[])
        for name in referring:
            found |= Q(**{f"{name}__in": model._base_manager.filter(public_id=term)})
        return found

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return without_withheld(super().get_queryset(request))

    def get_paginator(self, request: HttpRequest, queryset: Any, *args: Any, **kwargs: Any) -> Any:
        """Of the list, and of a row's history, whose entries are loaded together with their users."""
        return super().get_paginator(request, without_withheld(queryset), *args, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> FormField | None:
        if isinstance(db_field, models.JSONField):
            kwargs |= {"form_class": JSONFormField, "required": not db_field.null}
        elif isinstance(db_field, models.TextField) and db_field.null:
            kwargs["empty_value"] = None  # as CharField does by itself: nothing said is NULL
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and (isinstance(db_field, models.EmailField) or LTR_NAMES.search(db_field.name)):
            field.widget.attrs["dir"] = "ltr"
        return field

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        target = self.admin_site._registry.get(db_field.related_model)
        if field is not None and isinstance(target, ModelAdmin):
            field.label_from_instance = target.choice_label  # type: ignore[method-assign]
        return field

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if self.author_field and not change and getattr(obj, self.author_field) is None:
            setattr(obj, self.author_field, request.user)
        super().save_model(request, obj, form, change)


class ReadOnlyModelAdmin(ModelAdmin):
    """A page of a table that administrators may look at and nothing else."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def ltr(text: str | None) -> str:
    """Ids, telephone numbers, addresses: left to right inside Arabic too."""
    return format_html('<bdi dir="ltr">{}</bdi>', text) if text else "-"


def pretty(value: Any) -> str:
    """JSON to be read by people."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def preformatted(text: str) -> SafeString:
    return format_html('<pre dir="ltr">{}</pre>', text)
