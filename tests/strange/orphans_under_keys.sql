-- Rows that refer to nobody under keys that call themselves valid, as replication and some imports leave them.
CREATE TABLE clinic_visits (id int PRIMARY KEY, visitor uuid CONSTRAINT clinic_visitor REFERENCES patients);
ALTER TABLE patients ADD COLUMN desk int CONSTRAINT clinic_desk REFERENCES clinic_visits;
DO $$BEGIN
    EXECUTE format('ALTER TABLE clinic_visits OWNER TO %I', (SELECT tableowner FROM pg_tables WHERE tablename = 'patients'));
END$$;
SET session_replication_role = replica;
INSERT INTO clinic_visits VALUES (1, gen_random_uuid());
UPDATE patients SET desk = 7 WHERE id = (SELECT id FROM patients ORDER BY id LIMIT 1);
UPDATE appointments SET patient_id = gen_random_uuid() WHERE id = (SELECT id FROM appointments ORDER BY id LIMIT 1);
UPDATE sessions SET doctor_id = gen_random_uuid() WHERE id = (SELECT id FROM sessions ORDER BY id LIMIT 1);
RESET session_replication_role;
