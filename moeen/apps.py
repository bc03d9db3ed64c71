"""The admin's app configuration: Django's own, on the project's site."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.admin import apps, autodiscover, site
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.contrib.auth.signals import user_logged_in
from django.core import checks
from django.utils.module_loading import import_string

from moeen import sessions
from moeen.db.security import identity


class AdminConfig(apps.SimpleAdminConfig):
    """``django.contrib.admin`` with ``moeen.admin_site.MoeenAdminSite`` as its default site."""

    default_site = "moeen.admin_site.MoeenAdminSite"

    def ready(self) -> None:
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(check_pages, checks.Tags.admin)
        user_logged_in.connect(sessions.begin, dispatch_uid="moeen.sessions.begin")
        if not identity.operates():
            read_pages()  # a server does not begin to serve where one of them cannot be read


@cache
def read_pages() -> None:
    """Let the apps register their pages. Commands have none to show, and reading them takes half of their start."""
    autodiscover()
    import_string(settings.ADMIN_REGISTRAR)(site)


def check_pages(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Django's own check of the admin looks at the pages that are registered."""
    read_pages()
    found: list[checks.CheckMessage] = check_admin_app(app_configs, **kwargs)
    return found
