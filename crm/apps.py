"""The CRM app: leads, deals and activities."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CrmConfig(AppConfig):
    """Who may become a patient or a customer, and what is done about it."""

    name = "crm"
    verbose_name = _("CRM")
