DROP TRIGGER IF EXISTS user_preferences_updated_at_set ON user_preferences;
