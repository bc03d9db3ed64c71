-- Whether the database has these migrations ('app.name'). The web's login reads no list of them; yes or no is all it learns.
CREATE OR REPLACE FUNCTION app.has_migrations(wanted text[]) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM app.require_bound('app.has_migrations(text[])');
    RETURN NOT EXISTS (
        SELECT FROM unnest(wanted) AS w (name)
        WHERE NOT EXISTS (SELECT FROM public.django_migrations AS m WHERE m.app || '.' || m.name = w.name));
END
$$;
COMMENT ON FUNCTION app.has_migrations(text[]) IS 'Whether all of these migrations, as app.name, are applied; for /readyz';
REVOKE EXECUTE ON FUNCTION app.has_migrations(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.has_migrations(text[]) TO moeen_auth;
-- What a platform's default privileges give of each new function.
DO $do$
DECLARE
    platform name;
BEGIN
    FOR platform IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION app.has_migrations(text[]) FROM %I', platform);
    END LOOP;
END
$do$;
