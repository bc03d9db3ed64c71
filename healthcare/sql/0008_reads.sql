-- Who looked: reads of clinical records in the audit log, and the way to a record outside of one's care, which is open for
-- an hour at most and told to supervisors.

-- Enters rows that were read, for the signed person: [{"table", "id", "purpose", "columns"}, ...]. Whose record it is, the
-- database says; so it does where a record is open by app.break_glass(). Committed durably whatever the session's settings.
CREATE OR REPLACE FUNCTION app.record_reads(reads jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    opened constant uuid[] := ARRAY(SELECT app.opened_patient_ids());
BEGIN
    PERFORM app.require_bound('app.record_reads(jsonb)');
    IF jsonb_array_length(reads) > 1000 OR octet_length(reads::text) > 1000000 OR EXISTS (
        SELECT FROM jsonb_to_recordset(reads) AS r ("table" text, purpose text)
        WHERE (r."table" IN ('patients', 'appointments', 'sessions', 'insurance_claims') AND r.purpose IN (
            'treatment', 'payment', 'operations', 'own record', 'emergency', 'legal')) IS NOT TRUE) THEN
        RAISE EXCEPTION 'these are no reads of clinical records' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'At most 1,000 of patients, appointments, sessions or insurance_claims, for a purpose of docs/audit.md.';
    END IF;
    PERFORM set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') IN ('off', 'local');
    INSERT INTO public.audit_logs (action, table_name, record_id, patient_id, new_values)
    SELECT 'READ', r."table", r.id, concerned.id, jsonb_build_object(
        'purpose', CASE WHEN concerned.id = ANY (opened) THEN 'emergency' ELSE r.purpose END, 'columns', r.columns)
    FROM jsonb_to_recordset(reads) AS r ("table" text, id uuid, purpose text, columns text[])
    CROSS JOIN LATERAL (SELECT CASE r."table"
        WHEN 'patients' THEN r.id
        WHEN 'appointments' THEN (SELECT a.patient_id FROM public.appointments AS a WHERE a.id = r.id)
        WHEN 'sessions' THEN (SELECT s.patient_id FROM public.sessions AS s WHERE s.id = r.id)
        ELSE (SELECT c.patient_id FROM public.insurance_claims AS c WHERE c.id = r.id) END AS id) AS concerned;
END
$$;
COMMENT ON FUNCTION app.record_reads(jsonb) IS 'Enters rows of clinical records that the signed person has read in the audit log';

-- The entries are the permission: nobody opens a record without one, and nobody changes or removes it.
CREATE OR REPLACE FUNCTION app.opened_patient_ids() RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    me constant uuid := app.user_id();
BEGIN
    RETURN QUERY SELECT a.patient_id FROM public.audit_logs AS a
                 WHERE a.user_id = me AND a.created_at > clock_timestamp() - interval '60 minutes'
                   AND a.action = 'BREAK_GLASS' AND (a.new_values ->> 'until')::timestamptz > clock_timestamp();
END
$$;
COMMENT ON FUNCTION app.opened_patient_ids() IS 'Patients whose record the caller has opened by app.break_glass(), until its time is over';

-- Opens the record of a patient (uuid or public id) whom the caller, a doctor, does not treat. To be read, not written.
CREATE OR REPLACE FUNCTION app.break_glass(patient text, reason text, minutes integer DEFAULT 60) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    until constant timestamptz := clock_timestamp() + make_interval(mins => minutes);
    key constant uuid := CASE WHEN patient ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN patient::uuid END;
    person record;
    told record;
BEGIN
    PERFORM app.require_bound('app.break_glass(text, text, integer)');
    IF app.user_id() IS NULL THEN
        RAISE EXCEPTION 'nobody is bound to this transaction' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF (minutes BETWEEN 1 AND 60 AND length(btrim(reason)) BETWEEN 10 AND 500) IS NOT TRUE THEN
        RAISE EXCEPTION 'a reason of 10 to 500 letters is needed, and 1 to 60 minutes' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT p.id, p.public_id INTO person FROM public.patients AS p WHERE p.public_id = patient OR p.id = key;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such patient' USING ERRCODE = 'no_data_found';
    END IF;
    INSERT INTO public.audit_logs (action, table_name, record_id, patient_id, new_values)
    VALUES ('BREAK_GLASS', 'patients', person.id, person.id, jsonb_build_object('reason', btrim(reason), 'until', until));
    -- Where there is no supervisor, the administrators.
    FOR told IN
        WITH people AS (
            SELECT u.id, held.role FROM public.users AS u CROSS JOIN LATERAL (
                SELECT u.role UNION
                SELECT r.name FROM public.user_roles AS h JOIN public.roles AS r ON r.id = h.role_id
                WHERE h.user_id = u.id AND r.is_system) AS held (role)
            WHERE u.is_active AND held.role IN ('supervisor', 'admin')
        ), told AS (
            SELECT DISTINCT p.id FROM people AS p
            WHERE p.role = 'supervisor' OR NOT EXISTS (SELECT FROM people AS s WHERE s.role = 'supervisor')
        )
        SELECT t.id, coalesce(f.language = 'en', false) AS in_english
        FROM told AS t LEFT JOIN public.user_preferences AS f ON f.user_id = t.id
    LOOP
        PERFORM app.notify(told.id,
            CASE WHEN told.in_english THEN 'A record was opened in an emergency' ELSE 'فُتح سجل مريض لحالة طارئة' END,
            format(CASE WHEN told.in_english THEN '%s opened the record of %s. Reason: %s' ELSE 'فتح %s سجل %s. السبب: %s' END,
                   (SELECT coalesce(nullif(u.name, ''), u.email) FROM public.users AS u WHERE u.id = app.user_id()),
                   coalesce(person.public_id, person.id::text), btrim(reason)),
            'warning', '/admin/healthcare/patient/' || person.id || '/change/');
    END LOOP;
    RETURN until;
END
$$;
COMMENT ON FUNCTION app.break_glass(text, text, integer) IS
    'Opens a patient''s record to a doctor who does not treat them, for a stated reason; recorded, and told to supervisors';

-- What a patient may know of it: who saw or changed their record, in which role, when and why; newest first.
CREATE OR REPLACE FUNCTION app.accesses_of_my_record(most integer DEFAULT 500)
RETURNS TABLE (at timestamptz, who text, acted_as text, action text, table_name text, purpose text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    me constant uuid := app.my_patient_id();
BEGIN
    RETURN QUERY SELECT a.created_at, u.name::text, a.acted_as::text, a.action::text, a.table_name::text,
                        CASE a.action WHEN 'READ' THEN a.new_values ->> 'purpose' WHEN 'BREAK_GLASS' THEN a.new_values ->> 'reason' END
                 FROM public.audit_logs AS a LEFT JOIN public.users AS u ON u.id = a.user_id
                 WHERE a.patient_id = me ORDER BY a.created_at DESC LIMIT least(most, 5000);
END
$$;
COMMENT ON FUNCTION app.accesses_of_my_record(integer) IS 'Who saw or changed the caller''s record, a patient''s, when and why; newest first';

-- The whole record as PostgREST gives it (POST /rpc/patient_record), entered in the log: what the caller's policies show,
-- NULL where that is nothing. A table that the role may not see at all is left out.
CREATE OR REPLACE FUNCTION public.patient_record(patient uuid, purpose text DEFAULT 'treatment') RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    record jsonb;
    appointments jsonb := '[]';
    sessions jsonb := '[]';
    insurance_claims jsonb := '[]';
BEGIN
    SELECT to_jsonb(p) INTO record FROM public.patients AS p WHERE p.id = patient;
    IF record IS NULL THEN
        RETURN NULL;
    END IF;
    IF has_table_privilege('public.appointments', 'SELECT') THEN
        SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.appointment_date, a.id), '[]') INTO appointments
        FROM public.appointments AS a WHERE a.patient_id = patient;
    END IF;
    IF has_table_privilege('public.sessions', 'SELECT') THEN
        SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY s.session_date, s.id), '[]') INTO sessions
        FROM public.sessions AS s WHERE s.patient_id = patient;
    END IF;
    IF has_table_privilege('public.insurance_claims', 'SELECT') THEN
        SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY c.created_at, c.id), '[]') INTO insurance_claims
        FROM public.insurance_claims AS c WHERE c.patient_id = patient;
    END IF;
    PERFORM app.record_reads((
        SELECT jsonb_agg(jsonb_build_object('table', r.source, 'id', r.row ->> 'id', 'purpose', purpose, 'columns', r.columns))
        FROM (SELECT 'patients' AS source, record AS row, '["medical_history", "allergies"]'::jsonb AS columns
              UNION ALL SELECT 'appointments', e, '["notes"]' FROM jsonb_array_elements(appointments) AS e
              UNION ALL SELECT 'sessions', e, '["diagnosis", "treatment_plan", "notes"]' FROM jsonb_array_elements(sessions) AS e
              UNION ALL SELECT 'insurance_claims', e, '["notes"]' FROM jsonb_array_elements(insurance_claims) AS e) AS r));
    RETURN jsonb_build_object('patient', record, 'appointments', appointments, 'sessions', sessions,
                              'insurance_claims', insurance_claims);
