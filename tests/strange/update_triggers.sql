-- Triggers with consequences: an outbox fills at every change, a paid claim may not change, a cancelled one is kept.
CREATE TABLE clinic_outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text);
CREATE FUNCTION clinic_tell() RETURNS trigger LANGUAGE plpgsql
    AS $$BEGIN INSERT INTO clinic_outbox (what) VALUES (TG_TABLE_NAME); RETURN NULL; END$$;
CREATE TRIGGER clinic_tell AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION clinic_tell();
CREATE FUNCTION clinic_closed() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    IF OLD.status = 'paid' THEN RAISE EXCEPTION 'a paid claim may not change'; END IF;
    IF OLD.status = 'rejected' THEN RETURN NULL; END IF;
    RETURN NEW;
END$$;
CREATE TRIGGER clinic_closed BEFORE UPDATE ON insurance_claims FOR EACH ROW EXECUTE FUNCTION clinic_closed();
UPDATE insurance_claims SET updated_at = NULL WHERE status = 'pending';
