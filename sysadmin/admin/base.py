"""What all admin pages share: the record's own fields, search by public id, JSON that can be read."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin import utils
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth import get_permission_codename
from django.core.exceptions import FieldDoesNotExist, FieldError, ValidationError
from django.db import DatabaseError, models, router, transaction
from django.db.models import Q, QuerySet
from django.forms import Field as FormField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import SimpleTemplateResponse
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from moeen.db import public_ids
from moeen.db.models import lean, without_withheld
from sysadmin import searching
from sysadmin.admin import history, refusals, showing, writing
from sysadmin.admin.forms import SEEN, JSONFormField, RowForm, fingerprint, version
from sysadmin.admin.lists import ChangeList, Paginator
from sysadmin.pages import list_page, row_page

#: What a filter made by hand may end in: a value of no use to the field, or to the database.
UNREADABLE = (ValueError, TypeError, LookupError, OverflowError, FieldError, ValidationError)
#: Of a public id, so many characters tell the rows of a list apart.
SHOWN_OF_ID = 10
#: Fields whose texts read from left to right in every language: +966 ... would be turned round.
LTR_NAMES = re.compile(r"(phone|_url|_number|_id|^key|^timezone|^currency)$")


class NestedObjects(utils.NestedObjects):
    """What goes when a row is deleted; rows that refer to a user are loaded together with that user."""

    def related_objects(self, *args: Any) -> QuerySet[Any]:
        return without_withheld(super().related_objects(*args))


#: Said where a row was changed between the page that asks and the answer.
_CHANGED = _("Somebody else has changed this meanwhile. Nothing was deleted: look at it again.")


def _delete_selected(page: ModelAdmin, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
    """Django's action; who confirms means the rows that they were shown."""
    now = fingerprint([version(row) for row in rows.order_by("pk")])
    if request.POST.get("post") and request.POST.get(SEEN, now) != now:
        page.message_user(request, _CHANGED, messages.WARNING)
        return None
    answer = delete_selected(page, request, rows)
    if isinstance(answer, SimpleTemplateResponse):
        answer.context_data = (answer.context_data or {}) | {"seen": now}
    return answer


utils.NestedObjects = NestedObjects  # type: ignore[misc]  # Django's own name for it is the only way in


def is_key(text: Any) -> bool:
    """Whether it can be the key of a row: a uuid."""
    try:
        uuid.UUID(str(text))
    except ValueError:
        return False
    return True


class LookUp(AutocompleteSelect):
    """A field that looks rows up; what was sent and is no key is shown as nothing chosen."""

    def optgroups(self, name: str, value: Any, attrs: Any = None) -> Any:
        return super().optgroups(name, [key for key in value if is_key(key)], attrs)


