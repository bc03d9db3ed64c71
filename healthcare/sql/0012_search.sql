-- The ids of patients found by index, `most` of them in no order; NULL to whoever does not see all of them.
CREATE OR REPLACE FUNCTION app.search_patients(wanted text, most integer) RETURNS uuid[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM app.require_bound('app.search_patients(text, integer)');
    IF NOT app.sees_all('public.patients', ARRAY['id', 'first_name', 'last_name', 'email', 'phone']) THEN
        RETURN NULL;
    END IF;
    RETURN ARRAY(SELECT p.id FROM public.patients AS p
                 WHERE app.search_words(p.first_name, p.last_name, p.email, p.phone) @@ app.search_query(wanted) LIMIT most);
END
$$;
COMMENT ON FUNCTION app.search_patients(text, integer) IS
    'Ids of patients by the beginnings of names, e-mail address or phone; NULL to whoever does not see every row';
REVOKE EXECUTE ON FUNCTION app.search_patients(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.search_patients(text, integer) TO moeen_patient, moeen_doctor, moeen_staff, moeen_supervisor, moeen_admin;
-- What a platform's default privileges give of each new function.
DO $do$
DECLARE
    platform name;
BEGIN
    FOR platform IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION app.search_patients(text, integer) FROM %I', platform);
    END LOOP;
END
$do$;
