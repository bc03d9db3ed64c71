-- Before it, the functions of 0007_identity.sql are put back as they were; these are those of earlier files.
ALTER FUNCTION app.generate_public_id(text) SET search_path = '';
ALTER FUNCTION app.fill_public_id() SET search_path = '';
ALTER FUNCTION app.set_updated_at() SET search_path = '';
ALTER FUNCTION app.audit_redacted(jsonb) SET search_path = '';
ALTER FUNCTION app.audit_statement() SET search_path = '';
ALTER FUNCTION app.refuse_change() SET search_path = '';

CREATE OR REPLACE FUNCTION app.audit_actor() RETURNS uuid
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
BEGIN
    RETURN auth.uid();
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;  -- malformed claims name nobody
END
$$;
COMMENT ON FUNCTION app.audit_actor() IS 'The user who acts, or NULL: no claims, or malformed ones';

CREATE OR REPLACE FUNCTION app.row_of_alias(alias text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$ SELECT a.row_id FROM public.public_id_aliases AS a WHERE a.alias = $1 $$;
COMMENT ON FUNCTION app.row_of_alias(text) IS 'The id of the row that bore this public id before, or NULL';

DO $do$
DECLARE
    target regprocedure;
BEGIN
    FOR target IN SELECT p.oid FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
                  WHERE n.nspname = 'auth' AND p.pronargs = 0 AND p.proname IN ('jwt', 'uid', 'role')
                    AND obj_description(n.oid, 'pg_namespace') LIKE '%made by moeen' LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = ''''', target);
    END LOOP;
END
$do$;

DROP FUNCTION IF EXISTS app.sign_request();
DROP FUNCTION IF EXISTS app.held_role(uuid, text);
DROP FUNCTION IF EXISTS app.is_own_path(text);
DROP FUNCTION IF EXISTS app.keep_identity();
DROP FUNCTION IF EXISTS app.unguard(text);
DROP FUNCTION IF EXISTS app.signed_only(text);
DROP FUNCTION IF EXISTS app.guard(text, text, text, text);
DROP FUNCTION IF EXISTS app.bound_roles();
DROP FUNCTION IF EXISTS app.user_id();
DROP FUNCTION IF EXISTS app.require_bound();
DROP FUNCTION IF EXISTS app.is_bound();
DROP FUNCTION IF EXISTS app.add_identity_key(text, bytea);
DROP TABLE IF EXISTS app.identity_keys;
