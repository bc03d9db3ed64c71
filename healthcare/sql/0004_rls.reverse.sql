SELECT app.lock_away('patients doctors appointments sessions insurance_claims');
DROP FUNCTION IF EXISTS app.my_patient_ids();
DROP FUNCTION IF EXISTS app.my_doctor_id();
DROP FUNCTION IF EXISTS app.my_patient_id();
