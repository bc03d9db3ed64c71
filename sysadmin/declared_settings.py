"""Settings that the code knows: of what type each is, what it is for, and what it is where no row says so.

An app says it in its AppConfig:

    class BillingConfig(AppConfig):
        name = "billing"
        settings = (Declared(key="billing.vat", kind=Kind.NUMBER, default=15, description="Percent of tax."),)

and reads it by value_of("billing.vat"). What no app declares is the clinic's own, and of any type.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps

from moeen.db.errors import ConfigurationError


class Kind(enum.StrEnum):
    """What a value must be, as JSON knows it."""

    TEXT = "text"
    NUMBER = "number"
    WHOLE_NUMBER = "whole number"
    YES_OR_NO = "true or false"
    TEXTS = "list of texts"
    OBJECT = "object"

    def fits(self, value: Any) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        match self:
            case Kind.TEXT:
                return isinstance(value, str)
            case Kind.NUMBER:
                return is_number
            case Kind.WHOLE_NUMBER:
                return is_number and isinstance(value, int)
            case Kind.YES_OR_NO:
                return isinstance(value, bool)
            case Kind.TEXTS:
                return isinstance(value, list) and all(isinstance(item, str) for item in value)
            case Kind.OBJECT:
                return isinstance(value, dict)


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One setting. A secret one bears a name that says so, by which the database keeps it from everybody else."""

    key: str
    kind: Kind
    default: Any
    description: str
    category: str = "general"
    is_public: bool = False


def declared() -> dict[str, Declared]:
    """Key -> what the apps say of it. Raises ConfigurationError where that cannot be."""
    from sysadmin.models.settings import Setting, is_secret

    found: dict[str, Declared] = {}
    for one in _told():
        wrong = (
            "is declared twice" if one.key in found
            else f"has a default that is no {one.kind}" if not one.kind.fits(one.default)
            else "has no such category" if one.category not in Setting.Category
            else "is public, and its name tells of a secret" if one.is_public and is_secret(one.key)
            else ""
        )  # fmt: skip
        if wrong:
            raise ConfigurationError(f"The setting {one.key} {wrong}.", next_step="Mend it in the app's AppConfig.")
        found[one.key] = one
    return found


def value_of(key: str) -> Any:
    """What the row says, where the present identity sees one that fits, else the default. KeyError: not declared."""
    from sysadmin.models import Setting

    known = declared()[key]
    row = Setting.objects.filter(key=key).first()
    return row.value if row is not None and known.kind.fits(row.value) else known.default


def _told() -> Iterator[Declared]:
    for config in apps.get_app_configs():
        yield from getattr(config, "settings", ())
