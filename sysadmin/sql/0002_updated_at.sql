-- updated_at is kept here, for every writer; filling in a public id is no change of the row.
CREATE OR REPLACE TRIGGER user_preferences_updated_at_set BEFORE UPDATE ON user_preferences FOR EACH ROW
    WHEN (OLD.public_id IS NOT DISTINCT FROM NEW.public_id) EXECUTE FUNCTION app.set_updated_at();
