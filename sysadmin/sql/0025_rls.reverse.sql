-- Before it, 0009_rls.sql and 0014_rls.sql say again who may see and do what.
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS app.reveal_setting(uuid);
