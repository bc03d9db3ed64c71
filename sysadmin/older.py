"""Indexes that the older SQL scripts made on this app's tables: replaced by today's when a database is adopted."""

from __future__ import annotations

_NAMES = """
    idx_audit_logs_created_at idx_audit_logs_public_id idx_audit_logs_table_name idx_audit_logs_user_id
    idx_internal_messages_public_id idx_internal_messages_recipient_id idx_internal_messages_sender_id
    idx_notifications_is_read idx_notifications_public_id idx_notifications_user_id idx_roles_name idx_roles_public_id
    idx_settings_category idx_settings_key idx_settings_public_id idx_user_preferences_language
    idx_user_preferences_public_id idx_user_preferences_theme idx_user_preferences_user_id idx_user_roles_public_id
    idx_user_roles_role_id idx_user_roles_user_id
"""
INDEXES = frozenset(_NAMES.split())
