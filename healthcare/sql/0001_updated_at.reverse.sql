DROP TRIGGER IF EXISTS patients_updated_at_set ON patients;
DROP TRIGGER IF EXISTS doctors_updated_at_set ON doctors;
DROP TRIGGER IF EXISTS appointments_updated_at_set ON appointments;
DROP TRIGGER IF EXISTS sessions_updated_at_set ON sessions;
DROP TRIGGER IF EXISTS insurance_claims_updated_at_set ON insurance_claims;
