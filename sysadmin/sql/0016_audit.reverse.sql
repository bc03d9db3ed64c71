-- Before it, the files that made the functions and triggers of today's names are run again.
SELECT app.unaudit('roles user_roles settings');
DROP TRIGGER IF EXISTS audit_logs_stamp ON public.audit_logs;
DROP FUNCTION IF EXISTS app.stamp_audit_entry();
DROP FUNCTION IF EXISTS app.audit(text, text, text, text, text);
DROP FUNCTION IF EXISTS app.unaudit(text);
DROP FUNCTION IF EXISTS app.suspend_audit(uuid, text, text, jsonb);
DROP FUNCTION IF EXISTS app.resume_audit(uuid);
DROP FUNCTION IF EXISTS app.audited(text, json, text[]);
DROP FUNCTION IF EXISTS app.audit_origin();
DROP TABLE IF EXISTS app.audit_suspensions;
