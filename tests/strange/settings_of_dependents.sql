-- What hangs on views and generated columns: defaults, rules, triggers, checks, statistics, settings.
CREATE VIEW clinic_written WITH (security_invoker) AS SELECT id, created_at FROM sessions;
ALTER VIEW clinic_written ALTER COLUMN created_at SET DEFAULT '2024-01-01';
CREATE FUNCTION clinic_write() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE TRIGGER clinic_write INSTEAD OF INSERT ON clinic_written FOR EACH ROW EXECUTE FUNCTION clinic_write();
COMMENT ON TRIGGER clinic_write ON clinic_written IS 'by hand';
CREATE MATERIALIZED VIEW clinic_words AS SELECT id, notes, created_at FROM sessions;
CREATE INDEX clinic_words_notes ON clinic_words (lower(notes));
COMMENT ON INDEX clinic_words_notes IS 'for the search';
ALTER INDEX clinic_words_notes ALTER COLUMN 1 SET STATISTICS 400;
ALTER MATERIALIZED VIEW clinic_words CLUSTER ON clinic_words_notes;
ALTER MATERIALIZED VIEW clinic_words ALTER COLUMN notes SET STATISTICS 300;
ALTER MATERIALIZED VIEW clinic_words ALTER COLUMN notes SET STORAGE EXTERNAL;
CREATE STATISTICS clinic_words_seen ON id, notes FROM clinic_words;
ALTER TABLE doctors ADD COLUMN clinic_changed boolean GENERATED ALWAYS AS (updated_at > created_at) STORED,
    ADD CONSTRAINT clinic_never CHECK (clinic_changed IS DISTINCT FROM NULL OR created_at IS NULL);
COMMENT ON CONSTRAINT clinic_never ON doctors IS 'as agreed';
ALTER TABLE doctors ALTER COLUMN clinic_changed SET STATISTICS 200, ALTER COLUMN clinic_changed SET (n_distinct = 2);
CREATE STATISTICS clinic_doctors (dependencies) ON clinic_changed, id FROM doctors;
COMMENT ON STATISTICS clinic_doctors IS 'for the planner';
CREATE INDEX clinic_first ON sessions ((coalesce(created_at, updated_at)));
ALTER INDEX clinic_first ALTER COLUMN 1 SET STATISTICS 300;
CREATE STATISTICS clinic_times ON created_at, notes FROM sessions;
ALTER STATISTICS clinic_times SET STATISTICS 50;
-- Rights that their owner gave up, and a function that returns the rows of a view.
CREATE VIEW clinic_read AS SELECT id, created_at FROM patients;
REVOKE INSERT, UPDATE, DELETE ON clinic_read FROM CURRENT_USER;
CREATE FUNCTION clinic_latest() RETURNS SETOF clinic_read LANGUAGE sql STABLE
    AS 'SELECT * FROM clinic_read ORDER BY created_at DESC LIMIT 3';
CREATE FUNCTION clinic_oldest() RETURNS clinic_read[] LANGUAGE sql STABLE
    BEGIN ATOMIC SELECT array_agg(r ORDER BY created_at) FROM clinic_read AS r; END;
REVOKE EXECUTE ON FUNCTION clinic_oldest() FROM CURRENT_USER, PUBLIC;
