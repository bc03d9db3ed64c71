"""The healthcare app: patients, doctors, appointments, sessions and insurance claims."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from healthcare import older
from moeen.db.registry import DatabaseFacts


class HealthcareConfig(AppConfig):
    """The clinic's own records. Clinical rows are never deleted by a cascade."""

    name = "healthcare"
    verbose_name = _("Healthcare")
    database_facts = DatabaseFacts(whole_table_roles={"sessions": frozenset({"admin"})}, older_indexes=older.INDEXES)
