-- A trigger on the change of one column, and one with a condition on it; the column's type changes. One is disabled.
ALTER TABLE sessions ALTER COLUMN status TYPE text;
CREATE FUNCTION clinic_look() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
CREATE TRIGGER clinic_session_status AFTER UPDATE OF status ON sessions FOR EACH ROW EXECUTE FUNCTION clinic_look();
CREATE TRIGGER clinic_session_done AFTER INSERT ON sessions FOR EACH ROW WHEN (NEW.status = 'completed')
    EXECUTE FUNCTION clinic_look();
ALTER TABLE sessions DISABLE TRIGGER clinic_session_done;
