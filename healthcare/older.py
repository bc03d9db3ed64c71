"""Indexes that the older SQL scripts made on this app's tables: replaced by today's when a database is adopted."""

from __future__ import annotations

_NAMES = """
    idx_appointments_public_id idx_doctors_public_id idx_insurance_claims_public_id idx_patients_public_id
    idx_sessions_public_id
"""
INDEXES = frozenset(_NAMES.split())
