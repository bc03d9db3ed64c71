-- Who may see and do what in sysadmin. S select, I insert, U update, D delete; columns in brackets where not all.
-- A transaction for each table, so that no two are locked at a time. A line each: roles, commands, the rows (and what a
-- written row must be, where that is not the same). Nothing is let through but for signed identities (signed_only), and
-- no role writes id, public_id and the time of making (guard), nor what a function stamp_... sets.

-- Reading is told by is_read; when it happened, the server says. A page address is a path of ours, whoever writes it.
CREATE OR REPLACE FUNCTION app.stamp_notification() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.is_read IS DISTINCT FROM OLD.is_read THEN
        NEW.read_at := CASE WHEN NEW.is_read THEN now() END;
    ELSE
        NEW.read_at := OLD.read_at;
    END IF;
    IF NOT app.is_own_path(NEW.action_url) AND (TG_OP = 'INSERT' OR NEW.action_url IS DISTINCT FROM OLD.action_url) THEN
        RAISE EXCEPTION 'action_url must be a path of the application, such as /appointments'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION app.stamp_notification() IS 'Trigger: when a notification was read is the server''s; its address a path';

CREATE OR REPLACE FUNCTION app.stamp_internal_message() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.is_read := false;
        NEW.read_at := NULL;
    ELSIF NEW.is_read IS DISTINCT FROM OLD.is_read THEN
        NEW.read_at := CASE WHEN NEW.is_read THEN now() END;
    ELSE
        NEW.read_at := OLD.read_at;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION app.stamp_internal_message() IS 'Trigger: a message begins unread; when it was read is the server''s';

-- The roles that the policies know by name are the project's: of the clinic's own, nobody makes one of them.
CREATE OR REPLACE FUNCTION app.stamp_role() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.is_system := false;
    ELSIF NEW.is_system <> OLD.is_system OR (OLD.is_system AND NEW.name <> OLD.name) THEN
        RAISE EXCEPTION 'is_system, and the name of a system role, are not to be changed'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION app.stamp_role() IS 'Trigger: which roles are the system''s is not for people to say';

CREATE OR REPLACE FUNCTION app.stamp_user_role() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.assigned_by := CASE TG_OP WHEN 'INSERT' THEN app.user_id() ELSE OLD.assigned_by END;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION app.stamp_user_role() IS 'Trigger: who gave a role is the person who acts';

CREATE OR REPLACE FUNCTION app.stamp_setting() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.updated_by := app.user_id();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION app.stamp_setting() IS 'Trigger: who changed a setting is the person who acts';

REVOKE EXECUTE ON FUNCTION app.stamp_notification(), app.stamp_internal_message(), app.stamp_role(), app.stamp_user_role(),
    app.stamp_setting() FROM PUBLIC;

BEGIN; -- users
SELECT app.lock_away('users');
SELECT app.signed_only('users');
SELECT app.allow('users', 'patient doctor', 'S (all but password_hash)', 'id = (SELECT app.user_id())');
SELECT app.allow('users', 'staff supervisor admin service', 'S (all but password_hash)', 'true');
SELECT app.allow('users', 'patient doctor staff supervisor', 'U (name, phone)', 'id = (SELECT app.user_id())');
SELECT app.allow('users', 'admin', 'IUD', 'true');
-- Signing in. Rows without condition: lower(email) is not leakproof, and would find no index behind one.
SELECT app.allow('users', 'auth', 'S (id, email, password_hash, role, is_active, last_login) U (password_hash, last_login)',
                 'true');
SELECT app.guard('users', 'usr_');
COMMIT;

BEGIN; -- user_preferences
SELECT app.lock_away('user_preferences');
SELECT app.signed_only('user_preferences');
SELECT app.allow('user_preferences', 'patient doctor staff supervisor', 'SIU', 'user_id = (SELECT app.user_id())');
SELECT app.allow('user_preferences', 'admin', 'SIUD', 'true');
SELECT app.guard('user_preferences', 'prf_');
COMMIT;

BEGIN; -- notifications
SELECT app.lock_away('notifications');
SELECT app.signed_only('notifications');
SELECT app.allow('notifications', 'patient doctor staff supervisor', 'S U (is_read, read_at)', 'user_id = (SELECT app.user_id())');
SELECT app.allow('notifications', 'service', 'SIU', 'true');
SELECT app.allow('notifications', 'admin', 'SIUD', 'true');
SELECT app.guard('notifications', 'ntf_', stamp => 'stamp_notification');
COMMIT;

BEGIN; -- internal_messages
SELECT app.lock_away('internal_messages');
SELECT app.signed_only('internal_messages');
SELECT app.allow('internal_messages', 'patient doctor staff supervisor', 'S',
                 'sender_id = (SELECT app.user_id()) OR recipient_id = (SELECT app.user_id())');
