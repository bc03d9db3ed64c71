-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS app.guard_reference(text, text, text);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS app.keep_in_sight();
