CREATE INDEX CONCURRENTLY user_preferences_theme_idx ON user_preferences (theme);
CREATE INDEX CONCURRENTLY user_preferences_language_idx ON user_preferences (language);
