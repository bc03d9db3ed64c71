-- A domain in the place of its type.
CREATE DOMAIN clinic_number AS varchar(50) CHECK (VALUE ~ '^[0-9+ -]*$');
ALTER TABLE doctors ALTER COLUMN phone TYPE clinic_number USING NULL;