END
$$;
COMMENT ON FUNCTION public.patient_record(uuid, text) IS
    'A patient''s record, as much of it as the caller may see; that they did is entered in the audit log, with the purpose';

REVOKE EXECUTE ON FUNCTION app.record_reads(jsonb), app.opened_patient_ids(), app.break_glass(text, text, integer),
    app.accesses_of_my_record(integer), public.patient_record(uuid, text) FROM PUBLIC;
-- What a platform's default privileges give of each new function.
DO $do$
DECLARE
    platform name;
BEGIN
    FOR platform IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION app.record_reads(jsonb), app.opened_patient_ids(), '
                                  'app.break_glass(text, text, integer), app.accesses_of_my_record(integer), '
                                  'public.patient_record(uuid, text) FROM %I', platform);
    END LOOP;
END
$do$;
GRANT EXECUTE ON FUNCTION app.record_reads(jsonb), public.patient_record(uuid, text) TO
    moeen_patient, moeen_doctor, moeen_staff, moeen_supervisor, moeen_admin;
GRANT EXECUTE ON FUNCTION app.opened_patient_ids(), app.break_glass(text, text, integer) TO moeen_doctor;
GRANT EXECUTE ON FUNCTION app.accesses_of_my_record(integer) TO moeen_patient;

-- What is open by app.break_glass() is seen, and not to be written.
BEGIN; -- patients
SELECT app.allow('patients', 'doctor', 'S', 'id = ANY (ARRAY(SELECT app.my_patient_ids() UNION ALL SELECT app.opened_patient_ids()))');
COMMIT;

BEGIN; -- appointments
SELECT app.allow('appointments', 'doctor', 'S',
                 'doctor_id = (SELECT app.my_doctor_id()) OR patient_id = ANY (ARRAY(SELECT app.opened_patient_ids()))');
COMMIT;

BEGIN; -- sessions
SELECT app.allow('sessions', 'doctor', 'S',
                 'doctor_id = (SELECT app.my_doctor_id()) OR patient_id = ANY (ARRAY(SELECT app.opened_patient_ids()))');
COMMIT;
