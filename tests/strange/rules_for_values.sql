-- Every row keeps these, until adoption maps a role, or fills in what was NULL.
UPDATE users SET role = 'user' WHERE role = 'patient';
ALTER TABLE users ADD CONSTRAINT clinic_roles_known CHECK (role <> 'patient');
CREATE TABLE clinic_states (name varchar(50) PRIMARY KEY);
INSERT INTO clinic_states VALUES ('pending'), ('approved'), ('rejected'), ('paid'), ('in_progress'), ('completed');
UPDATE sessions SET status = 'completed' WHERE status IS NOT NULL;
ALTER TABLE sessions ADD CONSTRAINT clinic_state FOREIGN KEY (status) REFERENCES clinic_states;
UPDATE appointments SET duration = NULL WHERE id IN (SELECT id FROM appointments ORDER BY id LIMIT 2);
CREATE UNIQUE INDEX clinic_lengths ON appointments (duration) WHERE id < '061874ab-c5fb-7bcc-57ec-015d5a6f5c9f';
ALTER TABLE insurance_claims ADD CONSTRAINT clinic_apart EXCLUDE USING hash (id WITH =) WHERE (status IS NOT NULL);
