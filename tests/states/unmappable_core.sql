-- On top of "core" with rows: values that today's constraints refuse and that nobody can map by a rule.

UPDATE users SET role = 'nurse' WHERE id IN (md5('users10')::uuid, md5('users20')::uuid, md5('users30')::uuid);
UPDATE users SET email = 'Twice@example.test' WHERE id = md5('users40')::uuid;
UPDATE users SET email = 'twice@EXAMPLE.test' WHERE id = md5('users41')::uuid;

UPDATE appointments SET status = 'no-idea' WHERE id IN (md5('appointments5')::uuid, md5('appointments6')::uuid);
UPDATE appointments SET duration = -15 WHERE id = md5('appointments7')::uuid;
UPDATE sessions SET duration = 0 WHERE id IN (md5('sessions1')::uuid, md5('sessions2')::uuid);
UPDATE insurance_claims SET claim_amount = -0.01 WHERE id = md5('insurance_claims9')::uuid;

-- Rows without their parent, from a time when the foreign key was missing.
ALTER TABLE sessions DROP CONSTRAINT sessions_doctor_id_fkey;
UPDATE sessions SET doctor_id = md5('a doctor long gone')::uuid
WHERE id IN (SELECT md5('sessions' || n)::uuid FROM generate_series(11, 14) AS n);

-- Longer than varchar(255): the column was text in this installation.
ALTER TABLE patients ALTER COLUMN first_name TYPE text;
UPDATE patients SET first_name = repeat('ط', 256) WHERE id = md5('patients3')::uuid;
UPDATE patients SET first_name = repeat('ط', 255) WHERE id = md5('patients4')::uuid;

-- Empty where a value is required and no default can stand in.
ALTER TABLE appointments ALTER COLUMN appointment_date DROP NOT NULL;
UPDATE appointments SET appointment_date = NULL WHERE id IN (md5('appointments1')::uuid, md5('appointments2')::uuid);
