-- Who may see and do what: S select, I insert, U update, D delete. What no line allows is refused.

-- Recorded here, whoever does it and by whatever way. An operator's reason stands in the setting moeen.reason.
CREATE OR REPLACE FUNCTION app.record_second_factor() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- OLD is null where a row is new, NEW where it is gone. One that was begun, and no more, says nothing.
    event constant text := CASE
        WHEN OLD.confirmed_at IS NOT NULL AND NEW.confirmed_at IS NULL THEN 'SECOND_FACTOR_REMOVED'
        WHEN NEW.confirmed_at IS NULL THEN NULL
        WHEN OLD.secret IS DISTINCT FROM NEW.secret OR OLD.confirmed_at IS DISTINCT FROM NEW.confirmed_at
            THEN 'SECOND_FACTOR_SET_UP'
        WHEN OLD.recovery_codes = NEW.recovery_codes THEN NULL
        WHEN OLD.recovery_codes @> NEW.recovery_codes THEN 'RECOVERY_CODE_USED'
        ELSE 'RECOVERY_CODES_MADE' END;
    reason constant text := nullif(current_setting('moeen.reason', true), '');
BEGIN
    IF event IS NOT NULL THEN
        INSERT INTO public.audit_logs (action, table_name, record_id, new_values)
        VALUES (event, 'users', coalesce(NEW.user_id, OLD.user_id), CASE
            WHEN event = 'RECOVERY_CODE_USED' THEN jsonb_build_object('left', jsonb_array_length(NEW.recovery_codes))
            WHEN event = 'SECOND_FACTOR_REMOVED' AND reason IS NOT NULL THEN jsonb_build_object('reason', reason) END);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION app.record_second_factor() IS
    'Trigger: an entry of its own for a second factor set up or removed, and for recovery codes used or made';
REVOKE EXECUTE ON FUNCTION app.record_second_factor() FROM PUBLIC;
-- What a platform's default privileges give of each new function.
DO $do$
DECLARE
    platform name;
BEGIN
    FOR platform IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION app.record_second_factor() FROM %I', platform);
    END LOOP;
END
$do$;

BEGIN; -- second_factors
SELECT app.lock_away('second_factors');
SELECT app.signed_only('second_factors');
-- Signing in, in the name of the person whose password was right; in nobody's it sees none. Others remove what a
-- person has lost; one's own is removed with one of its codes.
SELECT app.allow('second_factors', 'auth', 'SIUD', 'user_id = (SELECT app.user_id())');
SELECT app.allow('second_factors', 'admin', 'S (all but secret, last_step, recovery_codes)', 'true');
SELECT app.allow('second_factors', 'admin', 'D', 'user_id <> (SELECT app.user_id())');
SELECT app.guard('second_factors', 'sfa_');
CREATE OR REPLACE TRIGGER second_factors_record AFTER INSERT OR UPDATE OR DELETE ON public.second_factors
    FOR EACH ROW EXECUTE FUNCTION app.record_second_factor();
ALTER TABLE public.second_factors ENABLE ALWAYS TRIGGER second_factors_record;
COMMIT;
