-- Everybody enters the admin, whose pages ask which models there are, and keep what each person did on them.

BEGIN; -- django_content_type
SELECT app.lock_away('django_content_type');
SELECT app.signed_only('django_content_type');
-- lint: allow moeen.E103: names of models, the same in every clinic
SELECT app.allow('django_content_type', 'patient doctor staff supervisor admin', 'S', 'true');
COMMIT;

BEGIN; -- django_admin_log
SELECT app.lock_away('django_admin_log');
SELECT app.signed_only('django_admin_log');
SELECT app.allow('django_admin_log', 'patient doctor staff supervisor', 'S', 'user_id = (SELECT app.user_id())');
SELECT app.allow('django_admin_log', 'admin', 'SD', 'true');
SELECT app.allow('django_admin_log', 'patient doctor staff supervisor admin', 'I', '', 'user_id = (SELECT app.user_id())');
COMMIT;
