DROP TRIGGER IF EXISTS users_updated_at_set ON users;
