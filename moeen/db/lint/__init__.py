"""What a migration must not do.

`rules`: over the SQL of `scripts` and over operations. `squawk`: the linter of that name. `project`: whose
migrations are looked at. `authoring`: what `makemigrations` writes.
"""

from __future__ import annotations

from moeen.db.lint.project import project_apps, project_migrations
from moeen.db.lint.rules import HINTS, REPLACEMENTS, TRUSTED, check

__all__ = [
    "HINTS",
    "REPLACEMENTS",
    "TRUSTED",
    "check",
    "project_apps",
    "project_migrations",
]
