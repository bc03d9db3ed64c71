-- Before it, 0016_audit.sql and 0024_rls.sql say the functions again.
SELECT app.unaudit('second_factors');
DROP TRIGGER IF EXISTS audit_suspensions_audit_insert ON app.audit_suspensions;
DROP TRIGGER IF EXISTS audit_suspensions_audit_update ON app.audit_suspensions;
DROP TRIGGER IF EXISTS audit_suspensions_audit_delete ON app.audit_suspensions;
DROP TRIGGER IF EXISTS audit_suspensions_audit_truncate ON app.audit_suspensions;
ALTER TABLE public.audit_logs ENABLE TRIGGER audit_logs_stamp;
