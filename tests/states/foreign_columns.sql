-- On top of "core" with rows: columns that cannot be carried over, spread over several tables, all at once.

-- Values that are no days for sure, and types from which there is no way that keeps every value.
ALTER TABLE appointments ALTER COLUMN appointment_date TYPE text USING to_char(appointment_date, 'DD/MM/YYYY');
ALTER TABLE sessions ALTER COLUMN session_time TYPE interval;
ALTER TABLE doctors ALTER COLUMN is_active DROP DEFAULT;
ALTER TABLE doctors ALTER COLUMN is_active TYPE double precision USING is_active::integer;
-- A column of the clinic's own that every new row would have to fill.
ALTER TABLE patients ADD COLUMN national_id varchar(20);
UPDATE patients SET national_id = substr(md5(id::text), 1, 10);
ALTER TABLE patients ALTER COLUMN national_id SET NOT NULL;
-- A required column that is gone.
ALTER TABLE insurance_claims DROP COLUMN patient_id;
-- A key of another shape.
ALTER TABLE sessions DROP CONSTRAINT sessions_pkey;
