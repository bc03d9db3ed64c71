"""The tables of the CRM app."""

from __future__ import annotations

from crm.models.activities import Activity
from crm.models.deals import Deal
from crm.models.leads import Lead

__all__ = ["Activity", "Deal", "Lead"]
