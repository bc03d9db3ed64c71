-- Functions that find what they call only by the clinic's own search path: in a check, an index and a generated column.
CREATE SCHEMA clinic;
CREATE FUNCTION clinic.clinic_tidy(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN btrim($1);
CREATE FUNCTION public.clinic_shown(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN clinic_tidy($1); END$$;
SET search_path = clinic, public;
ALTER TABLE users ADD CONSTRAINT clinic_given CHECK (clinic_shown(email) <> '');
CREATE INDEX clinic_by_name ON users (clinic_shown(name));
ALTER TABLE users ADD COLUMN clinic_label text GENERATED ALWAYS AS (clinic_shown(email)) STORED;
RESET search_path;
