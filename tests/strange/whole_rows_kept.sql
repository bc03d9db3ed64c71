-- Triggers that copy whole rows, of one row or of a statement's. Named columns, and a comparison, are nobody's trouble.
CREATE TABLE clinic_patients_were (LIKE patients);
CREATE FUNCTION clinic_keep_patient() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO clinic_patients_were VALUES (OLD.*); RETURN OLD; END$$;
CREATE TRIGGER clinic_keep_patient BEFORE DELETE ON patients FOR EACH ROW EXECUTE FUNCTION clinic_keep_patient();
CREATE TABLE clinic_appointments_were (LIKE appointments);
CREATE FUNCTION clinic_keep_appointment() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    EXECUTE format('INSERT INTO %I SELECT ($1).*', 'clinic_' || TG_TABLE_NAME || '_were') USING OLD; RETURN NULL;
END$$;
CREATE TRIGGER clinic_keep_appointment AFTER DELETE ON appointments FOR EACH ROW EXECUTE FUNCTION clinic_keep_appointment();
CREATE TABLE clinic_sessions_were (LIKE sessions);
CREATE FUNCTION clinic_keep_sessions() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO clinic_sessions_were SELECT * FROM gone; RETURN NULL; END$$;
CREATE TRIGGER clinic_keep_sessions AFTER DELETE ON sessions REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION clinic_keep_sessions();
CREATE FUNCTION clinic_compare() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN -- INSERT INTO nothing VALUES (OLD.*)
    INSERT INTO clinic_sessions_were (id) VALUES (OLD.id); IF OLD.* IS DISTINCT FROM NULL THEN RETURN OLD; END IF; RETURN NULL; END$$;
CREATE TRIGGER clinic_compare BEFORE DELETE ON insurance_claims FOR EACH ROW EXECUTE FUNCTION clinic_compare();
