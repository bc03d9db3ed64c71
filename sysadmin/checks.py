"""The project's own system checks: its migrations and their SQL (moeen.db.lint); the login that serves the web."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, register
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections


@register("migrations")
def check_migrations(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """All of them, whichever apps are asked for: a table's policies may stand in another migration."""
    from moeen.db import lint

    return lint.check(lint.project_migrations())


@register(checks.Tags.security, deploy=True)
def check_web_login(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The web serves as a login that row security binds (moeen.db.security.web_login)."""
    from moeen.db.errors import MoeenError
    from moeen.db.explain import explain
    from moeen.db.security import serving, web_login

    try:
        found = serving.hindrance(connections[DEFAULT_DB_ALIAS])
    except (DatabaseError, MoeenError) as error:
        known = explain(error)
        words = known.cause if known else type(error).__name__
        hint = known.next_step if known else None
        return [checks.Warning(f"The web's login could not be looked at: {words}", hint=hint, id="moeen.W121")]
    if found is None:
        return []
    ids = {web_login.ServedByOwner: "moeen.E121", web_login.Refused: "moeen.E122", web_login.NotMade: "moeen.E123"}
    return [checks.Error(found.cause, hint=found.next_step, id=ids[type(found)])]


@register
def check_project(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Which database is meant, where a hosted project and a server of this machine are both named."""
    from moeen.db.engine.project import is_on_this_machine

    entry = connections[DEFAULT_DB_ALIAS].settings_dict
    if not settings.SUPABASE_PROJECT_REF or entry.get("EMBEDDED") or not is_on_this_machine(entry):
        return []
    words = f"The database is {entry['NAME']} on this machine, as DATABASE_URL says, not that of SUPABASE_PROJECT_REF."
    return [checks.Info(words, hint="Leave one of the two out to have it said no more.", id="moeen.I124")]
