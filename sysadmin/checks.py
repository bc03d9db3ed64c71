"""The project's own system checks: its migrations and their SQL; Arabic names; the web's login; the second factor."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, register
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, models
from django.utils import translation

#: Columns of every table, which the pages name by themselves.
_UNSHOWN = frozenset({"id", "public_id", "created_at", "updated_at"})
_CATALOGUE = Path(__file__).parent / "locale" / "ar" / "LC_MESSAGES" / "django.po"


@register("migrations")
def check_migrations(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """All of them, whichever apps are asked for: a table's policies may stand in another migration."""
    from moeen.db import lint

    return lint.check(lint.project_migrations())


@register(checks.Tags.translation)
def check_arabic_names(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Everything that the pages of our tables call them, their columns and their choices has an Arabic name."""
    from moeen.db import public_ids

    place = "/".join(_CATALOGUE.parts[-5:])
    hint = f'Write msgid "..." and msgstr "..." into {place}, then: make messages.'
    found: list[CheckMessage] = []
    with translation.override("ar"):
        for model in public_ids.PREFIXES.values():
            words = sorted({word for word in _names(model) if not re.search("[\u0600-\u06ff]", word)})
            if words:
                named = ", ".join(map(repr, words))
                found.append(checks.Warning(f"No Arabic for {named}.", hint=hint, obj=model, id="moeen.W124"))
    return found


def _names(model: type[models.Model]) -> list[str]:
    """In the language of the moment. What no person named, such as ``public_id``, has no page of its own."""
    fields = [field for field in model._meta.concrete_fields if field.name not in _UNSHOWN]
    texts = [model._meta.verbose_name, model._meta.verbose_name_plural]
    texts += [field.verbose_name for field in fields]
    texts += [field.help_text for field in fields if field.help_text]
    texts += [label for field in fields for _, label in field.flatchoices]
    return [str(text) for text in texts]


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


@register(checks.Tags.security)
def check_dotenv(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The files that hold passwords and keys are for their owner and group alone."""
    found: list[CheckMessage] = []
    for path in (Path(settings.BASE_DIR, ".env"), settings.BACKUP_SIGNING_KEY):
        with suppress(OSError):
            if path.stat().st_mode & 0o007:
                words = f"Everybody on this machine may read or write {path.name}, which holds secrets."
                found.append(checks.Warning(words, hint=f"chmod o= {path}", id="moeen.W126"))
    return found


@register
def check_project(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Which database is meant, where a hosted project and a server of this machine are both named."""
    from moeen.db.engine.project import is_on_this_machine

    entry = connections[DEFAULT_DB_ALIAS].settings_dict
    if not settings.SUPABASE_PROJECT_REF or entry.get("EMBEDDED") or not is_on_this_machine(entry):
        return []
    words = f"The database is {entry['NAME']} on this machine, as DATABASE_URL says, not that of SUPABASE_PROJECT_REF."
    return [checks.Info(words, hint="Leave one of the two out to have it said no more.", id="moeen.I124")]


@register(checks.Tags.security, deploy=True)
def check_second_factor(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Whoever learns an administrator's password is not yet one."""
    if settings.SECOND_FACTOR != "optional":
        return []
    words = "Administrators may sign in with a password alone: SECOND_FACTOR is optional."
    return [checks.Warning(words, hint="Unset it, or set it to administrators (docs/signing-in.md).", id="moeen.W125")]


@register(checks.Tags.security, deploy=True)
def check_client_address(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Behind a proxy everybody comes from one address, unless it says from which."""
    if not settings.SECURE_PROXY_SSL_HEADER or settings.CLIENT_ADDRESS_HEADER:
        return []
    words = "There is a proxy (SECURE_PROXY_SSL_HEADER), and nothing says whose requests it hands on."
    hint = "CLIENT_ADDRESS_HEADER=HTTP_X_FORWARDED_FOR, where the proxy sets that (docs/serving.md)."
    return [checks.Warning(words, hint=hint, id="moeen.W127")]
