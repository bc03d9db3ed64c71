-- Full-text search over columns of type text, with an index and a view on it.
ALTER TABLE doctors ALTER COLUMN first_name TYPE text, ALTER COLUMN last_name TYPE text;
ALTER TABLE doctors ADD COLUMN clinic_search tsvector
    GENERATED ALWAYS AS (to_tsvector('simple', first_name || ' ' || last_name)) STORED;
CREATE INDEX clinic_doctors_search ON doctors USING gin (clinic_search);
CREATE VIEW clinic_found AS SELECT id FROM doctors WHERE clinic_search @@ 'a'::tsquery;
