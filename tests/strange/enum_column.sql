-- An enum in the place of text, with a default.
CREATE TYPE clinic_state AS ENUM ('scheduled', 'confirmed', 'completed', 'cancelled', 'no_show');
ALTER TABLE sessions ALTER COLUMN status DROP DEFAULT;
UPDATE sessions SET status = 'scheduled'
WHERE status IS NULL OR status NOT IN ('scheduled', 'confirmed', 'completed', 'cancelled', 'no_show');
ALTER TABLE sessions ALTER COLUMN status TYPE clinic_state USING status::clinic_state,
    ALTER COLUMN status SET DEFAULT 'scheduled';
