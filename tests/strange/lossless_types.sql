-- Other types in the place of ours, that can hold the same: defaults, NULLs, indexes and views on them included.
ALTER TABLE patients ALTER COLUMN phone TYPE char(30) USING left(phone, 20), ALTER COLUMN phone SET DEFAULT 'none',
    ALTER COLUMN date_of_birth TYPE text;
CREATE INDEX clinic_phones ON patients (phone);
CREATE VIEW clinic_birthdays AS SELECT id, date_of_birth, phone FROM patients;
CREATE DOMAIN clinic_word AS varchar(255);
CREATE DOMAIN clinic_name AS clinic_word CHECK (length(VALUE) > 0);
ALTER TABLE patients ALTER COLUMN last_name TYPE clinic_name;
ALTER TABLE doctors ALTER COLUMN is_active DROP DEFAULT;
ALTER TABLE doctors ALTER COLUMN is_active TYPE smallint USING is_active::int,
    ALTER COLUMN is_active SET DEFAULT 1, ALTER COLUMN license_number TYPE name;
ALTER TABLE appointments ALTER COLUMN appointment_date TYPE timestamp, ALTER COLUMN appointment_time TYPE varchar(20),
    ALTER COLUMN duration TYPE numeric, ALTER COLUMN duration SET DEFAULT 30.0;
CREATE INDEX clinic_days ON appointments (appointment_date) WHERE duration > 10;
ALTER TABLE sessions ALTER COLUMN duration DROP DEFAULT;
ALTER TABLE sessions ALTER COLUMN duration TYPE text, ALTER COLUMN duration SET DEFAULT '30',
    ALTER COLUMN session_date TYPE varchar USING session_date || 'T00:00:00.000Z';
ALTER TABLE insurance_claims ALTER COLUMN claim_amount TYPE float8, ALTER COLUMN approved_amount TYPE real;
CREATE TYPE clinic_state AS ENUM ('pending', 'approved', 'rejected', 'paid', 'lost');
ALTER TABLE insurance_claims ALTER COLUMN status DROP DEFAULT;
ALTER TABLE insurance_claims ALTER COLUMN status TYPE clinic_state USING status::clinic_state,
    ALTER COLUMN status SET DEFAULT 'pending';
