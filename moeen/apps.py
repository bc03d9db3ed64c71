"""The admin's app configuration: Django's own, on the project's site."""

from __future__ import annotations

from django.conf import settings
from django.contrib.admin import apps, site
from django.contrib.auth.signals import user_logged_in
from django.utils.module_loading import import_string

from moeen import sessions


class AdminConfig(apps.AdminConfig):
    """``django.contrib.admin`` with ``moeen.admin_site.MoeenAdminSite`` as its default site."""

    default_site = "moeen.admin_site.MoeenAdminSite"

    def ready(self) -> None:
        super().ready()
        user_logged_in.connect(sessions.begin, dispatch_uid="moeen.sessions.begin")
        import_string(settings.ADMIN_REGISTRAR)(site)
