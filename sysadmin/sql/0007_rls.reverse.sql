-- The seeded roles stay: somebody may hold them.
BEGIN; -- users
SELECT app.lock_away('users');
COMMIT;
BEGIN; -- user_preferences
SELECT app.lock_away('user_preferences');
COMMIT;
BEGIN; -- notifications
SELECT app.lock_away('notifications');
COMMIT;
BEGIN; -- internal_messages
SELECT app.lock_away('internal_messages');
COMMIT;
BEGIN; -- audit_logs
SELECT app.lock_away('audit_logs');
COMMIT;
BEGIN; -- roles
SELECT app.lock_away('roles');
COMMIT;
BEGIN; -- user_roles
SELECT app.lock_away('user_roles');
COMMIT;
BEGIN; -- settings
SELECT app.lock_away('settings');
COMMIT;
BEGIN; -- django_migrations
SELECT app.lock_away('django_migrations');
COMMIT;
BEGIN; -- django_content_type
SELECT app.lock_away('django_content_type');
COMMIT;
BEGIN; -- django_session
SELECT app.lock_away('django_session');
COMMIT;
BEGIN; -- django_admin_log
SELECT app.lock_away('django_admin_log');
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
BEGIN; -- backfill_runs
SELECT app.lock_away('backfill_runs');
COMMIT;
BEGIN; -- public_id_aliases
SELECT app.lock_away('public_id_aliases');
COMMIT;
BEGIN; -- migration_runs
SELECT app.lock_away('migration_runs');
COMMIT;
BEGIN; -- migration_steps
SELECT app.lock_away('migration_steps');
COMMIT;
-- Django's own tables had no row security before.
DO $do$
DECLARE
    target regclass;
BEGIN
    FOR target IN SELECT to_regclass('public.' || t) FROM unnest(ARRAY['django_migrations', 'django_content_type',
        'django_session', 'django_admin_log', 'auth_permission', 'auth_group', 'auth_group_permissions']) AS t LOOP
        IF target IS NOT NULL THEN
            EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', target);
        END IF;
    END LOOP;
END
$do$;
