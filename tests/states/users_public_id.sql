-- A variant of "full": some installations also gave users a public id, by a copy of the healthcare script.

ALTER TABLE users ADD COLUMN IF NOT EXISTS public_id varchar(255) UNIQUE;
CREATE INDEX IF NOT EXISTS idx_users_public_id ON users(public_id);
