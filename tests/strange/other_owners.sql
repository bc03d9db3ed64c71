-- What another tool keeps in the same schema under a login of its own. Run by an administrator.
DO $$BEGIN IF to_regrole('clinic_tool') IS NULL THEN CREATE ROLE clinic_tool; END IF; END$$;
CREATE TABLE clinic_secrets (id int PRIMARY KEY, code text);
INSERT INTO clinic_secrets VALUES (1, 'x');
ALTER TABLE clinic_secrets ADD COLUMN patient uuid CONSTRAINT clinic_whose REFERENCES patients ON DELETE CASCADE;
ALTER TABLE patients ADD COLUMN clinic_secret int CONSTRAINT clinic_kept REFERENCES clinic_secrets;
ALTER TABLE clinic_secrets OWNER TO clinic_tool;
CREATE TABLE clinic_notes (id int);
INSERT INTO clinic_notes VALUES (1);
ALTER TABLE clinic_notes ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON clinic_notes TO PUBLIC;
ALTER TABLE clinic_notes OWNER TO clinic_tool;
