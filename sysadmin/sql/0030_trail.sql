-- What was still the writer's to say, or left no trace: when something was done on a page of the admin, by Django's own
-- log, and which keys identities are signed with.

-- A number that somebody took beforehand would make a later entry fail.
CREATE OR REPLACE FUNCTION app.stamp_admin_log() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.id := nextval(pg_get_serial_sequence('public.django_admin_log', 'id'));
    NEW.action_time := now();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION app.stamp_admin_log() IS 'Trigger: number and time of what was done on a page of the admin are the server''s';

-- Whoever holds a key can sign as anybody. Entries name it, and say nothing of what it is.
CREATE OR REPLACE FUNCTION app.record_identity_key() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO public.audit_logs (action, table_name) VALUES (TG_OP, 'identity_keys');
    ELSE
        -- OLD is null where a key is new, NEW where it is gone.
        INSERT INTO public.audit_logs (action, table_name, old_values, new_values)
        VALUES (TG_OP, 'identity_keys', CASE WHEN TG_OP <> 'INSERT' THEN jsonb_build_object('id', OLD.id) END,
                CASE WHEN TG_OP <> 'DELETE' THEN jsonb_build_object('id', NEW.id) END);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION app.record_identity_key() IS 'Trigger: enters which keys for signing identities come and go';

REVOKE EXECUTE ON FUNCTION app.stamp_admin_log(), app.record_identity_key() FROM PUBLIC;
-- What a platform's default privileges give of each new function.
DO $do$
DECLARE
    platform name;
BEGIN
    FOR platform IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION app.stamp_admin_log(), app.record_identity_key() FROM %I', platform);
    END LOOP;
END
$do$;

BEGIN; -- django_admin_log
DO $do$
BEGIN
    EXECUTE pg_catalog.format('CREATE OR REPLACE TRIGGER django_admin_log_stamp BEFORE INSERT ON public.django_admin_log '
                              'FOR EACH ROW WHEN (CURRENT_USER = ANY (%L::name[])) EXECUTE FUNCTION app.stamp_admin_log()',
                              app.bound_roles());
END
$do$;
COMMIT;

BEGIN;
CREATE OR REPLACE TRIGGER identity_keys_record AFTER INSERT OR UPDATE OR DELETE ON app.identity_keys
    FOR EACH ROW EXECUTE FUNCTION app.record_identity_key();
CREATE OR REPLACE TRIGGER identity_keys_record_truncate AFTER TRUNCATE ON app.identity_keys
    FOR EACH STATEMENT EXECUTE FUNCTION app.record_identity_key();
ALTER TABLE app.identity_keys ENABLE ALWAYS TRIGGER identity_keys_record;
ALTER TABLE app.identity_keys ENABLE ALWAYS TRIGGER identity_keys_record_truncate;
COMMIT;
