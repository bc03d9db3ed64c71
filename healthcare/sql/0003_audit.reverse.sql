BEGIN; -- patients
DROP TRIGGER IF EXISTS patients_audit_insert ON patients;
DROP TRIGGER IF EXISTS patients_audit_update ON patients;
DROP TRIGGER IF EXISTS patients_audit_delete ON patients;
DROP TRIGGER IF EXISTS patients_audit_truncate ON patients;
COMMIT;

BEGIN; -- appointments
DROP TRIGGER IF EXISTS appointments_audit_insert ON appointments;
DROP TRIGGER IF EXISTS appointments_audit_update ON appointments;
DROP TRIGGER IF EXISTS appointments_audit_delete ON appointments;
DROP TRIGGER IF EXISTS appointments_audit_truncate ON appointments;
COMMIT;
