-- What a row points to. A foreign key answers for every row there is, and a policy cannot tell whether a key was changed:
-- who may write the row could point it to a row that they do not see.

-- Trigger of app.guard_reference; its arguments: the column, and the table that it refers to by id. The caller asks, so
-- row security answers. BEFORE: the foreign key itself would tell a row that is hidden from one that is not there.
CREATE OR REPLACE FUNCTION app.keep_in_sight() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target constant uuid := to_jsonb(NEW) ->> TG_ARGV[0];
    is_seen boolean;
BEGIN
    IF TG_OP = 'UPDATE' AND target::text = to_jsonb(OLD) ->> TG_ARGV[0] THEN
        RETURN NEW;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM public.%I AS t WHERE t.id = $1)', TG_ARGV[1]) INTO is_seen USING target;
    IF NOT is_seen THEN
        RAISE EXCEPTION '% points to a row of % that you do not see', TG_ARGV[0], TG_ARGV[1]
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION app.keep_in_sight() IS 'Trigger: a reference that is changed points to a row that the caller sees';

CREATE OR REPLACE FUNCTION app.guard_reference(target text, reference text, seen text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('CREATE OR REPLACE TRIGGER %I BEFORE INSERT OR UPDATE ON public.%I FOR EACH ROW '
                   'WHEN (NEW.%I IS NOT NULL AND CURRENT_USER = ANY (%L::name[])) EXECUTE FUNCTION app.keep_in_sight(%L, %L)',
                   target || '_' || reference || '_in_sight', target, reference, app.bound_roles(), reference, seen);
END
$$;
COMMENT ON FUNCTION app.guard_reference(text, text, text) IS
    'Lets our roles point a column of a table (target, reference) only to rows of the table `seen` that they see';
REVOKE EXECUTE ON FUNCTION app.keep_in_sight(), app.guard_reference(text, text, text) FROM PUBLIC;
-- What a platform's default privileges give of each new function.
DO $do$
DECLARE
    platform name;
BEGIN
    FOR platform IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION app.keep_in_sight(), app.guard_reference(text, text, text) FROM %I', platform);
    END LOOP;
END
$do$;
