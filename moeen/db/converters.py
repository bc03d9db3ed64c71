"""URL converters: ``<public_id:text>`` takes any table's public id, ``<pat_id:text>`` those with the prefix ``pat_``.

A path whose id is malformed or of another table does not match, so the answer is 404 before any view runs.
"""

from __future__ import annotations

from typing import Any

from django.urls.converters import get_converters, register_converter

from moeen.db import public_ids


class PublicIdConverter:
    """Hands the id to the view as text; reversing accepts a text, or a row."""

    prefix: str | None = None
    regex = r"[a-z]{3}_[0-9a-z_]{15,32}"

    def to_python(self, value: str) -> str:
        return public_ids.parse(value, prefix=self.prefix).text

    def to_url(self, value: Any) -> str:
        return public_ids.parse(getattr(value, "public_id", value), prefix=self.prefix).text


def register() -> None:
    """Make the converters known to Django; for the top of a urls.py. Calling it again does no harm."""
    known = get_converters()
    for prefix in (None, *public_ids.PREFIXES):
        name = "public_id" if prefix is None else f"{prefix}id"
        if name not in known:
            register_converter(type("Converter", (PublicIdConverter,), {"prefix": prefix}), name)
