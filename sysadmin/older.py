"""What older databases hold of this app's: indexes that today's replace, and people of Django's own users."""

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

#: The table as adoption knows it from older systems. One who has no address gets one that no mail reaches.
USERS_OF_DJANGO = """
CREATE TABLE IF NOT EXISTS public.users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email varchar(255) UNIQUE NOT NULL, password_hash varchar(255),
    name varchar(255), role varchar(50), created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now()
);
ALTER TABLE public.users ADD COLUMN IF NOT EXISTS is_active boolean DEFAULT true,
    ADD COLUMN IF NOT EXISTS last_login timestamptz;
INSERT INTO public.users (email, password_hash, name, role, is_active, last_login, created_at, updated_at)
SELECT address, CASE WHEN password NOT LIKE '!%' THEN password END, trim(first_name || ' ' || last_name),
       CASE WHEN is_superuser THEN 'admin' WHEN is_staff THEN 'staff' ELSE 'patient' END,
       is_active, last_login, date_joined, date_joined
FROM (SELECT *, coalesce(nullif(trim(email), ''), username || '@no-address.invalid') AS address
      FROM public.auth_user) AS people
WHERE NOT EXISTS (SELECT FROM public.users AS u WHERE lower(u.email) = lower(address));
"""
