-- Who may see and do what in healthcare. S select, I insert, U update, D delete; columns in brackets where not all.
-- A transaction for each table, so that no two are locked at a time. A line each: roles, commands, the rows (and what a
-- written row must be, where that is not the same). Nothing is let through but for signed identities (signed_only), and
-- no role writes id, public_id and created_at (guard).

-- In plpgsql: every statement of a patient or doctor asks one of the two, and before version 18 PostgreSQL plans what a
-- function in SQL says anew each time.
CREATE OR REPLACE FUNCTION app.my_patient_id() RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    me constant uuid := app.user_id();
BEGIN
    RETURN (SELECT p.id FROM public.patients AS p WHERE p.user_id = me);
END
$$;
COMMENT ON FUNCTION app.my_patient_id() IS 'The caller as a patient';

CREATE OR REPLACE FUNCTION app.my_doctor_id() RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    me constant uuid := app.user_id();
BEGIN
    RETURN (SELECT d.id FROM public.doctors AS d WHERE d.user_id = me);
END
$$;
COMMENT ON FUNCTION app.my_doctor_id() IS 'The caller as a doctor';

CREATE OR REPLACE FUNCTION app.my_patient_ids() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT a.patient_id FROM public.doctors AS d JOIN public.appointments AS a ON a.doctor_id = d.id WHERE d.user_id = (SELECT app.user_id())
    UNION
    SELECT s.patient_id FROM public.doctors AS d JOIN public.sessions AS s ON s.doctor_id = d.id WHERE d.user_id = (SELECT app.user_id())
$$;
COMMENT ON FUNCTION app.my_patient_ids() IS 'Patients with an appointment or session with the caller, a doctor';

-- Whose sign-in a patient or doctor has decides who sees what: it is linked by app.link_sign_in() alone.
CREATE OR REPLACE FUNCTION app.stamp_person() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (TG_OP = 'INSERT' AND NEW.user_id IS NOT NULL) OR (TG_OP = 'UPDATE' AND NEW.user_id IS DISTINCT FROM OLD.user_id) THEN
        RAISE EXCEPTION 'the sign-in of % is linked by app.link_sign_in()', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION app.stamp_person() IS 'Trigger: the sign-in of a patient or doctor is not written directly';

