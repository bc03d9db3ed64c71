"""The admin's app configuration: Django's own, on the project's site."""

from __future__ import annotations

from django.conf import settings
from django.contrib.admin import apps, site
from django.utils.module_loading import import_string


class AdminConfig(apps.AdminConfig):
    """``django.contrib.admin`` with ``moeen.admin_site.MoeenAdminSite`` as its default site."""

    default_site = "moeen.admin_site.MoeenAdminSite"

    def ready(self) -> None:
        super().ready()
        import_string(settings.ADMIN_REGISTRAR)(site)
