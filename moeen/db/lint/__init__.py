"""What a migration must not do: rules over its SQL and operations, squawk, and what `makemigrations` writes."""

from __future__ import annotations

from moeen.db.lint.rules import (
    HINTS,
    REPLACEMENTS,
    SENSITIVE,
    TRUSTED,
    check,
    project_apps,
    project_migrations,
    statements_inside,
)

__all__ = [
    "HINTS",
    "REPLACEMENTS",
    "SENSITIVE",
    "TRUSTED",
    "check",
    "project_apps",
    "project_migrations",
    "statements_inside",
]
