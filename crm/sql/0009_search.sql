-- The ids of crm_leads found by index, `most` of them in no order; NULL to whoever does not see all of them.
CREATE OR REPLACE FUNCTION app.search_leads(wanted text, most integer) RETURNS uuid[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM app.require_bound('app.search_leads(text, integer)');
    IF NOT app.sees_all('public.crm_leads', ARRAY['id', 'name', 'company', 'email', 'phone']) THEN
        RETURN NULL;
    END IF;
    RETURN ARRAY(SELECT l.id FROM public.crm_leads AS l
                 WHERE app.search_words(l.name, l.company, l.email, l.phone) @@ app.search_query(wanted) LIMIT most);
END
$$;
COMMENT ON FUNCTION app.search_leads(text, integer) IS
    'Ids of leads by the beginnings of names, e-mail address or phone; NULL to whoever does not see every row';
REVOKE EXECUTE ON FUNCTION app.search_leads(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.search_leads(text, integer) TO moeen_staff, moeen_supervisor, moeen_admin;
-- What a platform's default privileges give of each new function.
DO $do$
DECLARE
    platform name;
BEGIN
    FOR platform IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION app.search_leads(text, integer) FROM %I', platform);
    END LOOP;
END
$do$;
