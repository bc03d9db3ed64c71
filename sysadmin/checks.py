"""The project's own system checks: its migrations and their SQL (moeen.db.lint)."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, register


@register("migrations")
def check_migrations(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """All of them, whichever apps are asked for: a table's policies may stand in another migration."""
    from moeen.db import lint

    return lint.check(lint.project_migrations())
