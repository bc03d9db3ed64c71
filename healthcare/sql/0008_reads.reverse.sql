-- Before it, 0005_rls.sql says again who may see and do what.
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS public.patient_record(uuid, text);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS app.accesses_of_my_record(integer);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS app.break_glass(text, text, integer);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS app.record_reads(jsonb);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS app.opened_patient_ids();
