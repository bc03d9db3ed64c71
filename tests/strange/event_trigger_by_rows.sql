-- Nothing is to be changed while the clinic is open, which a table tells. Run by an administrator.
CREATE TABLE clinic_open_days (day date);
INSERT INTO clinic_open_days VALUES ('2024-01-01');
GRANT SELECT ON clinic_open_days TO PUBLIC;
CREATE FUNCTION clinic_frozen() RETURNS event_trigger LANGUAGE plpgsql
AS $$BEGIN IF EXISTS (SELECT FROM public.clinic_open_days) THEN RAISE 'the clinic is open'; END IF; END$$;
CREATE EVENT TRIGGER clinic_frozen ON ddl_command_end WHEN TAG IN ('CREATE POLICY', 'CREATE TRIGGER')
EXECUTE FUNCTION clinic_frozen();
