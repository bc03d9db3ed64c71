-- A table of older patients that inherits from ours, and a rule that turns a change into nothing.
CREATE TABLE clinic_older_patients () INHERITS (patients);
INSERT INTO clinic_older_patients (first_name, last_name, created_at) VALUES ('ليلى', 'Example', NULL);
CREATE RULE clinic_frozen AS ON UPDATE TO insurance_claims DO INSTEAD NOTHING;
