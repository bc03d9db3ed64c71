-- Rows that refer to nobody under keys that call themselves valid, as replication and some imports leave them.
SET session_replication_role = replica;
UPDATE appointments SET patient_id = gen_random_uuid() WHERE id = (SELECT id FROM appointments ORDER BY id LIMIT 1);
UPDATE sessions SET doctor_id = gen_random_uuid() WHERE id = (SELECT id FROM sessions ORDER BY id LIMIT 1);
RESET session_replication_role;