SELECT app.allow('internal_messages', 'patient doctor staff supervisor', 'I', '',
                 'sender_id = (SELECT app.user_id()) AND (parent_message_id IS NULL '
                 'OR parent_message_id = ANY (ARRAY(SELECT app.my_message_ids())))');
SELECT app.allow('internal_messages', 'patient doctor staff supervisor', 'U (is_read, read_at)',
                 'recipient_id = (SELECT app.user_id())');
SELECT app.allow('internal_messages', 'admin', 'S', 'true');
SELECT app.guard('internal_messages', 'inm_', stamp => 'stamp_internal_message');
COMMIT;

BEGIN; -- audit_logs
SELECT app.lock_away('audit_logs');
SELECT app.signed_only('audit_logs');
SELECT app.allow('audit_logs', 'patient doctor staff supervisor', 'S', 'user_id = (SELECT app.user_id())');
SELECT app.allow('audit_logs', 'admin', 'S', 'true');
COMMIT;

BEGIN; -- roles
SELECT app.lock_away('roles');
SELECT app.signed_only('roles');
SELECT app.allow('roles', 'patient doctor staff', 'S', 'NOT is_system');
SELECT app.allow('roles', 'supervisor', 'S', 'true');
SELECT app.allow('roles', 'admin', 'SIUD', 'true');
SELECT app.guard('roles', 'rol_', stamp => 'stamp_role');
COMMIT;

BEGIN; -- user_roles
SELECT app.lock_away('user_roles');
SELECT app.signed_only('user_roles');
SELECT app.allow('user_roles', 'patient doctor staff', 'S', 'user_id = (SELECT app.user_id())');
SELECT app.allow('user_roles', 'supervisor', 'S', 'true');
SELECT app.allow('user_roles', 'admin', 'SIUD', 'true');
SELECT app.guard('user_roles', 'uro_', 'assigned_at', stamp => 'stamp_user_role');
COMMIT;

BEGIN; -- settings
SELECT app.lock_away('settings');
SELECT app.signed_only('settings');
SELECT app.allow('settings', 'anon patient doctor staff', 'S', 'is_public');
SELECT app.allow('settings', 'supervisor', 'S', 'true');
SELECT app.allow('settings', 'admin', 'SIUD', 'true');
SELECT app.guard('settings', 'set_', stamp => 'stamp_setting');
COMMIT;

BEGIN; -- django_migrations
SELECT app.lock_away('django_migrations');
SELECT app.signed_only('django_migrations');
COMMIT;

BEGIN; -- django_content_type
SELECT app.lock_away('django_content_type');
SELECT app.signed_only('django_content_type');
-- What the admin's pages need of Django's own tables.
SELECT app.allow('django_content_type', 'supervisor admin', 'S', 'true');
COMMIT;

BEGIN; -- django_session
SELECT app.lock_away('django_session');
SELECT app.signed_only('django_session');
SELECT app.allow('django_session', 'auth', 'SIUD', 'true');
COMMIT;

BEGIN; -- django_admin_log
SELECT app.lock_away('django_admin_log');
SELECT app.signed_only('django_admin_log');
SELECT app.allow('django_admin_log', 'supervisor', 'S', 'user_id = (SELECT app.user_id())');
SELECT app.allow('django_admin_log', 'admin', 'SD', 'true');
SELECT app.allow('django_admin_log', 'admin', 'I', '', 'user_id = (SELECT app.user_id())');
COMMIT;

BEGIN; -- auth_permission
SELECT app.lock_away('auth_permission');
SELECT app.signed_only('auth_permission');
COMMIT;

BEGIN; -- auth_group
SELECT app.lock_away('auth_group');
SELECT app.signed_only('auth_group');
COMMIT;

BEGIN; -- auth_group_permissions
SELECT app.lock_away('auth_group_permissions');
SELECT app.signed_only('auth_group_permissions');
COMMIT;

-- The operator's books, for the admin's pages.
BEGIN; -- backfill_runs
SELECT app.lock_away('backfill_runs');
SELECT app.signed_only('backfill_runs');
SELECT app.allow('backfill_runs', 'admin', 'S U (pause_requested)', 'true');
COMMIT;

BEGIN; -- public_id_aliases
SELECT app.lock_away('public_id_aliases');
SELECT app.signed_only('public_id_aliases');
SELECT app.allow('public_id_aliases', 'admin', 'S', 'true');
COMMIT;

BEGIN; -- migration_runs
SELECT app.lock_away('migration_runs');
SELECT app.signed_only('migration_runs');
SELECT app.allow('migration_runs', 'admin', 'S', 'true');
COMMIT;

BEGIN; -- migration_steps
SELECT app.lock_away('migration_steps');
SELECT app.signed_only('migration_steps');
SELECT app.allow('migration_steps', 'admin', 'S', 'true');
COMMIT;
