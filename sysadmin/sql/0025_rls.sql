-- Who may see and do what: S select, I insert, U update, D delete. What no line allows is refused. Here: settings that hold
-- secrets, told by their names. Nobody but administrators sees them, and they are not public.

-- Who changed a setting is the person who acts; a secret is not shown to everybody.
CREATE OR REPLACE FUNCTION app.stamp_setting() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.updated_by := app.user_id();
    IF NEW.is_public AND NEW.key ~* 'secret|token|passw|credential|key$' THEN
        RAISE EXCEPTION 'a setting whose name tells of a secret is not public' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION app.stamp_setting() IS 'Trigger: who changed a setting is the person who acts; a secret one is not public';

-- The value of a setting as the admin's pages show a secret one: the audit log keeps that it was asked for.
CREATE OR REPLACE FUNCTION app.reveal_setting(setting uuid) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found_value jsonb;
BEGIN
    PERFORM app.require_bound('app.reveal_setting(uuid)');
    SELECT s.value INTO found_value FROM public.settings AS s WHERE s.id = setting;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such setting' USING ERRCODE = 'no_data_found';
    END IF;
    INSERT INTO public.audit_logs (action, table_name, record_id) VALUES ('READ_SECRET', 'settings', setting);
    RETURN found_value;
END
$$;
COMMENT ON FUNCTION app.reveal_setting(uuid) IS 'The value of a setting, for administrators; recorded';
REVOKE EXECUTE ON FUNCTION app.reveal_setting(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.reveal_setting(uuid) TO moeen_admin;
-- What a platform's default privileges give of each new function.
DO $do$
DECLARE
    platform name;
BEGIN
    FOR platform IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION app.reveal_setting(uuid) FROM %I', platform);
    END LOOP;
END
$do$;

BEGIN; -- settings
SELECT app.lock_away('settings');
SELECT app.signed_only('settings');
SELECT app.allow('settings', 'anon patient doctor staff', 'S', 'is_public AND key !~* ''secret|token|passw|credential|key$''');
SELECT app.allow('settings', 'supervisor', 'S', 'key !~* ''secret|token|passw|credential|key$''');
SELECT app.allow('settings', 'admin', 'SIUD', 'true');
SELECT app.guard('settings', 'set_', stamp => 'stamp_setting');
COMMIT;
