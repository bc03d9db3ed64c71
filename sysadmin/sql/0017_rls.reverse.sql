SELECT app.lock_away('audit_seals');
DROP TRIGGER IF EXISTS audit_seals_append_only ON audit_seals;
DROP TRIGGER IF EXISTS audit_logs_prune_only ON audit_logs;
CREATE OR REPLACE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS app.keep_audit_entries();
