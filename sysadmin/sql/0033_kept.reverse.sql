BEGIN; -- audit_logs
DROP TRIGGER IF EXISTS audit_logs_keep ON public.audit_logs;
COMMIT;
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS app.keep_audit_log();
