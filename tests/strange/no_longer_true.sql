-- Functions that were replaced since: what they make, or let pass, holds for the rows of today no longer.
CREATE FUNCTION clinic_same(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN $1; END$$;
CREATE FUNCTION clinic_fine(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN true; END$$;
CREATE MATERIALIZED VIEW clinic_filled AS SELECT id AS "filled", created_at, clinic_same(notes) FROM appointments;
CREATE UNIQUE INDEX clinic_once ON appointments (clinic_same(id::text), created_at) WHERE clinic_fine(status);
ALTER TABLE appointments ADD CONSTRAINT clinic_noted CHECK (clinic_fine(notes));
ALTER TABLE doctors ADD COLUMN clinic_shout text GENERATED ALWAYS AS (clinic_same(last_name)) STORED;
CREATE FUNCTION clinic_due(date) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
ALTER TABLE sessions ADD CONSTRAINT clinic_still_due CHECK (clinic_due(session_date));
CREATE OR REPLACE FUNCTION clinic_due(date) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > current_date';
CREATE FUNCTION clinic_one(text) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN hashtext($1); END$$;
CREATE UNIQUE INDEX clinic_number ON insurance_claims (clinic_one(id::text), (updated_at IS NULL));
CREATE OR REPLACE FUNCTION clinic_one(text) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN 1; END$$;
CREATE OR REPLACE FUNCTION clinic_same(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RAISE 'said %', $1; END$$;
CREATE OR REPLACE FUNCTION clinic_fine(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN $1::int > 0; END$$;
