"""JSON that comes back as it was typed: what Python or jsonb would change silently, or could not keep, is an error."""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

MAX_DEPTH = 64
#: Strings are passed over, and the brackets between them counted.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)  # one without an end is read once, too


def parse(text: str) -> Any:
    """The value of a JSON text.

    Raises ValidationError for malformed JSON, a key given twice, NaN and infinite numbers, numbers that a double does
    not hold exactly, NUL and lone surrogates in strings (jsonb has neither), and nesting deeper than MAX_DEPTH.
    """
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth > MAX_DEPTH:
            raise _error(_("It is nested more than %(depth)d deep.") % {"depth": MAX_DEPTH})
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
    except json.JSONDecodeError as error:
        where = {"line": error.lineno, "column": error.colno}
        raise _error(_("Enter valid JSON: line %(line)d, column %(column)d.") % where) from error
    except ValueError as error:  # an integer of thousands of digits
        raise _error(_("A number is too long.")) from error
    refuse_unstorable(value)
    return value


def refuse_unstorable(value: Any) -> None:
    """Raise ValidationError where a string or a key holds what PostgreSQL's jsonb cannot."""
    for text in _texts(value):
        if "\0" in text:
            raise _error(_("A text holds the NUL character (\\u0000)."))
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise _error(_("A text holds half a character (a lone surrogate).")) from error


def _error(message: Any) -> ValidationError:
    return ValidationError(message, code="invalid")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _times),) = Counter(key for key, _value in pairs).most_common(1)
        raise _error(_("The key “%(key)s” is given twice.") % {"key": twice[:100]})
    return found


def _constant(name: str) -> Any:
    raise _error(_("%(name)s is no JSON number.") % {"name": name})


def _float(text: str) -> float:
    number = float(text)
    try:
        is_kept = abs(number) != float("inf") and Decimal(text) == Decimal(repr(number))
    except InvalidOperation:  # an exponent of many digits
        is_kept = False
    if not is_kept:
        raise _error(_("The number %(number)s would be stored rounded. Write it as a text.") % {"number": text[:60]})
    return number


def _texts(value: Any) -> Any:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _texts(part)
