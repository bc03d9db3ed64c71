BEGIN; -- patients
SELECT app.lock_away('patients');
COMMIT;
BEGIN; -- doctors
SELECT app.lock_away('doctors');
COMMIT;
BEGIN; -- appointments
SELECT app.lock_away('appointments');
COMMIT;
BEGIN; -- sessions
SELECT app.lock_away('sessions');
COMMIT;
BEGIN; -- insurance_claims
SELECT app.lock_away('insurance_claims');
COMMIT;
DROP FUNCTION IF EXISTS app.my_patient_ids();
DROP FUNCTION IF EXISTS app.my_doctor_id();
DROP FUNCTION IF EXISTS app.my_patient_id();
