BEGIN; -- django_admin_log
DROP TRIGGER IF EXISTS django_admin_log_stamp ON public.django_admin_log;
COMMIT;
BEGIN;
DROP TRIGGER IF EXISTS identity_keys_record ON app.identity_keys;
DROP TRIGGER IF EXISTS identity_keys_record_truncate ON app.identity_keys;
COMMIT;
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS app.stamp_admin_log();
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS app.record_identity_key();
