-- Whose a former public id was. A definer function: public_id_aliases itself is the operator's, and whoever asks still
-- needs a policy that shows them the row.
CREATE OR REPLACE FUNCTION app.row_of_alias(alias text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$ SELECT a.row_id FROM public.public_id_aliases AS a WHERE a.alias = $1 $$;
COMMENT ON FUNCTION app.row_of_alias(text) IS 'The id of the row that bore this public id before, or NULL';
REVOKE EXECUTE ON FUNCTION app.row_of_alias(text) FROM PUBLIC;
