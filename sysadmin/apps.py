"""The system administration app: users, roles, settings, messages, preferences and the audit log."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SysadminConfig(AppConfig):
    """Everything that is not healthcare, chatbot or CRM; ``sysadmin.User`` is the project's user model."""

    name = "sysadmin"
    verbose_name = _("System administration")
