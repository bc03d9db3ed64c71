-- Sign-ins in the audit log, as entries of their own kind: who came and went, in which role, who tried and could not.
-- What cannot be recorded does not happen: signing in, switching roles and the rest call app.record_sign_in() in the same
-- transaction.

-- The person who acts is the signed one, never an argument. For signing in (moeen_auth) alone.
-- account: what was typed, for a try that failed. It is kept where it is an account's, or an e-mail address: a password
-- typed into the wrong field is neither. Of tries on one account, 20 of a kind are recorded in a quarter of an hour, and
-- 500 of those on no account: so nobody swells the log; the last of them says so.
-- person: whose session ended. before, after: the roles of a switch; after: why a session ended.
CREATE OR REPLACE FUNCTION app.record_sign_in(event text, account text DEFAULT NULL, person uuid DEFAULT NULL,
    before text DEFAULT NULL, after text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    since constant timestamptz := clock_timestamp() - interval '15 minutes';
    concerned uuid;
    older jsonb;
    told jsonb;
    free bigint;
BEGIN
    PERFORM app.require_bound('app.record_sign_in(text, text, uuid, text, text)');
    CASE event
        WHEN 'SIGNED_IN', 'SIGNED_OUT' THEN
            concerned := app.user_id();
        WHEN 'ROLE_SWITCHED' THEN
            concerned := app.user_id();
            older := jsonb_build_object('role', before);
            told := jsonb_build_object('role', after);
        WHEN 'SESSION_ENDED' THEN
            concerned := person;
            told := jsonb_build_object('why', after);
        WHEN 'SIGN_IN_FAILED', 'SIGN_IN_LOCKED_OUT' THEN
            SELECT u.id INTO concerned FROM public.users AS u WHERE lower(u.email) = lower(btrim(account));
            IF concerned IS NULL THEN
                SELECT 500 - count(*) INTO free FROM public.audit_logs AS a
                WHERE a.table_name = 'users' AND a.created_at > since AND a.action = event AND a.record_id IS NULL;
            ELSE
                SELECT 20 - count(*) INTO free FROM public.audit_logs AS a
                WHERE a.record_id = concerned AND a.created_at > since AND a.action = event;
            END IF;
            IF free < 1 THEN
                RETURN;
            END IF;
            told := jsonb_build_object('account', CASE
                WHEN concerned IS NOT NULL OR account ~ '^[^@[:space:]]+@[^@[:space:]]+[.][[:alpha:]]{2,}$' THEN left(account, 255)
                ELSE '[no e-mail address]' END);
            IF free = 1 THEN
                told := told || '{"more": "not recorded for a quarter of an hour"}';
            END IF;
        ELSE
            RAISE EXCEPTION 'no such event of signing in: %', event USING ERRCODE = 'invalid_parameter_value';
    END CASE;
    IF concerned IS NULL AND event NOT LIKE 'SIGN_IN_%' THEN
        RAISE EXCEPTION 'nobody is named whom % concerns', event USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO public.audit_logs (action, table_name, record_id, old_values, new_values)
    VALUES (event, 'users', concerned, older, told);
END
$$;
COMMENT ON FUNCTION app.record_sign_in(text, text, uuid, text, text) IS
    'Writes a sign-in, a failed one, a lock-out, a sign-out, a switch of roles or the end of a session to the audit log';

-- A password that moeen_auth writes in nobody's name is the same one, hashed anew while its person signs in.
CREATE OR REPLACE FUNCTION app.record_password_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('role') <> 'moeen_auth' OR app.user_id() IS NOT NULL THEN
        INSERT INTO public.audit_logs (action, table_name, record_id) VALUES ('PASSWORD_CHANGED', 'users', NEW.id);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION app.record_password_change() IS 'Trigger: an entry of its own for a password that was changed';

REVOKE EXECUTE ON FUNCTION app.record_sign_in(text, text, uuid, text, text), app.record_password_change() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.record_sign_in(text, text, uuid, text, text) TO moeen_auth;
-- What a platform's default privileges give of each new function.
DO $do$
DECLARE
    platform name;
BEGIN
    FOR platform IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION app.record_sign_in(text, text, uuid, text, text), '
                                  'app.record_password_change() FROM %I', platform);
    END LOOP;
END
$do$;

BEGIN; -- users
CREATE OR REPLACE TRIGGER users_password_record AFTER UPDATE OF password_hash ON public.users
    FOR EACH ROW WHEN (OLD.password_hash IS DISTINCT FROM NEW.password_hash) EXECUTE FUNCTION app.record_password_change();
ALTER TABLE public.users ENABLE ALWAYS TRIGGER users_password_record;
COMMIT;
