-- No table is to be made without a ticket. Run by an administrator.
CREATE FUNCTION clinic_ticket() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no ticket'; END$$;
CREATE EVENT TRIGGER clinic_ticket ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION clinic_ticket();
