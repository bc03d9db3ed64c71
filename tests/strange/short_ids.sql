-- Public ids of another generator: prefix and eight digits of the key.
ALTER TABLE doctors ADD COLUMN public_id varchar(255) UNIQUE;
UPDATE doctors SET public_id = 'doc_' || substr(id::text, 1, 8);
