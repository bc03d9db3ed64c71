-- The changes of these tables are recorded (sysadmin/sql/0016_audit.sql), each with the patient whom it concerns.

BEGIN; -- patients
SELECT app.audit('patients', patient => 'id');
COMMIT;

BEGIN; -- doctors
SELECT app.audit('doctors');
COMMIT;

BEGIN; -- appointments
SELECT app.audit('appointments', patient => 'patient_id');
COMMIT;

BEGIN; -- sessions
SELECT app.audit('sessions', patient => 'patient_id');
COMMIT;

BEGIN; -- insurance_claims
SELECT app.audit('insurance_claims', patient => 'patient_id');
COMMIT;
