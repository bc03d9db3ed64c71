-- A trigger that fills in what a form leaves out.
CREATE FUNCTION clinic_fill() RETURNS trigger LANGUAGE plpgsql
    AS $$BEGIN NEW.notes := coalesce(NEW.notes, '-'); RETURN NEW; END$$;
CREATE TRIGGER clinic_fill BEFORE INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION clinic_fill();
