-- Who is asking, and the helpers that policies stand on. All are owned by the owner of the tables, whom row security
-- does not bind; each says for itself who may call it.

-- One cell of "who may see and do what": policies <table>_<command>_<role> and the grants that go with them.
-- commands: S I U D, each with its columns where not all: 'S (all but password_hash) U (name, phone)'.
-- seen: the rows that may be read or changed; written: what a new or changed row must be, where that is not the same.
CREATE OR REPLACE FUNCTION app.allow(tables text, roles text, commands text, seen text, written text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    target text; command text; columns text; part text[]; role text; policy text;
BEGIN
    FOREACH target IN ARRAY string_to_array(tables, ' ') LOOP
        FOR part IN SELECT regexp_matches(commands, '([SIUD])(?: \(([^)]*)\))?', 'g') LOOP
            command := CASE part[1] WHEN 'S' THEN 'select' WHEN 'I' THEN 'insert' WHEN 'U' THEN 'update' ELSE 'delete' END;
            columns := part[2];
            IF columns LIKE 'all but %' THEN
                SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns
                FROM pg_catalog.pg_attribute AS a
                WHERE a.attrelid = format('public.%I', target)::regclass AND a.attnum > 0 AND NOT a.attisdropped
                  AND a.attname <> ALL (string_to_array(substr(part[2], 9), ', '));
            END IF;
            FOREACH role IN ARRAY string_to_array(roles, ' ') LOOP
                policy := target || '_' || command || '_' || role;
                IF EXISTS (SELECT FROM pg_catalog.pg_policy
                           WHERE polname = policy AND polrelid = format('public.%I', target)::regclass) THEN
                    EXECUTE format('DROP POLICY %I ON public.%I', policy, target);
                END IF;
                EXECUTE format('CREATE POLICY %I ON public.%I FOR %s TO moeen_%s', policy, target, command, role)
                    || CASE WHEN command <> 'insert' THEN format(' USING (%s)', seen) ELSE '' END
                    || CASE WHEN command IN ('insert', 'update') THEN format(' WITH CHECK (%s)', coalesce(written, seen))
                       ELSE '' END;
            END LOOP;
            EXECUTE format('GRANT %s %s ON public.%I TO moeen_%s', command, '(' || columns || ')', target,
                           replace(roles, ' ', ', moeen_'));
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION app.allow(text, text, text, text, text) IS
    'One cell of "who may see and do what": makes the policies and grants of some tables, roles and commands';

-- Takes tables and their sequences out of everybody's reach but the owner's, the roles of a hosting platform and PUBLIC
-- included: the platform's default privileges give them everything on each new one.
CREATE OR REPLACE FUNCTION app.lock_away(tables text)
RETURNS void LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    target regclass; policy name; sequence regclass; others text;
BEGIN
    SELECT string_agg(quote_ident(rolname), ', ') INTO others FROM pg_catalog.pg_roles
    WHERE rolname LIKE 'moeen\_%' OR rolname IN ('anon', 'authenticated', 'service_role');
    FOR target IN SELECT to_regclass(format('public.%I', t)) FROM unnest(string_to_array(tables, ' ')) AS t LOOP
        CONTINUE WHEN target IS NULL;
        FOR policy IN SELECT polname FROM pg_catalog.pg_policy AS p
                      WHERE polrelid = target AND EXISTS (SELECT FROM unnest(p.polroles) AS r
                                                          JOIN pg_catalog.pg_roles AS o ON o.oid = r
                                                          WHERE o.rolname LIKE 'moeen\_%') LOOP
            EXECUTE format('DROP POLICY %I ON %s', policy, target);
        END LOOP;
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC%s', target, ', ' || others);
        -- Those of serial and identity columns.
        FOR sequence IN SELECT d.objid FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_class AS c ON c.oid = d.objid
                        WHERE d.refobjid = target AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
                          AND c.relkind = 'S' LOOP
            EXECUTE format('REVOKE ALL ON SEQUENCE %s FROM PUBLIC%s', sequence, ', ' || others);
        END LOOP;
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    END LOOP;
END
$$;
COMMENT ON FUNCTION app.lock_away(text) IS
    'Enables row security on tables and takes every policy and grant on them away: nobody but the owner';

-- The role that a person may act in: the wanted one if they hold it, their usual one if none is wanted; NULL for
-- nobody we know or somebody deactivated.
CREATE OR REPLACE FUNCTION app.role_of(person uuid, wanted text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    usual text;
BEGIN
    SELECT u.role INTO usual FROM public.users AS u WHERE u.id = person AND u.is_active;
    IF usual IS NULL OR wanted IS NULL OR wanted = usual THEN
        RETURN 'moeen_' || usual;
    END IF;
    PERFORM FROM public.user_roles AS h JOIN public.roles AS r ON r.id = h.role_id
    WHERE h.user_id = person AND r.is_system AND r.name = wanted
      AND wanted IN ('patient', 'doctor', 'staff', 'supervisor', 'admin');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'this person does not hold the role that is asked for' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN 'moeen_' || wanted;
END
$$;
COMMENT ON FUNCTION app.role_of(uuid, text) IS
    'The database role a person acts in: the wanted one if held, else an error; the usual one if none is wanted';

-- The caller by the claims of the request. Unknown, deactivated or malformed: moeen_anon.
CREATE OR REPLACE FUNCTION app.caller_role() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    claims jsonb; person uuid;
BEGIN
    BEGIN
        claims := nullif(current_setting('request.jwt.claims', true), '')::jsonb;
        person := auth.uid();
    EXCEPTION WHEN data_exception THEN
        RETURN 'moeen_anon';
    END;
    RETURN coalesce(app.role_of(person, nullif(coalesce(claims ->> 'app_role',
                                                        claims #>> '{app_metadata,app_role}'), '')), 'moeen_anon');
END
$$;
COMMENT ON FUNCTION app.caller_role() IS 'The database role of the caller, by the claims of the request';

-- PostgREST's db-pre-request. SECURITY INVOKER: a definer function may not set the role. The platform's service key
-- becomes moeen_service, which row security binds.
CREATE OR REPLACE FUNCTION app.bind_request() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = ''
AS $$
BEGIN
    PERFORM set_config('role', CASE current_user WHEN 'service_role' THEN 'moeen_service'
                                                 WHEN 'authenticated' THEN app.caller_role()
                                                 ELSE 'moeen_anon' END, true);
END
$$;
COMMENT ON FUNCTION app.bind_request() IS 'Pre-request function of PostgREST: the request acts in the caller''s role';

-- Messages that the caller sent or received: what an answer may refer to.
CREATE OR REPLACE FUNCTION app.my_message_ids() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT id FROM public.internal_messages WHERE sender_id = auth.uid() OR recipient_id = auth.uid()
$$;
COMMENT ON FUNCTION app.my_message_ids() IS 'Internal messages that the caller sent or received';

-- Nobody but the bot and administrators may write notifications; this is how others send one. The address of another
-- site is refused: a notification speaks with the clinic's voice.
CREATE OR REPLACE FUNCTION app.notify(
    recipient uuid, title text, message text, type text DEFAULT 'info', action_url text DEFAULT NULL)
RETURNS uuid LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    made uuid;
BEGIN
    IF action_url !~ '^/[^/\\]' THEN
        RAISE EXCEPTION 'action_url must be a path of the application, such as /appointments'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO public.notifications (user_id, title, message, type, action_url, metadata)
    VALUES (recipient, title, message, type, action_url, jsonb_build_object('sent_by', auth.uid()))
    RETURNING id INTO made;
    RETURN made;
END
$$;
COMMENT ON FUNCTION app.notify(uuid, text, text, text, text) IS 'Sends a user a notification, in the caller''s name';

REVOKE EXECUTE ON FUNCTION
    app.allow(text, text, text, text, text), app.lock_away(text), app.role_of(uuid, text), app.caller_role(),
    app.bind_request(), app.my_message_ids(), app.notify(uuid, text, text, text, text),
    app.generate_public_id(text), app.fill_public_id(), app.set_updated_at()
FROM PUBLIC;

-- Before PostgreSQL 15 anybody may create tables and functions in schema public. Where it is not ours to close,
-- validate_schema says so.
DO $do$
BEGIN
    IF (SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'public') THEN
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    END IF;
END
$do$;

GRANT USAGE ON SCHEMA public, app TO
    moeen_anon, moeen_patient, moeen_doctor, moeen_staff, moeen_supervisor, moeen_admin, moeen_service, moeen_auth;
-- The default of every public id.
GRANT EXECUTE ON FUNCTION app.generate_public_id(text) TO
    moeen_patient, moeen_doctor, moeen_staff, moeen_supervisor, moeen_admin, moeen_service, moeen_auth;
GRANT EXECUTE ON FUNCTION app.notify(uuid, text, text, text, text) TO
    moeen_patient, moeen_doctor, moeen_staff, moeen_supervisor, moeen_admin, moeen_service;
GRANT EXECUTE ON FUNCTION app.my_message_ids() TO moeen_patient, moeen_doctor, moeen_staff, moeen_supervisor;
-- The look-ups of a wanted role before it is taken (acting_as), and of whose a former public id was. No person's role
-- calls them: the answers tell of rows whether the caller may see them or not.
GRANT EXECUTE ON FUNCTION app.role_of(uuid, text), app.row_of_alias(text) TO moeen_auth;

-- The other road, where a platform brings it. Its own roles come as far as bind_request and no further: default
-- privileges of the platform may have granted them our functions.
DO $do$
DECLARE
    platform text;
BEGIN
    SELECT string_agg(quote_ident(rolname), ', ') INTO platform
    FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role');
    IF platform IS NOT NULL THEN
        EXECUTE format('REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA app FROM %s', platform);
        EXECUTE format('GRANT USAGE ON SCHEMA public, app TO %s', platform);
        EXECUTE format('GRANT EXECUTE ON FUNCTION app.bind_request(), app.caller_role() TO %s', platform);
    END IF;
END
$do$;
