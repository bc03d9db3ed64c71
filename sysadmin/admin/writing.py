"""The ways in which people write the same: Arabic letters and digits, telephone numbers, Hijri dates, times of day."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.lookups import BuiltinLookup
from django.utils.translation import gettext_lazy as _
from hijridate import Hijri
from phonenumbers import (
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    format_number,
    is_possible_number,
    is_valid_number,
    parse,
)

_DIGITS = {zero + value: str(value) for zero in (0x0660, 0x06F0) for value in range(10)}
#: Arabic-Indic and Persian digits, the Arabic decimal separator and the one between thousands.
_WESTERN = _DIGITS | {0x066B: ".", 0x066C: None}
#: Letters that are written for one another.
_ALIKE = ("اأإآٱ", "هة", "يىی", "كک")
#: Vowel signs and the stroke that draws letters apart.
_MARKS = "ـ\u064b-\u065f\u0670"
_PHONE = re.compile(r"\+?[\d\s()./-]{7,20}", re.ASCII)
_BETWEEN = "[ ()./-]*"
#: Where a telephone number without a country's code belongs.
REGION = "SA"
_TIME = re.compile(r"(\d{1,2}):(\d{2})\s*(ص|م|صباح[اً]*|مساء[اً]*|am|pm)", re.ASCII | re.IGNORECASE)
_HIJRI = re.compile(r"(1[34]\d\d)[-/](\d{1,2})[-/](\d{1,2})\s*(?:هـ|ه)?", re.ASCII)


def western(text: str) -> str:
    """The same digits as 0 to 9, and the decimal separator as a point."""
    return text.translate(_WESTERN)


def is_phone(text: str) -> bool:
    """Whether it looks like a telephone number, of seven digits or more."""
    plain = western(text).strip()
    return bool(_PHONE.fullmatch(plain)) and sum(map(str.isdigit, plain)) >= 7


def phone(text: str) -> PhoneNumber | None:
    """The telephone number, whichever way it is written; None where no number has that many digits."""
    try:
        number = parse(western(text).strip(), REGION)
    except NumberParseException:
        return None
    return number if is_possible_number(number) else None


def pattern(text: str) -> str:
    """A regular expression for every way to write the text; of a telephone number, its own digits in any grouping."""
    plain = western(text).strip()
    if is_phone(plain):
        number = phone(plain)
        digits = str(number.national_number) if number else re.sub(r"\D", "", plain, flags=re.ASCII)
        return _BETWEEN.join(map(_letter, digits))
    return "".join(map(_letter, re.sub(f"[{_MARKS}]", "", plain)))


def _letter(character: str) -> str:
    if character.isascii():
        if character.isdigit():
            value = int(character)
            return f"[{character}{chr(0x0660 + value)}{chr(0x06F0 + value)}]"
        return character if character.isalnum() else f"\\{character}"
    alike = next((letters for letters in _ALIKE if character in letters), character)
    return f"[{alike}][{_MARKS}]*" if character.isalpha() else re.escape(character)


@models.CharField.register_lookup
@models.TextField.register_lookup
class Written(BuiltinLookup):
    """``name__written="احمد"``: texts that contain it, in whatever way it is written."""

    lookup_name = "written"
    prepare_rhs = False

    def get_prep_lookup(self) -> str:
        return pattern(str(self.rhs))

    def get_rhs_op(self, connection: Any, rhs: str) -> str:
        return f"~* {rhs}"


class _AnyDigits:
    def to_python(self, value: Any) -> Any:
        return super().to_python(western(value) if isinstance(value, str) else value)  # type: ignore[misc]


class DecimalField(_AnyDigits, forms.DecimalField):
    """A number, in the digits of whoever writes it."""


class DateField(_AnyDigits, forms.DateField):
    """A date, Gregorian, or Hijri by its year: 1410-01-01 is 2 August 1989."""

    def to_python(self, value: Any) -> Any:
        found = _HIJRI.fullmatch(western(value).strip()) if isinstance(value, str) else None
        if found is None:
            return super().to_python(value)
        try:
            return date(*Hijri(*map(int, found.groups())).to_gregorian().datetuple())
        except (ValueError, OverflowError) as error:
            raise ValidationError(_("There is no such Hijri date."), code="invalid") from error


class TimeField(_AnyDigits, forms.TimeField):
    """A time of day, also as 9:30 ص or 9:30 م."""

    def to_python(self, value: Any) -> Any:
        found = _TIME.fullmatch(western(value).strip()) if isinstance(value, str) else None
        if found and 1 <= int(found[1]) <= 12:
            is_evening = found[3][0] in "مpP"
            value = f"{int(found[1]) % 12 + 12 * is_evening}:{found[2]}"
        return super().to_python(value)


class PhoneField(_AnyDigits, forms.CharField):
    """A telephone number, kept as +966577123456; one that no plan of numbers knows yet, as it was written."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if text in self.empty_values:
            return text
        number = phone(text)
        if number is None:
            raise ValidationError(
                _("This is no telephone number. A Saudi one is written 05..., others with + and their country's code."),
                code="invalid",
            )
        return format_number(number, PhoneNumberFormat.E164) if is_valid_number(number) else text
