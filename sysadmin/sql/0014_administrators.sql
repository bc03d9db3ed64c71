-- Which roles somebody may switch between, and that there is always somebody who may give them.

-- The usual role first. Empty for nobody we know and for somebody deactivated.
CREATE OR REPLACE FUNCTION app.roles_of(person uuid) RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM app.require_bound('app.roles_of(uuid)');
    RETURN ARRAY(
        SELECT held.role FROM (
            SELECT u.role, 1 AS place FROM public.users AS u WHERE u.id = person AND u.is_active
            UNION ALL
            SELECT r.name, 2 FROM public.users AS u JOIN public.user_roles AS h ON h.user_id = u.id
            JOIN public.roles AS r ON r.id = h.role_id
            WHERE u.id = person AND u.is_active AND r.is_system AND r.name <> u.role
              AND r.name IN ('patient', 'doctor', 'staff', 'supervisor', 'admin')
        ) AS held ORDER BY held.place, held.role);
END
$$;
COMMENT ON FUNCTION app.roles_of(uuid) IS 'The roles that a person may act in, the usual one first; moeen_auth asks';

-- Of two who give up the role at the same moment the second waits here, and then sees that the first has done it.
CREATE OR REPLACE FUNCTION app.keep_an_administrator() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('app.keep_an_administrator()', 0));
    PERFORM FROM public.users AS u
    WHERE u.is_active AND (u.role = 'admin' OR EXISTS (
        SELECT FROM public.user_roles AS h JOIN public.roles AS r ON r.id = h.role_id
        WHERE h.user_id = u.id AND r.is_system AND r.name = 'admin'));
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no active administrator would be left'
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'an_administrator_stays',
                  HINT = 'Make somebody else an administrator first.';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION app.keep_an_administrator() IS
    'Trigger: no change made in a role of a person leaves the clinic without an active administrator';

REVOKE EXECUTE ON FUNCTION app.roles_of(uuid), app.keep_an_administrator() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.roles_of(uuid) TO moeen_auth;
-- What a platform's default privileges give of each new function.
DO $do$
DECLARE
    platform name;
BEGIN
    FOR platform IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION app.roles_of(uuid), app.keep_an_administrator() FROM %I', platform);
    END LOOP;
END
$do$;

-- The owner's commands are not asked: an import begins with nobody.
BEGIN; -- users
CREATE OR REPLACE TRIGGER users_administrator_keep AFTER UPDATE OF role, is_active OR DELETE ON public.users
    FOR EACH STATEMENT WHEN (CURRENT_USER = ANY ('{moeen_anon,moeen_patient,moeen_doctor,moeen_staff,'
        'moeen_supervisor,moeen_admin,moeen_service,moeen_auth}'::name[])) EXECUTE FUNCTION app.keep_an_administrator();
COMMIT;

BEGIN; -- user_roles
CREATE OR REPLACE TRIGGER user_roles_administrator_keep AFTER UPDATE OR DELETE ON public.user_roles
    FOR EACH STATEMENT WHEN (CURRENT_USER = ANY ('{moeen_anon,moeen_patient,moeen_doctor,moeen_staff,'
        'moeen_supervisor,moeen_admin,moeen_service,moeen_auth}'::name[])) EXECUTE FUNCTION app.keep_an_administrator();
COMMIT;

BEGIN; -- roles
CREATE OR REPLACE TRIGGER roles_administrator_keep AFTER DELETE ON public.roles
    FOR EACH STATEMENT WHEN (CURRENT_USER = ANY ('{moeen_anon,moeen_patient,moeen_doctor,moeen_staff,'
        'moeen_supervisor,moeen_admin,moeen_service,moeen_auth}'::name[])) EXECUTE FUNCTION app.keep_an_administrator();
COMMIT;
