"""Forms that lose nothing: of a row only what was touched is written, and nobody's change is written over unseen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.crypto import salted_hmac
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from sysadmin.admin import strict_json

#: The hidden input that holds the values a form was filled in from.
BASE = "_base"
#: There, under no field's name: what is not shown, as a keyed hash.
_UNSEEN = ""
#: The hidden input of the page that asks before a row is deleted: as what the row was shown.
SEEN = "_seen"


class JSONFormField(forms.JSONField):
    """JSON, indented, in Arabic letters and not their escapes. An empty object or list is a value."""

    widget = forms.Textarea(attrs={"class": "vLargeTextField json", "rows": 8, "dir": "ltr"})

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return None
        return strict_json.parse(value) if isinstance(value, str) else value

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was sent is shown again as it was sent, whatever it is."""
        return None if data is None else forms.fields.InvalidJSONInput(data)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return not same(initial, self.to_python(data))
        except ValidationError:
            return True

    def validate(self, value: Any) -> None:
        if self.required and value is None:
            raise ValidationError(self.error_messages["required"], code="required")

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, forms.fields.InvalidJSONInput):
            return value
        return None if value is None else pretty(value)


@dataclass(frozen=True)
class Conflict:
    """A field that somebody else has changed since the form was opened, and that was changed in the form as well."""

    label: str
    before: str
    now: str
    wanted: str


class RowForm(forms.ModelForm):
    """The form of one row. It carries, signed, the values it was filled in from.

    What was not touched stays as the row has it at the moment of saving, so that two people who change different fields
    both have their way. Where both touched the same field, saving is refused once and the three values are shown.
    """

    #: Why the database refused what was sent; set on the class that is made for a request.
    refused: ClassVar[str] = ""

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(data, *args, **kwargs)
        self.conflicts: dict[str, Conflict] = {}
        #: Attribute -> value, as the row stands now.
        self.loaded = dict(self.instance.__dict__)
        self._stored = {name: self.initial[name] for name in self._model_fields() if name in self.initial}
        self._unseen = fingerprint(self.unseen())
        self._base_unseen = self._unseen
        self._base = self._read_base(data)
        self.initial.update(self._base or {})

    def unseen(self) -> Any:
        """What the form replaces without showing it."""
        return None

    @property
    def unseen_has_changed(self) -> bool:
        """Whether somebody else has replaced it since the form was opened."""
        return self._base_unseen != self._unseen

    @property
    def base(self) -> str:
        """What the hidden input holds: the values that the next sending is compared with."""
        if self.instance._state.adding:
            return ""
        held = self._stored | (self._base or {}) | {name: self._stored[name] for name in self.conflicts}
        texts = {name: _written(self._model_fields()[name], value) for name, value in held.items()}
        return signing.dumps(texts | {_UNSEEN: self._unseen}, salt=self._salt, compress=True)

    @cached_property
    def changed_data(self) -> list[str]:
        return [
            name
            for name, bound in self._bound_items()  # type: ignore[attr-defined]
            if bound._has_changed() and not self._is_as_shown(name)
        ]

    @property
    def changed_meanwhile(self) -> list[str]:
        """Labels of the fields that somebody else has changed since the form was opened."""
        return [str(self.fields[name].label) for name in self._others_changes() if name not in self.conflicts]

    def changed_columns(self) -> list[str]:
        """The model's fields in which the instance differs from the row as it was loaded."""
        now = self.instance.__dict__
        return [
            field.name
            for field in self.instance._meta.concrete_fields
            if not field.primary_key
            and field.attname in now
            and not (field.attname in self.loaded and same(now[field.attname], self.loaded[field.attname]))
        ]

    def full_clean(self) -> None:
        super().full_clean()
        if self.is_bound and self.refused:
            self.add_error(None, ValidationError(self.refused, code="refused"))

    def _clean_fields(self) -> None:
        super()._clean_fields()  # type: ignore[misc]
        for name in self.fields:
            if self._is_as_shown(name):  # no rule of today's is held against it
                self.errors.pop(name, None)
                self.cleaned_data[name] = self.initial[name]

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.instance._state.adding:
            return
        for name, field in self._model_fields().items():
            if name not in self.changed_data and field.attname in self.loaded:
                setattr(self.instance, field.attname, self.loaded[field.attname])
        for name in self._others_changes():
            field = self._model_fields()[name]
            wanted = field.value_from_object(self.instance)
            if name in self.changed_data and name not in self.errors and not same(wanted, self._stored[name]):
                self.conflicts[name] = Conflict(
                    str(self.fields[name].label),
                    *(_shown(field, value) for value in ((self._base or {})[name], self._stored[name], wanted)),
                )
        for name in self.conflicts:
            self.add_error(name, ValidationError(_("Somebody else has changed this meanwhile."), code="conflict"))

    def _others_changes(self) -> list[str]:
        base = self._base or {}
        return [name for name, value in self._stored.items() if name in base and not same(base[name], value)]

    def _is_as_shown(self, name: str) -> bool:
        """Whether the text that came back is the one that was shown, blanks at its ends included."""
        if self.instance._state.adding or name not in self.initial:
            return False
        bound = self[name]
        sent, shown = bound.data, self.fields[name].prepare_value(self.initial[name])
        if not isinstance(sent, str) or not isinstance(shown, str | None):
            return False
        return sent.replace("\r\n", "\n") == (shown or "").replace("\r\n", "\n")

    def _model_fields(self) -> Mapping[str, Any]:
        return {field.name: field for field in self._meta.model._meta.concrete_fields if field.name in self.fields}

    @property
    def _salt(self) -> str:
        return f"{self.instance._meta.db_table} {self.instance.pk}"

    def _read_base(self, data: Any) -> dict[str, Any] | None:
        text = (data or {}).get(BASE)
        if not text or self.instance._state.adding:
            return None
        try:
            texts: dict[str, Any] = signing.loads(text, salt=self._salt)
        except signing.BadSignature:
            return None  # as from a page of before a change of the key: what is sent is compared with the row
        self._base_unseen = texts.get(_UNSEEN, self._unseen)
        fields = self._model_fields()
        return {
            name: None if value is None else fields[name].to_python(value)
            for name, value in texts.items()
            if name in self._stored
        }


def fingerprint(value: Any) -> str:
    """Tells whether it is still the same, and nothing else."""
    return salted_hmac("sysadmin.admin.forms", repr(value), algorithm="sha256").hexdigest()


def version(row: models.Model) -> str:
    """A fingerprint of the row as it was loaded."""
    return fingerprint([(f.attname, row.__dict__[f.attname]) for f in row._meta.fields if f.attname in row.__dict__])


def same(one: Any, other: Any) -> bool:
    """Equal, and of one kind: to JSON, true is not 1."""
    if isinstance(one, dict | list | bool | int | float) and isinstance(other, dict | list | bool | int | float):
        return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    return bool(one == other)


def pretty(value: Any) -> str:
    """JSON to be read by people."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def _written(field: Any, value: Any) -> Any:
    """A value as `field.to_python` reads it again; JSON as it is."""
    if value is None or isinstance(field, models.JSONField):
        return value
    holder = type("Holder", (), {field.attname: value})()
    return field.value_to_string(holder)


def _shown(field: Any, value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(field, models.JSONField):
        return pretty(value)
    if field.is_relation:
        return str(field.related_model._default_manager.filter(pk=value).first() or value)
    return str(dict(field.flatchoices).get(value, value))
