-- Two accounts whose e-mail differs in case only.
UPDATE users SET email = 'Nobody@clinic.test' WHERE id = (SELECT id FROM users ORDER BY id LIMIT 1);
UPDATE users SET email = 'nobody@clinic.test' WHERE id = (SELECT id FROM users ORDER BY id OFFSET 1 LIMIT 1);
