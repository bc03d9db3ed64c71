"""Tables, as the database calls them and as people do."""

from __future__ import annotations

from typing import Any

from moeen.db import public_ids


def models_by_table() -> dict[str, Any]:
    """Table name -> model, of the tables whose rows bear public ids; all of them have pages."""
    return {model._meta.db_table: model for model in public_ids.PREFIXES.values()}


def table(name: str) -> str:
    model = models_by_table().get(name)
    return str(model._meta.verbose_name_plural) if model else name
