DO $do$
DECLARE
    granted text;
BEGIN
    SELECT string_agg(quote_ident(rolname), ', ') INTO granted
    FROM pg_roles
    WHERE rolname LIKE 'moeen\_%' OR rolname IN ('anon', 'authenticated', 'service_role');
    IF granted IS NOT NULL THEN
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA app FROM %s', granted);
        EXECUTE format('REVOKE USAGE ON SCHEMA app FROM %s', granted);
    END IF;
    SELECT string_agg(quote_ident(rolname), ', ') INTO granted FROM pg_roles WHERE rolname LIKE 'moeen\_%';
    IF granted IS NOT NULL THEN
        EXECUTE format('REVOKE USAGE ON SCHEMA public FROM %s', granted);
    END IF;
END
$do$;
DROP FUNCTION IF EXISTS app.notify(uuid, text, text, text, text);
DROP FUNCTION IF EXISTS app.my_message_ids();
DROP FUNCTION IF EXISTS app.bind_request();
DROP FUNCTION IF EXISTS app.caller_role();
DROP FUNCTION IF EXISTS app.role_of(uuid, text);
DROP FUNCTION IF EXISTS app.lock_away(text);
DROP FUNCTION IF EXISTS app.allow(text, text, text, text, text);
GRANT EXECUTE ON FUNCTION app.generate_public_id(text), app.fill_public_id(), app.set_updated_at() TO PUBLIC;
