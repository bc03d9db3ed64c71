-- Before it, 0007_rls.sql says again who may see and do what.
SELECT app.unguard('users user_preferences notifications internal_messages roles user_roles settings');
DROP FUNCTION IF EXISTS app.stamp_notification();
DROP FUNCTION IF EXISTS app.stamp_internal_message();
DROP FUNCTION IF EXISTS app.stamp_role();
DROP FUNCTION IF EXISTS app.stamp_user_role();
DROP FUNCTION IF EXISTS app.stamp_setting();
