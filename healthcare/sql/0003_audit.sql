-- Patients and appointments are audited as users are (sysadmin/sql/0004_audit.sql).

BEGIN; -- patients
CREATE OR REPLACE TRIGGER patients_audit_insert AFTER INSERT ON patients
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement();
CREATE OR REPLACE TRIGGER patients_audit_update AFTER UPDATE ON patients
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement();
CREATE OR REPLACE TRIGGER patients_audit_delete AFTER DELETE ON patients
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement();
CREATE OR REPLACE TRIGGER patients_audit_truncate AFTER TRUNCATE ON patients
    FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement();
COMMIT;

BEGIN; -- appointments
CREATE OR REPLACE TRIGGER appointments_audit_insert AFTER INSERT ON appointments
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement();
CREATE OR REPLACE TRIGGER appointments_audit_update AFTER UPDATE ON appointments
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement();
CREATE OR REPLACE TRIGGER appointments_audit_delete AFTER DELETE ON appointments
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement();
CREATE OR REPLACE TRIGGER appointments_audit_truncate AFTER TRUNCATE ON appointments
    FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement();
COMMIT;

-- The older scripts' functions have no trigger left on our tables; they stay if something of the clinic's own uses them.
DO $do$
DECLARE
    old regprocedure;
BEGIN
    FOREACH old IN ARRAY ARRAY[to_regprocedure('public.audit_trigger_function()'),
                               to_regprocedure('public.update_updated_at_column()')]
    LOOP
        IF old IS NOT NULL AND NOT EXISTS (SELECT FROM pg_depend WHERE refobjid = old AND deptype = 'n') THEN
            EXECUTE format('DROP FUNCTION %s', old);
        END IF;
    END LOOP;
END
$do$;
