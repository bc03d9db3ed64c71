-- Names of ours on tables of ours, borne by other things: they would be replaced without a word.
ALTER TABLE users ADD CONSTRAINT users_role_check CHECK (role <> 'clinic_guest');
CREATE INDEX appointments_patient_id_idx ON appointments (duration);
CREATE FUNCTION clinic_look() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE TRIGGER patients_audit_insert BEFORE INSERT ON patients FOR EACH ROW EXECUTE FUNCTION clinic_look();
CREATE POLICY patients_select_doctor ON patients AS RESTRICTIVE USING (created_at IS NOT NULL);
ALTER TABLE patients ADD COLUMN user_id uuid CONSTRAINT patients_user_id_fkey REFERENCES doctors;
