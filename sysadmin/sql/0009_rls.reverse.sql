-- Before it, 0007_rls.sql says again who may see and do what.
SELECT app.unguard('users user_preferences notifications internal_messages audit_logs roles user_roles settings '
                   'django_migrations django_content_type django_session django_admin_log auth_permission auth_group '
                   'auth_group_permissions backfill_runs public_id_aliases migration_runs migration_steps');
DROP FUNCTION IF EXISTS app.stamp_notification();
DROP FUNCTION IF EXISTS app.stamp_internal_message();
DROP FUNCTION IF EXISTS app.stamp_role();
DROP FUNCTION IF EXISTS app.stamp_user_role();
DROP FUNCTION IF EXISTS app.stamp_setting();
