-- What changes or refuses entries of the audit log, under which nothing that is recorded could be done any more.
CREATE TABLE IF NOT EXISTS audit_logs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), public_id varchar(255) UNIQUE NOT NULL, user_id uuid REFERENCES users,
    action varchar(100) NOT NULL, table_name varchar(100) NOT NULL, record_id uuid, old_values jsonb, new_values jsonb,
    ip_address inet, user_agent text, created_at timestamp DEFAULT now()
);
ALTER TABLE audit_logs ADD CONSTRAINT clinic_actions CHECK (action <> 'SIGNED_IN');
ALTER TABLE audit_logs ADD CONSTRAINT clinic_person FOREIGN KEY (user_id) REFERENCES users ON DELETE SET NULL;
CREATE UNIQUE INDEX clinic_entry_once ON audit_logs (record_id, lower(action), created_at, public_id);
CREATE FUNCTION clinic_say() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE TRIGGER clinic_say_first BEFORE INSERT OR UPDATE ON audit_logs FOR EACH ROW EXECUTE FUNCTION clinic_say();
CREATE TRIGGER clinic_say_once BEFORE INSERT ON audit_logs FOR EACH STATEMENT EXECUTE FUNCTION clinic_say();
-- These stay.
CREATE TRIGGER clinic_say_after AFTER INSERT ON audit_logs FOR EACH ROW EXECUTE FUNCTION clinic_say();
ALTER TABLE audit_logs ADD COLUMN clinic_ticket int CONSTRAINT clinic_ticket_known CHECK (clinic_ticket > 0);
CREATE UNIQUE INDEX clinic_ticket_once ON audit_logs (clinic_ticket);
