-- People are found by the beginnings of their names, in every way to write them, by an index. Row security lets no
-- operator of a search use an index before it has looked at each row, so a function asks in the owner's name; it answers
-- only whoever sees the whole table anyway.

-- The words of a row: names without vowel signs, the article and the differences that people do not write; an e-mail
-- address; a telephone number's own digits. Indexes are made of it: what it says of a text never changes.
CREATE OR REPLACE FUNCTION app.search_words(name text, more text, email text, phone text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    digits text := ltrim(translate(phone, '٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹ +()./-', '01234567890123456789'), '0');
BEGIN
    IF digits LIKE '966_______%' THEN
        digits := ltrim(substr(digits, 4), '0');
    END IF;
    RETURN array_to_tsvector(array_remove(string_to_array(
        replace(replace(
            translate(lower((' ' || coalesce(name, '') || ' ' || coalesce(more, '')) COLLATE "C"),
                      'أإآٱىیةک٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹-.,;:''"/()[]_،؛ـًٌٍَُِّْٰ', 'ااااييهك01234567890123456789               '),
            ' عبدال', ' عبد '), ' ال', ' ')
        || ' ' || coalesce(lower(email COLLATE "C"), '') || ' ' || coalesce(digits, ''), ' '), ''));
END
$$;
COMMENT ON FUNCTION app.search_words(text, text, text, text) IS
    'What somebody is found by: the words of two names, an e-mail address, the digits of a telephone number';

-- Every word of a text as the beginning of one; without any, a query that finds nothing.
CREATE OR REPLACE FUNCTION app.search_query(wanted text) RETURNS tsquery
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    plain text := translate(coalesce(wanted, ''), '٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹', '01234567890123456789');
    word text;
    words text[] := '{}';
BEGIN
    IF plain !~ '[^ 0-9+()./-]' THEN
        plain := replace(plain, ' ', '');  -- a telephone number, however it is grouped
    END IF;
    FOREACH word IN ARRAY string_to_array(plain, ' ') LOOP
        words := words || tsvector_to_array(CASE
            WHEN strpos(word, '@') > 0 THEN app.search_words(NULL, NULL, word, NULL)
            WHEN word !~ '[^0-9+()./-]' THEN app.search_words(NULL, NULL, NULL, word)
            ELSE app.search_words(word, NULL, NULL, NULL) END);
    END LOOP;
    RETURN (SELECT string_agg('''' || replace(replace(CASE w WHEN 'عبدا' THEN 'عبد' ELSE w END, chr(92), chr(92) || chr(92)), '''', '''''')
                              || ''':*', ' & ') FROM unnest(words) AS w)::tsquery;
END
$$;
COMMENT ON FUNCTION app.search_query(text) IS 'Finds app.search_words() in which each word of the text begins one';

-- Whether the caller may read these columns of every row of a table, by grants and policies as they are. What is
-- restrictive and no more than a question for a signature keeps no row back.
CREATE OR REPLACE FUNCTION app.sees_all(target regclass, columns text[]) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    caller constant oid := (SELECT r.oid FROM pg_catalog.pg_roles AS r
                            WHERE r.rolname = coalesce(nullif(current_setting('role'), 'none'), session_user));
BEGIN
    IF pg_has_role(caller, (SELECT c.relowner FROM pg_catalog.pg_class AS c WHERE c.oid = target), 'USAGE') THEN
        RETURN true;
    END IF;
    RETURN (SELECT bool_and(has_column_privilege(caller, target, c, 'SELECT')) FROM unnest(columns) AS c)
        AND EXISTS (SELECT FROM pg_catalog.pg_policy AS p
                    WHERE p.polrelid = target AND p.polcmd IN ('r', '*') AND p.polroles && ARRAY[0, caller]
                      AND pg_get_expr(p.polqual, p.polrelid) = 'true')
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy AS p
                        WHERE p.polrelid = target AND NOT p.polpermissive AND p.polcmd IN ('r', '*')
                          AND p.polroles && ARRAY[0, caller]
                          AND pg_get_expr(p.polqual, p.polrelid) !~ '^[(] SELECT app[.]is_bound[(][^()]*[)] AS is_bound[)]$');
END
$$;
COMMENT ON FUNCTION app.sees_all(regclass, text[]) IS 'Whether the caller may read these columns of every row of the table';

-- The ids of users found by index, `most` of them and no order; NULL to whoever does not see all of them: they ask row
-- by row, as their policies let them.
CREATE OR REPLACE FUNCTION app.search_users(wanted text, most integer) RETURNS uuid[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM app.require_bound('app.search_users(text, integer)');
    IF NOT app.sees_all('public.users', ARRAY['id', 'name', 'email', 'phone']) THEN
        RETURN NULL;
    END IF;
    RETURN ARRAY(SELECT u.id FROM public.users AS u
                 WHERE app.search_words(u.name, NULL, u.email, u.phone) @@ app.search_query(wanted) LIMIT most);
END
$$;
COMMENT ON FUNCTION app.search_users(text, integer) IS
    'Ids of users by the beginnings of names, e-mail address or phone; NULL to whoever does not see every row';

-- lint: allow moeen.E104: whoever writes a row makes its entry in the index; it knows nothing but what it is given
GRANT EXECUTE ON FUNCTION app.search_words(text, text, text, text) TO PUBLIC;
REVOKE EXECUTE ON FUNCTION app.search_query(text), app.sees_all(regclass, text[]),
    app.search_users(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.search_users(text, integer) TO
    moeen_patient, moeen_doctor, moeen_staff, moeen_supervisor, moeen_admin;
-- What a platform's default privileges give of each new function.
DO $do$
DECLARE
    platform name;
BEGIN
    FOR platform IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION app.search_query(text), '
                                  'app.sees_all(regclass, text[]), app.search_users(text, integer) FROM %I', platform);
    END LOOP;
END
$do$;
