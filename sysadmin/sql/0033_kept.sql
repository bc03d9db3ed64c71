-- An entry stands in the log as it was written: nothing that somebody hangs on the log changes it, or leaves it out, while
-- the write that it tells of goes through.

CREATE OR REPLACE FUNCTION app.keep_audit_log() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    stranger constant name := (
        -- Row triggers before an INSERT: 1, 2 and 4.
        SELECT t.tgname FROM pg_catalog.pg_trigger AS t
        WHERE t.tgrelid = TG_RELID AND t.tgtype & 7 = 7 AND t.tgname <> 'audit_logs_stamp' LIMIT 1);
BEGIN
    IF stranger IS NOT NULL THEN
        RAISE EXCEPTION 'trigger % could change what the audit log is told', stranger
            USING ERRCODE = 'insufficient_privilege', HINT = 'Drop it, or let it run AFTER INSERT.';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION app.keep_audit_log() IS 'Trigger: nothing is recorded where a stranger''s trigger could change it, and so nothing is done';
REVOKE EXECUTE ON FUNCTION app.keep_audit_log() FROM PUBLIC;
-- What a platform's default privileges give of each new function.
DO $do$
DECLARE
    platform name;
BEGIN
    FOR platform IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION app.keep_audit_log() FROM %I', platform);
    END LOOP;
END
$do$;

BEGIN; -- audit_logs
CREATE OR REPLACE TRIGGER audit_logs_keep AFTER INSERT ON public.audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION app.keep_audit_log();
ALTER TABLE public.audit_logs ENABLE ALWAYS TRIGGER audit_logs_keep;
COMMIT;
