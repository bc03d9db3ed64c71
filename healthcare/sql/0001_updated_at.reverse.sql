BEGIN; -- patients
DROP TRIGGER IF EXISTS patients_updated_at_set ON patients;
COMMIT;

BEGIN; -- doctors
DROP TRIGGER IF EXISTS doctors_updated_at_set ON doctors;
COMMIT;

BEGIN; -- appointments
DROP TRIGGER IF EXISTS appointments_updated_at_set ON appointments;
COMMIT;

BEGIN; -- sessions
DROP TRIGGER IF EXISTS sessions_updated_at_set ON sessions;
COMMIT;

BEGIN; -- insurance_claims
DROP TRIGGER IF EXISTS insurance_claims_updated_at_set ON insurance_claims;
COMMIT;
