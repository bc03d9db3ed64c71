-- updated_at is kept here, for every writer; filling in a public id is no change of the row.

BEGIN; -- roles
CREATE OR REPLACE TRIGGER roles_updated_at_set BEFORE UPDATE ON roles FOR EACH ROW
    WHEN (OLD.public_id IS NOT DISTINCT FROM NEW.public_id) EXECUTE FUNCTION app.set_updated_at();
COMMIT;

BEGIN; -- settings
CREATE OR REPLACE TRIGGER settings_updated_at_set BEFORE UPDATE ON settings FOR EACH ROW
    WHEN (OLD.public_id IS NOT DISTINCT FROM NEW.public_id) EXECUTE FUNCTION app.set_updated_at();
COMMIT;
