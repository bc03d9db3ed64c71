-- Types that could be carried over, but for some values; and what names a type that its column would lose.
ALTER TABLE patients ALTER COLUMN date_of_birth TYPE text;
UPDATE patients SET date_of_birth = '2023-02-29' WHERE id = md5('patients1')::uuid;
UPDATE patients SET date_of_birth = 'يناير' WHERE id = md5('patients2')::uuid;
ALTER TABLE doctors ALTER COLUMN is_active DROP DEFAULT;
ALTER TABLE doctors ALTER COLUMN is_active TYPE integer USING is_active::int;
UPDATE doctors SET is_active = 7 WHERE id = md5('doctors1')::uuid;
ALTER TABLE sessions ALTER COLUMN duration DROP DEFAULT;
ALTER TABLE sessions ALTER COLUMN duration TYPE text;
UPDATE sessions SET duration = 'half an hour' WHERE id = md5('sessions1')::uuid;
UPDATE sessions SET duration = '-5' WHERE id = md5('sessions2')::uuid;
ALTER TABLE insurance_claims ALTER COLUMN claim_amount TYPE float8;
UPDATE insurance_claims SET claim_amount = 'NaN' WHERE id = md5('insurance_claims1')::uuid;
UPDATE appointments SET appointment_time = '24:00' WHERE id = md5('appointments1')::uuid;
CREATE TYPE clinic_state AS ENUM ('scheduled', 'confirmed', 'completed', 'cancelled', 'no_show');
ALTER TABLE appointments ALTER COLUMN status DROP DEFAULT;
ALTER TABLE appointments ALTER COLUMN status TYPE clinic_state USING status::clinic_state;
CREATE INDEX clinic_open ON appointments (patient_id) WHERE status = 'scheduled';
ALTER TABLE appointments ADD CONSTRAINT clinic_told CHECK (status <> 'cancelled' OR notes IS DISTINCT FROM '');

-- Functions that find what they call only by the clinic's own search path: in a check, an index and a generated column.
CREATE SCHEMA clinic;
CREATE FUNCTION clinic.clinic_tidy(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN btrim($1);
CREATE FUNCTION clinic_shown(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN clinic.clinic_tidy($1); END$$;
ALTER TABLE users ADD CONSTRAINT clinic_given CHECK (clinic_shown(email) <> '');
CREATE INDEX clinic_by_name ON users (clinic_shown(name));
ALTER TABLE users ADD COLUMN clinic_label text GENERATED ALWAYS AS (clinic_shown(email)) STORED;
CREATE OR REPLACE FUNCTION clinic_shown(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN clinic_tidy($1); END$$;
