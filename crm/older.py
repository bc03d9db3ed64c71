"""Indexes that the older SQL scripts made on this app's tables: replaced by today's when a database is adopted."""

from __future__ import annotations

_NAMES = """
    idx_crm_activities_due_date idx_crm_activities_due_status idx_crm_activities_owner_id
    idx_crm_activities_owner_status idx_crm_activities_priority idx_crm_activities_public_id idx_crm_activities_status
    idx_crm_activities_type idx_crm_deals_contact_id idx_crm_deals_expected_close idx_crm_deals_owner_id
    idx_crm_deals_owner_stage idx_crm_deals_public_id idx_crm_deals_stage idx_crm_deals_value idx_crm_leads_email
    idx_crm_leads_owner_id idx_crm_leads_owner_status idx_crm_leads_public_id idx_crm_leads_source
    idx_crm_leads_status
"""
INDEXES = frozenset(_NAMES.split())
