-- Dates that PostgreSQL holds and Django cannot read.
UPDATE patients SET date_of_birth = '0044-03-15 BC' WHERE id = (SELECT id FROM patients ORDER BY id LIMIT 1);
UPDATE patients SET date_of_birth = 'infinity' WHERE id = (SELECT id FROM patients ORDER BY id DESC LIMIT 1);
UPDATE sessions SET updated_at = '-infinity' WHERE id = (SELECT id FROM sessions ORDER BY id LIMIT 1);
