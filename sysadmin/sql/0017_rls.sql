-- Who may see and do what: S select, I insert, U update, D delete. What no line allows is refused. And what keeps the
-- audit log and its seals as they were written, from their owner too. ALWAYS: also where session_replication_role says
-- that triggers are not to fire.

-- Deletes entries of seals that a later seal says are pruned, and no others. A seal that says so is signed, or
-- verify_audit_log finds it.
CREATE OR REPLACE FUNCTION app.keep_audit_entries() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    through constant bigint := (SELECT s.pruned_through FROM public.audit_seals AS s ORDER BY s.number DESC LIMIT 1);
BEGIN
    IF coalesce(through, 0) = 0 OR EXISTS (
        SELECT o.id FROM old_rows AS o
        EXCEPT
        -- The first 16 bytes of each leaf.
        SELECT encode(substring(s.leaves, 64 * place + 1, 16), 'hex')::uuid
        FROM public.audit_seals AS s CROSS JOIN generate_series(0, s.entries - 1) AS place
        WHERE s.number <= through
          AND s.last_transaction >= (SELECT min(o.transaction_id) FROM old_rows AS o)
          AND s.first_transaction <= (SELECT max(o.transaction_id) FROM old_rows AS o)
    ) THEN
        RAISE EXCEPTION 'table % is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege',
            HINT = 'manage.py prune_audit_log removes sealed entries that are old enough; nothing else does.';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION app.keep_audit_entries() IS 'Trigger: of the audit log only what a seal says is pruned can be deleted';
REVOKE EXECUTE ON FUNCTION app.keep_audit_entries() FROM PUBLIC;

BEGIN; -- audit_logs
CREATE OR REPLACE TRIGGER audit_logs_append_only BEFORE UPDATE OR TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();
ALTER TABLE audit_logs ENABLE ALWAYS TRIGGER audit_logs_append_only;
CREATE OR REPLACE TRIGGER audit_logs_prune_only AFTER DELETE ON audit_logs
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION app.keep_audit_entries();
ALTER TABLE audit_logs ENABLE ALWAYS TRIGGER audit_logs_prune_only;
COMMIT;

BEGIN; -- audit_seals
SELECT app.lock_away('audit_seals');
SELECT app.signed_only('audit_seals');
SELECT app.allow('audit_seals', 'admin', 'S (all but leaves)', 'true');
CREATE OR REPLACE TRIGGER audit_seals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();
ALTER TABLE audit_seals ENABLE ALWAYS TRIGGER audit_seals_append_only;
COMMIT;
