-- Who may see and do what in sysadmin. S select, I insert, U update, D delete; columns in brackets where not all.
-- A transaction for each table, so that no two are locked at a time. A line each: roles, commands, the rows (and what a
-- written row must be, where that is not the same).

BEGIN; -- users
SELECT app.lock_away('users');
SELECT app.allow('users', 'patient doctor', 'S (all but password_hash)', 'id = (SELECT auth.uid())');
SELECT app.allow('users', 'staff supervisor admin service', 'S (all but password_hash)', 'true');
SELECT app.allow('users', 'patient doctor staff supervisor', 'U (name, phone)', 'id = (SELECT auth.uid())');
SELECT app.allow('users', 'admin', 'IUD', 'true');
-- Signing in. Rows without condition: lower(email) is not leakproof, and would find no index behind one.
SELECT app.allow('users', 'auth', 'S (id, email, password_hash, role, is_active, last_login) U (password_hash, last_login)',
                 'true');
COMMIT;

BEGIN; -- user_preferences
SELECT app.lock_away('user_preferences');
SELECT app.allow('user_preferences', 'patient doctor staff supervisor', 'SIU', 'user_id = (SELECT auth.uid())');
SELECT app.allow('user_preferences', 'admin', 'SIUD', 'true');
COMMIT;

BEGIN; -- notifications
SELECT app.lock_away('notifications');
SELECT app.allow('notifications', 'patient doctor staff supervisor', 'S U (is_read, read_at)', 'user_id = (SELECT auth.uid())');
SELECT app.allow('notifications', 'service', 'SIU', 'true');
SELECT app.allow('notifications', 'admin', 'SIUD', 'true');
COMMIT;

BEGIN; -- internal_messages
SELECT app.lock_away('internal_messages');
SELECT app.allow('internal_messages', 'patient doctor staff supervisor', 'S',
                 'sender_id = (SELECT auth.uid()) OR recipient_id = (SELECT auth.uid())');
SELECT app.allow('internal_messages', 'patient doctor staff supervisor', 'I', '',
                 'sender_id = (SELECT auth.uid()) AND (parent_message_id IS NULL '
                 'OR parent_message_id = ANY (ARRAY(SELECT app.my_message_ids())))');
SELECT app.allow('internal_messages', 'patient doctor staff supervisor', 'U (is_read, read_at)',
                 'recipient_id = (SELECT auth.uid())');
SELECT app.allow('internal_messages', 'admin', 'S', 'true');
COMMIT;

BEGIN; -- audit_logs
SELECT app.lock_away('audit_logs');
SELECT app.allow('audit_logs', 'patient doctor staff supervisor', 'S', 'user_id = (SELECT auth.uid())');
SELECT app.allow('audit_logs', 'admin', 'S', 'true');
COMMIT;

BEGIN; -- roles
SELECT app.lock_away('roles');
SELECT app.allow('roles', 'patient doctor staff', 'S', 'NOT is_system');
SELECT app.allow('roles', 'supervisor', 'S', 'true');
SELECT app.allow('roles', 'admin', 'SIUD', 'true');
COMMIT;

BEGIN; -- user_roles
SELECT app.lock_away('user_roles');
SELECT app.allow('user_roles', 'patient doctor staff', 'S', 'user_id = (SELECT auth.uid())');
SELECT app.allow('user_roles', 'supervisor', 'S', 'true');
SELECT app.allow('user_roles', 'admin', 'SIUD', 'true');
COMMIT;

BEGIN; -- settings
SELECT app.lock_away('settings');
SELECT app.allow('settings', 'anon patient doctor staff', 'S', 'is_public');
SELECT app.allow('settings', 'supervisor', 'S', 'true');
SELECT app.allow('settings', 'admin', 'SIUD', 'true');
COMMIT;

BEGIN; -- django_migrations
SELECT app.lock_away('django_migrations');
COMMIT;

BEGIN; -- django_content_type
SELECT app.lock_away('django_content_type');
-- What the admin's pages need of Django's own tables.
SELECT app.allow('django_content_type', 'supervisor admin', 'S', 'true');
COMMIT;

BEGIN; -- django_session
SELECT app.lock_away('django_session');
SELECT app.allow('django_session', 'auth', 'SIUD', 'true');
COMMIT;

