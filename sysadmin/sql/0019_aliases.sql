-- Whose a former public id was, of any form: from another shape of database it names no table by its prefix. Two tables
-- may share keys there, so the row's id alone does not tell which row it is.
CREATE OR REPLACE FUNCTION app.bearer_of_alias(alias text, OUT table_name text, OUT row_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM app.require_bound('app.bearer_of_alias(text)');
    SELECT a.table_name, a.row_id INTO bearer_of_alias.table_name, bearer_of_alias.row_id
    FROM public.public_id_aliases AS a WHERE a.alias = $1;
END
$$;
COMMENT ON FUNCTION app.bearer_of_alias(text) IS 'Table and id of the row that bore this public id before, or NULL';
REVOKE EXECUTE ON FUNCTION app.bearer_of_alias(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.bearer_of_alias(text) TO moeen_auth;

-- Nothing calls app.row_of_alias() any longer. It stays: 0007 grants it, and must be able to run again.
