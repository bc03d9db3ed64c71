-- The audit trail: what changed in the audited tables, by whom. Statement-level triggers with transition tables cost
-- less than row triggers. A trail that cannot be written never breaks the write it records: it warns instead.

CREATE OR REPLACE FUNCTION app.audit_actor() RETURNS uuid
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
BEGIN
    RETURN auth.uid();
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;  -- malformed claims name nobody
END
$$;
COMMENT ON FUNCTION app.audit_actor() IS 'The user who acts, or NULL: no claims, or malformed ones';

CREATE OR REPLACE FUNCTION app.audit_redacted(entry jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = ''
AS $$
    SELECT coalesce(jsonb_object_agg(
        key,
        CASE WHEN key IN ('password_hash', 'webhook_secret') AND value <> 'null' THEN '"[redacted]"' ELSE value END
    ), '{}')
    FROM jsonb_each(entry)
$$;
COMMENT ON FUNCTION app.audit_redacted(jsonb) IS 'A row as jsonb with its secrets blacked out';

CREATE OR REPLACE FUNCTION app.audit_statement() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    actor uuid;
BEGIN
    -- A backfill writes one entry for its run and suspends those of its rows, for its own transaction. Heard only from
    -- a role that could switch the trigger off anyhow. current_user is this function's owner; the caller's is below.
    IF current_setting('app.audit_suspended', true) = 'on' AND pg_has_role(
        coalesce(nullif(current_setting('role', true), 'none'), session_user)::name,
        (SELECT c.relowner FROM pg_class AS c WHERE c.oid = TG_RELID), 'USAGE'
    ) THEN
        RETURN NULL;
    END IF;
    actor := app.audit_actor();
    IF TG_OP = 'INSERT' THEN
        INSERT INTO public.audit_logs (user_id, action, table_name, record_id, new_values)
        SELECT actor, TG_OP, TG_TABLE_NAME, n.id, app.audit_redacted(jsonb_strip_nulls(to_jsonb(n)))
        FROM new_rows AS n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO public.audit_logs (user_id, action, table_name, record_id, old_values)
        SELECT actor, TG_OP, TG_TABLE_NAME, o.id, app.audit_redacted(jsonb_strip_nulls(to_jsonb(o)))
        FROM old_rows AS o;
    ELSIF TG_OP = 'TRUNCATE' THEN
        INSERT INTO public.audit_logs (user_id, action, table_name) VALUES (actor, TG_OP, TG_TABLE_NAME);
    ELSE
        -- Changed columns only; updated_at follows every change and says nothing by itself.
        INSERT INTO public.audit_logs (user_id, action, table_name, record_id, old_values, new_values)
        SELECT actor, TG_OP, TG_TABLE_NAME, coalesce(o.id, n.id),
               app.audit_redacted(difference.before), app.audit_redacted(difference.after)
        FROM old_rows AS o FULL JOIN new_rows AS n ON n.id = o.id
        CROSS JOIN LATERAL (
            SELECT jsonb_object_agg(key, b.value) AS before, jsonb_object_agg(key, a.value) AS after
            FROM jsonb_each(to_jsonb(o)) AS b FULL JOIN jsonb_each(to_jsonb(n)) AS a USING (key)
            WHERE a.value IS DISTINCT FROM b.value AND key <> 'updated_at'
        ) AS difference
        WHERE difference.after IS NOT NULL OR difference.before IS NOT NULL;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    -- SQLSTATE alone: the message could repeat what the row holds.
    RAISE WARNING 'audit trail of %.% not written (SQLSTATE %)', TG_TABLE_SCHEMA, TG_TABLE_NAME, SQLSTATE;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION app.audit_statement() IS
    'Trigger: writes what a statement changed to audit_logs, secrets blacked out; never fails the statement';

CREATE OR REPLACE FUNCTION app.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION 'table % is append-only', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', HINT = 'Entries are added, never changed or removed.';
END
$$;
COMMENT ON FUNCTION app.refuse_change() IS 'Trigger: keeps a table append-only, for its owner too';

REVOKE EXECUTE ON FUNCTION app.audit_actor(), app.audit_redacted(jsonb), app.audit_statement(), app.refuse_change()
    FROM PUBLIC;

BEGIN; -- audit_logs
CREATE OR REPLACE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();
COMMIT;

BEGIN; -- users
CREATE OR REPLACE TRIGGER users_audit_insert AFTER INSERT ON users
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement();
CREATE OR REPLACE TRIGGER users_audit_update AFTER UPDATE ON users
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement();
CREATE OR REPLACE TRIGGER users_audit_delete AFTER DELETE ON users
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement();
CREATE OR REPLACE TRIGGER users_audit_truncate AFTER TRUNCATE ON users
    FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement();
COMMIT;
