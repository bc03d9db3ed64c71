BEGIN; -- roles
DROP TRIGGER IF EXISTS roles_updated_at_set ON roles;
COMMIT;

BEGIN; -- settings
DROP TRIGGER IF EXISTS settings_updated_at_set ON settings;
COMMIT;
