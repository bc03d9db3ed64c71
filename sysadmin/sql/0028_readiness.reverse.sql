-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS app.has_migrations(text[]);
