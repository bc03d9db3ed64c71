-- A unique constraint and an index of the clinic's own, the index called as the older scripts' are.
ALTER TABLE doctors ADD COLUMN clinic_badge int UNIQUE;
ALTER TABLE doctors ADD CONSTRAINT clinic_user_once UNIQUE (user_id) DEFERRABLE;
CREATE UNIQUE INDEX idx_patients_clinic_phone ON patients (phone, id);
