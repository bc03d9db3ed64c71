"""The admin's app configuration: Django's own, on the project's site."""

from __future__ import annotations

from django.contrib.admin import apps


class AdminConfig(apps.AdminConfig):
    """``django.contrib.admin`` with ``moeen.admin_site.MoeenAdminSite`` as its default site."""

    default_site = "moeen.admin_site.MoeenAdminSite"
