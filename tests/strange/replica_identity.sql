-- The constraint of the older scripts is what a published table's changes are told by, or the order of its rows.
ALTER TABLE users REPLICA IDENTITY USING INDEX users_email_key;
ALTER TABLE users CLUSTER ON users_email_key;
