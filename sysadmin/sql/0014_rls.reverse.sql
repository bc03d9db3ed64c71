-- As 0009_rls.sql has it.

BEGIN; -- django_content_type
SELECT app.lock_away('django_content_type');
SELECT app.signed_only('django_content_type');
SELECT app.allow('django_content_type', 'supervisor admin', 'S', 'true');
COMMIT;

BEGIN; -- django_admin_log
SELECT app.lock_away('django_admin_log');
SELECT app.signed_only('django_admin_log');
SELECT app.allow('django_admin_log', 'supervisor', 'S', 'user_id = (SELECT app.user_id())');
SELECT app.allow('django_admin_log', 'admin', 'SD', 'true');
SELECT app.allow('django_admin_log', 'admin', 'I', '', 'user_id = (SELECT app.user_id())');
COMMIT;
