BEGIN; -- users
DROP TRIGGER IF EXISTS users_administrator_keep ON public.users;
COMMIT;

BEGIN; -- user_roles
DROP TRIGGER IF EXISTS user_roles_administrator_keep ON public.user_roles;
COMMIT;

BEGIN; -- roles
DROP TRIGGER IF EXISTS roles_administrator_keep ON public.roles;
COMMIT;

DROP FUNCTION IF EXISTS app.keep_an_administrator();
DROP FUNCTION IF EXISTS app.roles_of(uuid);
