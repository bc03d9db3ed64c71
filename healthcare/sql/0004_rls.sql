-- Who may see and do what in healthcare. S select, I insert, U update, D delete; columns in brackets where not all.
-- A transaction for each table, so that no two are locked at a time. A line each: roles, commands, the rows (and what a
-- written row must be, where that is not the same).

CREATE OR REPLACE FUNCTION app.my_patient_id() RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$ SELECT id FROM public.patients WHERE user_id = auth.uid() $$;
COMMENT ON FUNCTION app.my_patient_id() IS 'The caller as a patient';

CREATE OR REPLACE FUNCTION app.my_doctor_id() RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$ SELECT id FROM public.doctors WHERE user_id = auth.uid() $$;
COMMENT ON FUNCTION app.my_doctor_id() IS 'The caller as a doctor';

CREATE OR REPLACE FUNCTION app.my_patient_ids() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT a.patient_id FROM public.doctors AS d JOIN public.appointments AS a ON a.doctor_id = d.id WHERE d.user_id = auth.uid()
    UNION
    SELECT s.patient_id FROM public.doctors AS d JOIN public.sessions AS s ON s.doctor_id = d.id WHERE d.user_id = auth.uid()
$$;
COMMENT ON FUNCTION app.my_patient_ids() IS 'Patients with an appointment or session with the caller, a doctor';

REVOKE EXECUTE ON FUNCTION app.my_patient_id(), app.my_doctor_id(), app.my_patient_ids() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.my_patient_id() TO moeen_patient;
GRANT EXECUTE ON FUNCTION app.my_doctor_id(), app.my_patient_ids() TO moeen_doctor;

BEGIN; -- patients
SELECT app.lock_away('patients');
SELECT app.allow('patients', 'patient', 'S U (email, phone, address, emergency_contact_name, emergency_contact_phone)',
                 'user_id = (SELECT auth.uid())');
-- Whose sign-in a patient has is not for the doctor to say: it decides who else sees the row.
SELECT app.allow('patients', 'doctor', 'S U (all but id, public_id, user_id, created_at, updated_at)',
                 'id = ANY (ARRAY(SELECT app.my_patient_ids()))');
SELECT app.allow('patients', 'staff supervisor', 'SIU', 'true');
SELECT app.allow('patients', 'admin', 'SIUD', 'true');
SELECT app.allow('patients', 'service', 'S', 'true');
COMMIT;

BEGIN; -- doctors
SELECT app.lock_away('doctors');
SELECT app.allow('doctors', 'patient doctor', 'S', 'is_active');
SELECT app.allow('doctors', 'doctor', 'U (phone, email)', 'user_id = (SELECT auth.uid())');
SELECT app.allow('doctors', 'staff supervisor', 'SIU', 'true');
SELECT app.allow('doctors', 'admin', 'SIUD', 'true');
COMMIT;

BEGIN; -- appointments
SELECT app.lock_away('appointments');
-- A doctor may not put another patient into an appointment or session: that would make it their patient.
SELECT app.allow('appointments', 'patient', 'S', 'patient_id = (SELECT app.my_patient_id())');
SELECT app.allow('appointments', 'doctor', 'S U (appointment_date, appointment_time, duration, status, notes)',
                 'doctor_id = (SELECT app.my_doctor_id())');
SELECT app.allow('appointments', 'staff supervisor', 'SIU', 'true');
SELECT app.allow('appointments', 'admin', 'SIUD', 'true');
COMMIT;

BEGIN; -- sessions
SELECT app.lock_away('sessions');
SELECT app.allow('sessions', 'patient', 'S', 'patient_id = (SELECT app.my_patient_id())');
SELECT app.allow('sessions', 'doctor', 'S U (session_date, session_time, duration, status, diagnosis, treatment_plan, notes)',
                 'doctor_id = (SELECT app.my_doctor_id())');
SELECT app.allow('sessions', 'doctor', 'I', '',
                 'doctor_id = (SELECT app.my_doctor_id()) AND patient_id = ANY (ARRAY(SELECT app.my_patient_ids())) '
                 'AND (appointment_id IS NULL OR EXISTS (SELECT FROM public.appointments AS a '
                 'WHERE a.id = appointment_id AND a.patient_id = sessions.patient_id))');
SELECT app.allow('sessions', 'admin', 'S', 'true');
COMMIT;

BEGIN; -- insurance_claims
SELECT app.lock_away('insurance_claims');
SELECT app.allow('insurance_claims', 'patient', 'S', 'patient_id = (SELECT app.my_patient_id())');
SELECT app.allow('insurance_claims', 'staff supervisor', 'SIU', 'true');
SELECT app.allow('insurance_claims', 'admin', 'SIUD', 'true');
COMMIT;
