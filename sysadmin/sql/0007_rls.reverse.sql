-- The seeded roles stay: somebody may hold them.
SELECT app.lock_away('users user_preferences notifications internal_messages audit_logs roles user_roles settings '
    'django_migrations django_content_type django_session django_admin_log '
    'auth_permission auth_group auth_group_permissions '
    'backfill_runs public_id_aliases migration_runs migration_steps');
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
