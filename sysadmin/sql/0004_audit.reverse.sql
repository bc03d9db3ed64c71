BEGIN; -- users
DROP TRIGGER IF EXISTS users_audit_insert ON users;
DROP TRIGGER IF EXISTS users_audit_update ON users;
DROP TRIGGER IF EXISTS users_audit_delete ON users;
DROP TRIGGER IF EXISTS users_audit_truncate ON users;
COMMIT;

BEGIN; -- audit_logs
DROP TRIGGER IF EXISTS audit_logs_append_only ON audit_logs;
COMMIT;
DROP FUNCTION IF EXISTS app.refuse_change();
DROP FUNCTION IF EXISTS app.audit_statement();
DROP FUNCTION IF EXISTS app.audit_redacted(jsonb);
DROP FUNCTION IF EXISTS app.audit_actor();