class ReadOnlyInline(admin.TabularInline):
    """Rows on the page of what they belong to, to be read by whoever may see that."""

    extra = 0

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        opts = self.parent_model._meta
        return request.user.has_perm(f"{opts.app_label}.{get_permission_codename('view', opts)}")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ModelAdmin(admin.ModelAdmin):
    """A table's pages. What may be done on them is what grants and policies let the acting role do, row by row.

    ``id``, ``public_id`` and what else the database fills are shown, never edited.
    """

    form = RowForm
    formfield_overrides: ClassVar[dict[Any, Any]] = {
        models.DateField: {"form_class": writing.DateField},
        models.TimeField: {"form_class": writing.TimeField},
        models.DecimalField: {"form_class": writing.DecimalField},
    }
    empty_value_display = "-"
    list_per_page = 50
    paginator = Paginator
    show_full_result_count = False  # a second count(*) over the whole table for every search
    ordering = ("-created_at",)  # a heap of one page's rows: what is new is what people look for
    search_fields: ClassVar[tuple[str, ...]] = ("public_id__exact",)
    #: Whether the search box of every page looks here.
    found_by_name: ClassVar[bool] = False
    #: The function of schema app that finds rows by index; "" where there are few.
    search_function: ClassVar[str] = ""
    #: Of rows that refer to a patient: when it was, a date and a time or a moment. So they stand in the timeline.
    moment_fields: ClassVar[tuple[str, ...]] = ()
    #: The field that a new row's author goes into, if there is one.
    author_field: str | None = None
    #: Fields that the database fills, besides the four of every record.
    record_fields: ClassVar[tuple[str, ...]] = ()

    @admin.display(description=_("internal id"))
    def shown_id(self, obj: Any) -> str:
        return showing.copied(str(obj.pk))

    @admin.display(description=_("public id"), ordering="public_id")
    def shown_public_id(self, obj: Any) -> str | SafeString:
        """In lists: as much as tells rows apart, and all of it to be copied."""
        return showing.copied(obj.public_id, f"{obj.public_id[:SHOWN_OF_ID]}…") if obj.public_id else "-"

    @admin.display(description=_("public id"), ordering="public_id")
    def linked_public_id(self, obj: Any) -> str:
        """Where the list has nothing else that leads to the row."""
        return ltr(obj.public_id and f"{obj.public_id[:SHOWN_OF_ID]}…")

    @admin.display(description=_("public id"))
    def whole_public_id(self, obj: Any) -> str | SafeString:
        return showing.copied(obj.public_id) if obj.public_id else "-"

    @admin.display(description=_("created at"), ordering="created_at")
    def shown_created_at(self, obj: Any) -> Any:
        return localize(localtime(obj.created_at))

    @admin.display(description=_("updated at"), ordering="updated_at")
    def shown_updated_at(self, obj: Any) -> Any:
        return localize(localtime(obj.updated_at))

    def row_address(self, key: Any) -> str:
        return row_page(self.model, key)

    def list_address(self, **filters: Any) -> str:
        """Of the list, narrowed by these."""
        return list_page(self.model, **filters)

    def ask_index(self, request: HttpRequest, text: str, pages: Iterable[Any]) -> None:
        """What all these pages will look for, with one query."""
        searching.by_index(request, text, *(page.search_function for page in pages if page.search_function))

    def choice_label(self, obj: models.Model) -> str:
        """What the row is called where it is chosen."""
        return str(obj)

    def all_record_fields(self) -> tuple[str, ...]:
        present = {field.name for field in self.opts.concrete_fields}
        times = tuple(f"shown_{name}" for name in ("created_at", "updated_at") if name in present)
        return ("shown_id", "whole_public_id", *self.record_fields, *times)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "view")  # a row that may not be seen is not found

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "add")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "delete", obj)

    def _may(self, request: HttpRequest, verb: str, obj: Any = None) -> bool:
        """Asked once in a request for each row: the row is looked at as it was before the request."""
        permission = f"{self.opts.app_label}.{get_permission_codename(verb, self.opts)}"
        known: dict[Any, bool] = request.__dict__.setdefault("_may", {})
        key = (permission, obj and obj.pk)
        if key not in known:
            known[key] = request.user.has_perm(permission, obj)
        return known[key]

    def columns_for(self, request: HttpRequest, obj: Any = None) -> frozenset[str]:
        """The columns that the acting role may write in this row, or in a new one."""
        right = request.user.rights().get((self.opts.db_table, "I" if obj is None else "U"))  # type: ignore[union-attr]
        return right.columns if right else frozenset()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        writable = self.columns_for(request, obj)
        kept = (field.name for field in self.opts.concrete_fields if field.editable and field.column not in writable)
        return (*super().get_readonly_fields(request, obj), *self.all_record_fields(), *kept)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.refused = request.__dict__.get("_refused", "")  # type: ignore[attr-defined]  # a class made for this request
        for name, field in form.base_fields.items():
            day = getattr(obj, name, None) if isinstance(field, writing.DateField) else None
            if day is not None and (hijri := showing.hijri(day)):
                field.help_text = format_html('{} <bdi dir="ltr">{}</bdi>', _("Hijri:"), hijri)
        return form

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row; where it is to be written, locked until it is, so that what it is compared with stands."""
        if request.method == "POST" and self._may(request, "change"):
            with suppress(ValidationError, ValueError):
                list(self.model._base_manager.filter(pk=object_id).select_for_update(no_key=True).values_list("pk"))
        return super().get_object(request, object_id, from_field)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """What the database refuses is said in the form, which keeps what was typed."""
        request.__dict__["_opens_record"] = True
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DatabaseError as error:
            said = refusals.told(error, self.model) if request.method == "POST" else None
            if said is None:
                raise
            request.__dict__["_refused"] = said
            return super().changeform_view(request, object_id, form_url, extra_context)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """A row's page is called as the row is where it is chosen: by a name, where it has one."""
        if context.get("original") is not None:
            context["subtitle"] = self.choice_label(context["original"])
        return super().render_change_form(request, context, *args, **kwargs)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The audit log's entries of the row and Django's as one; a row that may not be seen has no page."""
        with suppress(ValueError):
            extra_context = {"trail": history.of(self.model, uuid.UUID(utils.unquote(object_id)))} | (
                extra_context or {}
            )
        return super().history_view(request, object_id, extra_context)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Who confirms means the row that they were shown."""
        row = self.get_object(request, utils.unquote(object_id))
        now = version(row) if row is not None else ""
        if request.method == "POST" and request.POST.get(SEEN, now) != now:
            self.message_user(request, _CHANGED, messages.WARNING)
            return HttpResponseRedirect(row_page(self.model, object_id))
        try:
            with transaction.atomic():
                return super().delete_view(request, object_id, {"seen": now} | (extra_context or {}))
        except DatabaseError as error:
            return self._refuse(request, error, row_page(self.model, object_id))

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        stock = actions.get("delete_selected")
        return actions | {"delete_selected": (_delete_selected, *stock[1:])} if stock else actions

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        try:
            with transaction.atomic():
                return super().response_action(request, queryset)
        except DatabaseError as error:
            return self._refuse(request, error, request.get_full_path())

    def _refuse(self, request: HttpRequest, error: DatabaseError, address: str) -> HttpResponse:
        said = refusals.told(error, self.model) if request.method == "POST" else None
        if said is None:
            raise error
        self.message_user(request, said, messages.ERROR)
        return HttpResponseRedirect(address)

    def is_seen(self, request: HttpRequest, name: Any) -> bool:
        """Whether what a field refers to is in a table that the acting role may see at all."""
        referred: Any = next((f.related_model for f in self.opts.concrete_fields if f.name == name), None)
        table = referred._meta.db_table if referred else None
        return table is None or (table, "S") in request.user.rights()  # type: ignore[union-attr]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        names = [name for name in super().get_list_display(request) if self.is_seen(request, name)]
        if names[:1] == ["shown_public_id"]:
            names[0] = "linked_public_id"
        fields: dict[Any, Any] = {field.name: field for field in self.opts.concrete_fields}
        return [(name in fields and showing.column(fields[name])) or name for name in names]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        named: Any = super().get_list_filter(request)
        return [one for one in named if self.is_seen(request, one[0] if isinstance(one, tuple) else one)]

    def get_list_select_related(self, request: HttpRequest) -> list[str]:
        named: Any = super().get_list_select_related(request) or ()
        return [name for name in named if self.is_seen(request, name)]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return ChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """No address filters by clinical texts: it would tell of them, and of nobody in particular whose they are.

        Nor by what JSON holds: values before and after in the audit log, secret settings.
        """
        model: Any = self.model
        for part in lookup.split("__"):
            if part in getattr(model, "clinical_fields", ()):
                return False
            try:
                field: Any = model._meta.get_field(part)
            except FieldDoesNotExist:
                break
            if isinstance(field, models.JSONField):
                return False
            model = field.related_model
            if model is None:
                break
        return super().lookup_allowed(lookup, value, request)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """A filter that means nothing, mistyped in the address, is said to be none, and left out."""
        try:
            # A refused statement would leave nothing of the request to go on with.
            with transaction.atomic(using=router.db_for_read(self.model)):
                answer = super().changelist_view(request, extra_context)
                return answer.render() if isinstance(answer, SimpleTemplateResponse) else answer
        except (*UNREADABLE, DatabaseError) as error:
            mistyped = isinstance(error, UNREADABLE) or refusals.is_unreadable(error)
            if not mistyped or request.method != "GET" or not set(request.GET) - {ERROR_FLAG}:
                raise
            text = _("The address held a filter that cannot be read. All rows are shown.")
            self.message_user(request, text, messages.WARNING)
            return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fieldsets = [
            (title, options | {"fields": [name for name in options["fields"] if self.is_seen(request, name)]})
            for title, options in super().get_fieldsets(request, obj)
        ]
        if obj is None:  # the database has not filled these yet
            return fieldsets
        return [*fieldsets, (_("Record"), {"fields": self.all_record_fields()})]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """An id, own or of a row referred to, is looked up; other text too by index, or row by row."""
        term = search_term.strip()
        by_id = self.search_by_id(request, term)
        if by_id is not None:
            return queryset.filter(by_id), False
        term = term.replace("\0", "")
        name = self.search_function
        if name and term and (found := searching.by_index(request, term, name)[name]) is not None:
            request.__dict__["_is_cut"] = len(found) > searching.MOST
            return queryset.filter(pk__among=found[: searching.MOST]), False
        if writing.is_phone(term):
            term = "".join(term.split())  # one word, however it is grouped
        return super().get_search_results(request, queryset, term)

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Texts without a lookup of their own are found in every way to write them."""
        return [f"{name}__written" if self._is_text(name) else name for name in super().get_search_fields(request)]

    def _is_text(self, path: str) -> bool:
        field, model = None, self.model
        for part in path.split("__"):
            if model is None:  # a lookup
                return False
            field = model._meta.get_field(part)
            model = field.related_model
        return isinstance(field, models.CharField | models.TextField)

    def search_by_id(self, request: HttpRequest, term: str) -> Q | None:
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
        fields = (field for field in self.opts.concrete_fields if field.related_model is model)
        referring = [field.name for field in fields if self.is_seen(request, field.name)]
        found = Q(pk__in=[])
        for name in referring:
            found |= Q(**{f"{name}__in": model._base_manager.filter(public_id=term)})
        return found

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Rows as lists, choices and histories need them: of a patient's record, a row's own page alone reads more."""
        found = without_withheld(super().get_queryset(request))
        return found if request.__dict__.get("_opens_record") else lean(found)

    def get_paginator(self, request: HttpRequest, queryset: Any, *args: Any, **kwargs: Any) -> Any:
        """Of the list, and of a row's history, whose entries are loaded together with their users."""
        return super().get_paginator(request, without_withheld(queryset), *args, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> FormField | None:
        if isinstance(db_field, models.JSONField):
            kwargs |= {"form_class": JSONFormField, "required": not db_field.null}
        elif isinstance(db_field, models.TextField) and db_field.null:
            kwargs["empty_value"] = None  # as CharField does by itself: nothing said is NULL
        elif db_field.name.endswith("phone"):
            kwargs["form_class"] = writing.PhoneField
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and (isinstance(db_field, models.EmailField) or LTR_NAMES.search(db_field.name)):
            field.widget.attrs["dir"] = "ltr"
        return field

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", LookUp(db_field, self.admin_site))
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is not None and field.queryset is not None:
            field.queryset = lean(field.queryset)
        target = self.admin_site._registry.get(db_field.related_model)
        if field is not None and isinstance(target, ModelAdmin):
            field.label_from_instance = target.choice_label  # type: ignore[method-assign]
        return field

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Of a row that stands only what has changed is written."""
        if self.author_field and not change and getattr(obj, self.author_field) is None:
            setattr(obj, self.author_field, request.user)
        if not change:
            super().save_model(request, obj, form, change)
        elif columns := form.changed_columns():
            obj.save(update_fields=columns)
        if change and form.changed_meanwhile:
            names = ", ".join(form.changed_meanwhile)
            text = _("Meanwhile somebody else has changed: %(names)s. Their change stays.") % {"names": names}
            self.message_user(request, text, messages.WARNING)


def ltr(text: str | None) -> str:
    """Ids, telephone numbers, addresses: left to right inside Arabic too."""
    return format_html('<bdi dir="ltr">{}</bdi>', text) if text else "-"


def preformatted(text: str) -> SafeString:
    return format_html('<pre dir="ltr">{}</pre>', text)