BEGIN; -- django_admin_log
SELECT app.lock_away('django_admin_log');
SELECT app.allow('django_admin_log', 'supervisor', 'S', 'user_id = (SELECT auth.uid())');
SELECT app.allow('django_admin_log', 'admin', 'SD', 'true');
SELECT app.allow('django_admin_log', 'admin', 'I', '', 'user_id = (SELECT auth.uid())');
COMMIT;

BEGIN; -- auth_permission
SELECT app.lock_away('auth_permission');
COMMIT;

BEGIN; -- auth_group
SELECT app.lock_away('auth_group');
COMMIT;

BEGIN; -- auth_group_permissions
SELECT app.lock_away('auth_group_permissions');
COMMIT;

-- The operator's books, for the admin's pages.
BEGIN; -- backfill_runs
SELECT app.lock_away('backfill_runs');
SELECT app.allow('backfill_runs', 'admin', 'S U (pause_requested)', 'true');
COMMIT;

BEGIN; -- public_id_aliases
SELECT app.lock_away('public_id_aliases');
SELECT app.allow('public_id_aliases', 'admin', 'S', 'true');
COMMIT;

BEGIN; -- migration_runs
SELECT app.lock_away('migration_runs');
SELECT app.allow('migration_runs', 'admin', 'S', 'true');
COMMIT;

BEGIN; -- migration_steps
SELECT app.lock_away('migration_steps');
SELECT app.allow('migration_steps', 'admin', 'S', 'true');
COMMIT;

-- The five roles that the policies know by name. A role of the clinic's own that bears such a name stays as it is.
INSERT INTO roles (name, description, is_system, permissions) VALUES
    ('patient', 'Sees what is their own', true,
     '["users:read:own", "users:update:own", "user_preferences:write:own", "notifications:read:own",
       "internal_messages:write:own", "audit_logs:read:own", "roles:read", "settings:read:public", "patients:read:own",
       "patients:update:own", "doctors:read", "appointments:read:own", "sessions:read:own", "insurance_claims:read:own",
       "chatbot_flows:read:published", "chatbot_templates:read:approved", "conversations:read:own", "messages:read:own"]'),
    ('doctor', 'Treats patients: sees their own patients, appointments and sessions', true,
     '["users:read:own", "users:update:own", "user_preferences:write:own", "notifications:read:own",
       "internal_messages:write:own", "audit_logs:read:own", "roles:read", "settings:read:public", "patients:read:mine",
       "patients:update:mine", "doctors:read", "doctors:update:own", "appointments:read:mine", "appointments:update:mine",
       "sessions:write:mine", "chatbot_flows:read:published", "chatbot_templates:read:approved",
       "conversations:read:mine", "messages:read:mine"]'),
    ('staff', 'Runs the front desk: patients, appointments, claims, their own leads; nothing clinical', true,
     '["users:read", "users:update:own", "user_preferences:write:own", "notifications:read:own",
       "internal_messages:write:own", "audit_logs:read:own", "roles:read", "settings:read:public", "patients:write",
       "doctors:write", "appointments:write", "insurance_claims:write", "chatbot_flows:manage:own",
       "chatbot_templates:manage:own", "conversations:read", "messages:read", "crm_leads:manage:own",
       "crm_deals:manage:own", "crm_activities:manage:own"]'),
    ('supervisor', 'Oversees staff, the bot and sales; nothing clinical', true,
     '["users:read", "users:update:own", "user_preferences:write:own", "notifications:read:own",
       "internal_messages:write:own", "audit_logs:read:own", "roles:read:all", "user_roles:read", "settings:read",
       "patients:write", "doctors:write", "appointments:write", "insurance_claims:write", "chatbot_flows:manage",
       "chatbot_templates:manage", "conversations:update", "messages:read", "crm_leads:manage", "crm_deals:manage",
       "crm_activities:manage"]'),
    ('admin', 'Manages everything; the audit log and sessions are read only', true,
     '["users:manage", "user_preferences:manage", "notifications:manage", "internal_messages:read", "audit_logs:read",
       "roles:manage", "user_roles:manage", "settings:manage", "patients:manage", "doctors:manage", "appointments:manage",
       "sessions:read", "insurance_claims:manage", "chatbot_flows:manage", "chatbot_templates:manage",
       "chatbot_integrations:manage", "conversations:manage", "messages:manage", "crm_leads:manage", "crm_deals:manage",
       "crm_activities:manage"]')
ON CONFLICT (name) DO NOTHING;
