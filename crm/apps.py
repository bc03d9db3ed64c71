"""The CRM app: leads, deals and activities."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from crm import older
from moeen.db.registry import DatabaseFacts


class CrmConfig(AppConfig):
    """Who may become a patient or a customer, and what is done about it."""

    name = "crm"
    verbose_name = _("CRM")
    database_facts = DatabaseFacts(older_indexes=older.INDEXES)