-- Gives a patient or doctor a sign-in, or takes it away (NULL). A supervisor or administrator does, never for themselves;
-- the audit log keeps it.
CREATE OR REPLACE FUNCTION app.link_sign_in(kind text, record uuid, sign_in uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before uuid;
BEGIN
    PERFORM app.require_bound('app.link_sign_in(text, uuid, uuid)');
    IF sign_in = app.user_id() THEN
        RAISE EXCEPTION 'nobody links their own sign-in' USING ERRCODE = 'insufficient_privilege',
            HINT = 'Let another supervisor or administrator do it.';
    END IF;
    CASE kind
        WHEN 'patients' THEN
            SELECT p.user_id INTO before FROM public.patients AS p WHERE p.id = record FOR UPDATE;
        WHEN 'doctors' THEN
            SELECT d.user_id INTO before FROM public.doctors AS d WHERE d.id = record FOR UPDATE;
        ELSE
            RAISE EXCEPTION 'a sign-in belongs to patients or doctors' USING ERRCODE = 'invalid_parameter_value';
    END CASE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such row of %', kind USING ERRCODE = 'no_data_found';
    END IF;
    IF kind = 'patients' THEN
        UPDATE public.patients AS p SET user_id = sign_in WHERE p.id = record;
    ELSE
        UPDATE public.doctors AS d SET user_id = sign_in WHERE d.id = record;
    END IF;
    INSERT INTO public.audit_logs (user_id, action, table_name, record_id, old_values, new_values)
    VALUES (app.user_id(), 'LINK_SIGN_IN', kind, record, jsonb_build_object('user_id', before),
            jsonb_build_object('user_id', sign_in));
END
$$;
COMMENT ON FUNCTION app.link_sign_in(text, uuid, uuid) IS
    'Gives a patient or doctor (kind: patients, doctors) a sign-in, users.id, or takes it away (NULL); recorded';

REVOKE EXECUTE ON FUNCTION app.stamp_person(), app.link_sign_in(text, uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.link_sign_in(text, uuid, uuid) TO moeen_supervisor, moeen_admin;
REVOKE EXECUTE ON FUNCTION app.my_patient_id(), app.my_doctor_id(), app.my_patient_ids() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.my_patient_id() TO moeen_patient;
GRANT EXECUTE ON FUNCTION app.my_doctor_id(), app.my_patient_ids() TO moeen_doctor;

BEGIN; -- patients
SELECT app.lock_away('patients');
SELECT app.signed_only('patients');
-- Not their e-mail address: a unique violation would tell of other patients.
SELECT app.allow('patients', 'patient', 'S U (phone, address, emergency_contact_name, emergency_contact_phone)',
                 'user_id = (SELECT app.user_id())');
SELECT app.allow('patients', 'doctor', 'S U (all but id, public_id, user_id, email, created_at, updated_at)',
                 'id = ANY (ARRAY(SELECT app.my_patient_ids()))');
SELECT app.allow('patients', 'staff supervisor', 'SIU', 'true');
SELECT app.allow('patients', 'admin', 'SIUD', 'true');
SELECT app.allow('patients', 'service', 'S (all but medical_history, allergies)', 'true');
SELECT app.guard('patients', 'pat_', stamp => 'stamp_person');
COMMIT;

BEGIN; -- doctors
SELECT app.lock_away('doctors');
SELECT app.signed_only('doctors');
SELECT app.allow('doctors', 'patient doctor', 'S', 'is_active');
SELECT app.allow('doctors', 'doctor', 'U (phone)', 'user_id = (SELECT app.user_id())');
SELECT app.allow('doctors', 'staff supervisor', 'SIU', 'true');
SELECT app.allow('doctors', 'admin', 'SIUD', 'true');
SELECT app.guard('doctors', 'doc_', stamp => 'stamp_person');
COMMIT;

BEGIN; -- appointments
SELECT app.lock_away('appointments');
SELECT app.signed_only('appointments');
-- A doctor may not put another patient into an appointment or session: that would make it their patient.
SELECT app.allow('appointments', 'patient', 'S', 'patient_id = (SELECT app.my_patient_id())');
SELECT app.allow('appointments', 'doctor', 'S U (appointment_date, appointment_time, duration, status, notes)',
                 'doctor_id = (SELECT app.my_doctor_id())');
SELECT app.allow('appointments', 'staff supervisor', 'SIU', 'true');
SELECT app.allow('appointments', 'admin', 'SIUD', 'true');
SELECT app.guard('appointments', 'apt_');
COMMIT;

BEGIN; -- sessions
SELECT app.lock_away('sessions');
SELECT app.signed_only('sessions');
SELECT app.allow('sessions', 'patient', 'S', 'patient_id = (SELECT app.my_patient_id())');
SELECT app.allow('sessions', 'doctor', 'S U (session_date, session_time, duration, status, diagnosis, treatment_plan, notes)',
                 'doctor_id = (SELECT app.my_doctor_id())');
SELECT app.allow('sessions', 'doctor', 'I', '',
                 'doctor_id = (SELECT app.my_doctor_id()) AND patient_id = ANY (ARRAY(SELECT app.my_patient_ids())) '
                 'AND (appointment_id IS NULL OR EXISTS (SELECT FROM public.appointments AS a '
                 'WHERE a.id = appointment_id AND a.patient_id = sessions.patient_id))');
SELECT app.allow('sessions', 'admin', 'S', 'true');
SELECT app.guard('sessions', 'ses_');
COMMIT;

BEGIN; -- insurance_claims
SELECT app.lock_away('insurance_claims');
SELECT app.signed_only('insurance_claims');
SELECT app.allow('insurance_claims', 'patient', 'S', 'patient_id = (SELECT app.my_patient_id())');
SELECT app.allow('insurance_claims', 'staff supervisor', 'SIU', 'true');
SELECT app.allow('insurance_claims', 'admin', 'SIUD', 'true');
SELECT app.guard('insurance_claims', 'clm_');
COMMIT;
