BEGIN; -- users
DROP TRIGGER IF EXISTS users_password_record ON public.users;
COMMIT;

-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS app.record_password_change();
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS app.record_sign_in(text, text, uuid, text, text);
