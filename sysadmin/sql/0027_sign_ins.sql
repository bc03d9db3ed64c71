-- Sign-ins in the audit log (0024_sign_ins.sql), and two events more: that an administrator looks at everything as another
-- person, in one of their roles, and that they no longer do.

-- The person who acts is the signed one, never an argument. For signing in (moeen_auth) alone.
-- account: what was typed, for a try that failed. It is kept where it is an account's, or an e-mail address: a password
-- typed into the wrong field is neither. Of what anybody can repeat, 20 of a kind are recorded for an account in a quarter
-- of an hour, and 500 for those that are no account: so nobody swells the log; the last of them says so.
-- person: whose session ended, or who is looked as. before, after: the roles of a switch; after: why a session ended, or the
-- role that is looked in.
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
        WHEN 'LOOKED_AS' THEN
            concerned := person;
            told := jsonb_build_object('role', after);
        WHEN 'LOOKED_AWAY' THEN
            concerned := person;
        WHEN 'SECOND_FACTOR_FAILED' THEN
            concerned := app.user_id();
            told := '{}';
        WHEN 'SIGN_IN_FAILED', 'SIGN_IN_LOCKED_OUT', 'PASSWORD_RESET_ASKED' THEN
            SELECT u.id INTO concerned FROM public.users AS u WHERE lower(u.email) = lower(btrim(account));
            told := jsonb_build_object('account', CASE
                WHEN concerned IS NOT NULL OR account ~ '^[^@[:space:]]+@[^@[:space:]]+[.][[:alpha:]]{2,}$' THEN left(account, 255)
                ELSE '[no e-mail address]' END);
        ELSE
            RAISE EXCEPTION 'no such event of signing in: %', event USING ERRCODE = 'invalid_parameter_value';
    END CASE;
    IF concerned IS NULL AND NOT coalesce(told ? 'account', false) THEN
        RAISE EXCEPTION 'nobody is named whom % concerns', event USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF told ? 'account' OR event = 'SECOND_FACTOR_FAILED' THEN
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
        IF free = 1 THEN
            told := told || '{"more": "not recorded for a quarter of an hour"}';
        END IF;
    END IF;
    INSERT INTO public.audit_logs (action, table_name, record_id, old_values, new_values)
    VALUES (event, 'users', concerned, older, nullif(told, '{}'));
END
$$;
COMMENT ON FUNCTION app.record_sign_in(text, text, uuid, text, text) IS
    'Writes an event of signing in to the audit log: in, out, failed, locked out, a role switched, a session ended, and more';
REVOKE EXECUTE ON FUNCTION app.record_sign_in(text, text, uuid, text, text) FROM PUBLIC;
