DROP INDEX CONCURRENTLY IF EXISTS user_preferences_language_idx;
DROP INDEX CONCURRENTLY IF EXISTS user_preferences_theme_idx;
