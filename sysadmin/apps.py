"""The system administration app: users, roles, settings, messages, preferences and the audit log."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.utils.translation import gettext_lazy as _


class SysadminConfig(AppConfig):
    """Everything that is not healthcare, chatbot or CRM; ``sysadmin.User`` is the project's user model."""

    name = "sysadmin"
    verbose_name = _("System administration")

    def ready(self) -> None:
        from sysadmin import checks, exposure  # noqa: F401 - they register by being imported
        from sysadmin.auth import note_sign_in

        # In place of Django's receiver, which is connected later and is dropped for having the same name.
        user_logged_in.connect(note_sign_in, dispatch_uid="update_last_login")
