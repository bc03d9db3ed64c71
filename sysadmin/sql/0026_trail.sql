-- The audit trail, where it could still be avoided or said too much: a suspension is recorded however it is made, the
-- stamp of entries is not silenced by session_replication_role, a row that one statement changes twice is told right, and
-- a column whose name speaks of a secret is hidden though nobody declared it, such as a clinic's own.

-- A value as it is recorded. Long ones are told by length, digest and beginning, so that size can neither break the trail
-- nor swell it. Without a SET clause, and STABLE as what it calls, it is taken into the query that calls it.
-- lint: allow moeen.E106: part of app.audit_statement(), whose search_path holds for it
CREATE OR REPLACE FUNCTION app.audited(name text, value json, hidden text[]) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT CASE
        WHEN json_typeof(value) = 'null' THEN value::jsonb
        WHEN name = ANY (hidden) OR name ~* 'secret|token|passw|credential|api_?key' THEN '"[redacted]"'::jsonb
        WHEN octet_length(value::text) <= 8192 THEN value::jsonb
        ELSE jsonb_build_object(
            'length', length(value #>> '{}'), 'sha256', encode(sha256(convert_to(value #>> '{}', 'UTF8')), 'hex'),
            'beginning', left(value #>> '{}', 200))
        END
$$;

-- Trigger of app.audit(); its arguments: the column that names the patient; the hidden columns; a jsonpath of the rows in
-- which they are hidden, '' for all. JSON as text and not as jsonb, in which a text of 256 MB is an error. Statements are
-- planned once a session: a plan costs more than what it plans. A suspension of suspensions is none.
CREATE OR REPLACE FUNCTION app.audit_statement() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    suspension constant text := current_setting('app.audit_suspended', true);
    origin record;
    patient constant text := TG_ARGV[0];
    secrets constant text[] := string_to_array(TG_ARGV[1], ' ');
    rows_with_secrets constant jsonpath := nullif(TG_ARGV[2], '')::jsonpath;
    moment constant timestamptz := clock_timestamp();
    transaction constant bigint := pg_current_xact_id()::text::bigint;
BEGIN
    -- Heard only from a role that could switch the trigger off anyhow, and of work that has an entry of its own.
    -- current_user is this function's owner; the caller's is below. By itself, as a condition that reads a table is a query.
    IF suspension <> '' THEN
        IF pg_has_role(
            coalesce(nullif(current_setting('role', true), 'none'), session_user)::name,
            (SELECT c.relowner FROM pg_catalog.pg_class AS c WHERE c.oid = TG_RELID), 'USAGE'
        ) AND TG_TABLE_SCHEMA = 'public' AND EXISTS (
            SELECT FROM app.audit_suspensions AS s WHERE s.id::text = suspension AND s.table_name = TG_TABLE_NAME
        ) THEN
            RETURN NULL;
        END IF;
    END IF;
    origin := app.audit_origin();
    IF TG_OP = 'INSERT' THEN
        INSERT INTO public.audit_logs (user_id, acted_as, action, table_name, record_id, patient_id, new_values,
                                       ip_address, user_agent, request_id, transaction_id, created_at)
        SELECT origin.user_id, origin.acted_as, TG_OP, TG_TABLE_NAME, n.id, (r.after ->> patient)::uuid, recorded.after,
               origin.ip_address, origin.user_agent, origin.request_id, transaction, moment
        FROM new_rows AS n
        CROSS JOIN LATERAL (SELECT row_to_json(n) AS after OFFSET 0) AS r
        CROSS JOIN LATERAL (
            SELECT CASE WHEN rows_with_secrets IS NULL OR (r.after::jsonb @@ rows_with_secrets) IS NOT FALSE THEN secrets END AS hidden OFFSET 0
        ) AS h
        CROSS JOIN LATERAL (
            SELECT jsonb_object_agg(c.key, app.audited(c.key, c.value, h.hidden)) AS after
            FROM json_each(r.after) AS c WHERE json_typeof(c.value) <> 'null'
        ) AS recorded;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO public.audit_logs (user_id, acted_as, action, table_name, record_id, patient_id, old_values,
                                       ip_address, user_agent, request_id, transaction_id, created_at)
        SELECT origin.user_id, origin.acted_as, TG_OP, TG_TABLE_NAME, o.id, (r.before ->> patient)::uuid, recorded.before,
               origin.ip_address, origin.user_agent, origin.request_id, transaction, moment
        FROM old_rows AS o
        CROSS JOIN LATERAL (SELECT row_to_json(o) AS before OFFSET 0) AS r
        CROSS JOIN LATERAL (
            SELECT CASE WHEN rows_with_secrets IS NULL OR (r.before::jsonb @@ rows_with_secrets) IS NOT FALSE THEN secrets END AS hidden OFFSET 0
        ) AS h
        CROSS JOIN LATERAL (
            SELECT jsonb_object_agg(c.key, app.audited(c.key, c.value, h.hidden)) AS before
            FROM json_each(r.before) AS c WHERE json_typeof(c.value) <> 'null'
        ) AS recorded;
    ELSIF TG_OP = 'TRUNCATE' THEN
        INSERT INTO public.audit_logs (user_id, acted_as, action, table_name,
                                       ip_address, user_agent, request_id, transaction_id, created_at)
        VALUES (origin.user_id, origin.acted_as, TG_OP, TG_TABLE_NAME,
                origin.ip_address, origin.user_agent, origin.request_id, transaction, moment);
    ELSE
        -- Changed columns only; updated_at follows every change and says nothing by itself. The columns of both rows
        -- come in the same order. So do the rows: by their places, since one that two foreign keys change within a
        -- statement comes twice. Where the id was changed, or the patient, there is an entry with each.
        INSERT INTO public.audit_logs (user_id, acted_as, action, table_name, record_id, patient_id, old_values, new_values,
                                       ip_address, user_agent, request_id, transaction_id, created_at)
        SELECT origin.user_id, origin.acted_as, TG_OP, TG_TABLE_NAME, concerned.id, concerned.patient_id,
               difference.before, difference.after,
               origin.ip_address, origin.user_agent, origin.request_id, transaction, moment
        FROM (SELECT row_number() OVER () AS place, o.id, row_to_json(o) AS before FROM old_rows AS o) AS o
        JOIN (SELECT row_number() OVER () AS place, n.id, row_to_json(n) AS after FROM new_rows AS n) AS n ON n.place = o.place
        CROSS JOIN LATERAL (
            SELECT CASE WHEN rows_with_secrets IS NULL
                             OR (o.before::jsonb @@ rows_with_secrets OR n.after::jsonb @@ rows_with_secrets) IS NOT FALSE
                        THEN secrets END AS hidden OFFSET 0
        ) AS h
        CROSS JOIN LATERAL (
            SELECT jsonb_object_agg(c.name, app.audited(c.name, c.before, h.hidden)) AS before,
                   jsonb_object_agg(c.name, app.audited(c.name, c.after, h.hidden)) AS after
            FROM ROWS FROM (json_each(o.before), json_each(n.after)) AS c (name, before, same_name, after)
            WHERE c.before::text IS DISTINCT FROM c.after::text AND c.name <> 'updated_at'
        ) AS difference
        CROSS JOIN LATERAL (
            SELECT o.id, coalesce(o.before ->> patient, n.after ->> patient)::uuid AS patient_id
            UNION ALL
            SELECT n.id, (n.after ->> patient)::uuid WHERE n.id <> o.id OR n.after ->> patient <> o.before ->> patient
        ) AS concerned
        WHERE difference.after IS NOT NULL;
    END IF;
    RETURN NULL;
END
$$;

-- A second factor that is given to another person is set up there. Recorded here, whoever does it and by whatever way. An operator's reason stands in the setting moeen.reason.
CREATE OR REPLACE FUNCTION app.record_second_factor() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- OLD is null where a row is new, NEW where it is gone. One that was begun, and no more, says nothing.
    event constant text := CASE
        WHEN OLD.confirmed_at IS NOT NULL AND NEW.confirmed_at IS NULL THEN 'SECOND_FACTOR_REMOVED'
        WHEN NEW.confirmed_at IS NULL THEN NULL
        WHEN OLD.secret IS DISTINCT FROM NEW.secret OR OLD.confirmed_at IS DISTINCT FROM NEW.confirmed_at
            OR OLD.user_id IS DISTINCT FROM NEW.user_id
            THEN 'SECOND_FACTOR_SET_UP'
        WHEN OLD.recovery_codes = NEW.recovery_codes THEN NULL
        WHEN OLD.recovery_codes @> NEW.recovery_codes THEN 'RECOVERY_CODE_USED'
        ELSE 'RECOVERY_CODES_MADE' END;
    reason constant text := nullif(current_setting('moeen.reason', true), '');
BEGIN
    IF event IS NOT NULL THEN
        INSERT INTO public.audit_logs (action, table_name, record_id, new_values)
        VALUES (event, 'users', coalesce(NEW.user_id, OLD.user_id), CASE
            WHEN event = 'RECOVERY_CODE_USED' THEN jsonb_build_object('left', jsonb_array_length(NEW.recovery_codes))
            WHEN event = 'SECOND_FACTOR_REMOVED' AND reason IS NOT NULL THEN jsonb_build_object('reason', reason) END);
    END IF;
    RETURN NULL;
END
$$;

REVOKE EXECUTE ON FUNCTION app.audited(text, json, text[]), app.audit_statement(), app.record_second_factor() FROM PUBLIC;

BEGIN; -- audit_logs
ALTER TABLE public.audit_logs ENABLE ALWAYS TRIGGER audit_logs_stamp;
COMMIT;

-- A line there takes a table out of the trail, whether app.suspend_audit() writes it or somebody by hand.
BEGIN;
CREATE OR REPLACE TRIGGER audit_suspensions_audit_insert AFTER INSERT ON app.audit_suspensions
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement('', '', '');
CREATE OR REPLACE TRIGGER audit_suspensions_audit_update AFTER UPDATE ON app.audit_suspensions
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement('', '', '');
CREATE OR REPLACE TRIGGER audit_suspensions_audit_delete AFTER DELETE ON app.audit_suspensions
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement('', '', '');
CREATE OR REPLACE TRIGGER audit_suspensions_audit_truncate AFTER TRUNCATE ON app.audit_suspensions
    FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement('', '', '');
ALTER TABLE app.audit_suspensions ENABLE ALWAYS TRIGGER audit_suspensions_audit_insert;
ALTER TABLE app.audit_suspensions ENABLE ALWAYS TRIGGER audit_suspensions_audit_update;
ALTER TABLE app.audit_suspensions ENABLE ALWAYS TRIGGER audit_suspensions_audit_delete;
ALTER TABLE app.audit_suspensions ENABLE ALWAYS TRIGGER audit_suspensions_audit_truncate;
COMMIT;

-- Row triggers, which tell what becomes of one, do not see it.
BEGIN; -- second_factors
SELECT app.audit('second_factors', events => 'truncate');
COMMIT;

-- What the guards of the trail were when a seal was made: as the rest of it but the leaves.
BEGIN; -- audit_seals
SELECT app.allow('audit_seals', 'admin', 'S (all but leaves)', 'true');
COMMIT;
