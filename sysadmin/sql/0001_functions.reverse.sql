DROP FUNCTION IF EXISTS app.set_updated_at();
DROP FUNCTION IF EXISTS app.fill_public_id();
DROP FUNCTION IF EXISTS app.generate_public_id(text);
DROP SCHEMA IF EXISTS app;

-- Schema auth goes only if it was ours.
DO $do$
BEGIN
    IF obj_description(to_regnamespace('auth'), 'pg_namespace') LIKE '%made by moeen' THEN
        DROP FUNCTION auth.role();
        DROP FUNCTION auth.uid();
        DROP FUNCTION auth.jwt();
        DROP SCHEMA auth;
    END IF;
END
$do$;
