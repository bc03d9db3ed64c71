-- Identity that cannot be forged, and functions whose names cannot be taken over.
--
-- Whoever can run SQL can set a setting, take a role that its login may take, and make objects in pg_temp where it has
-- TEMP. So: what is bound is signed, with a key that no login but the owner reads; nothing is let through unless the
-- signature fits the role and the claims of this moment; and every function resolves names in pg_catalog first and in
-- pg_temp last ('' would search pg_temp first).

-- The functions of earlier migrations.
ALTER FUNCTION app.generate_public_id(text) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION app.fill_public_id() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION app.set_updated_at() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION app.audit_redacted(jsonb) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION app.refuse_change() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION app.allow(text, text, text, text, text) SET search_path = pg_catalog, pg_temp;

-- Schema auth is ours only where no platform brings it.
DO $do$
DECLARE
    target regprocedure;
BEGIN
    FOR target IN SELECT p.oid FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
                  WHERE n.nspname = 'auth' AND p.pronargs = 0 AND p.proname IN ('jwt', 'uid', 'role')
                    AND pg_catalog.obj_description(n.oid, 'pg_namespace') LIKE '%made by moeen' LOOP
        EXECUTE pg_catalog.format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', target);
    END LOOP;
END
$do$;

-- The keys that bindings are signed with; the newest signs. HMAC-SHA256 (RFC 2104) takes the key twice, padded to 64
-- bytes and XORed with 0x36 and 0x5c: kept so, a check costs two hashes fewer.
-- lint: allow moeen.W108: nobody but the owner reads it, so it has row security and no policy
CREATE TABLE IF NOT EXISTS app.identity_keys (
    id text PRIMARY KEY CONSTRAINT identity_keys_id_check CHECK (id ~ '^[0-9a-f]{8}$'),
    secret bytea NOT NULL CONSTRAINT identity_keys_secret_check CHECK (octet_length(secret) = 32),
    inner_pad bytea NOT NULL CONSTRAINT identity_keys_inner_pad_check CHECK (octet_length(inner_pad) = 64),
    outer_pad bytea NOT NULL CONSTRAINT identity_keys_outer_pad_check CHECK (octet_length(outer_pad) = 64),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE app.identity_keys IS 'Keys that sign who a transaction is; read by the owner alone, never shown';
ALTER TABLE app.identity_keys ENABLE ROW LEVEL SECURITY;

-- Anybody may say DROP OWNED BY the role that they act in, and PostgreSQL then drops the policies that are for that role
-- alone. It fails where the role holds a right on a column and none on its table: on this one, which stays empty.
-- lint: allow moeen.W108: nobody reads it, so it has row security and no policy
CREATE TABLE IF NOT EXISTS app.role_anchors (id text PRIMARY KEY);
COMMENT ON TABLE app.role_anchors IS 'Empty; its grants make DROP OWNED BY fail for the roles of row security';
ALTER TABLE app.role_anchors ENABLE ROW LEVEL SECURITY;
-- Whatever default privileges gave.
DO $do$
DECLARE
    given record;
BEGIN
    FOR given IN SELECT DISTINCT c.oid::regclass AS target,
                                 CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END AS grantee
                 FROM pg_catalog.pg_class AS c CROSS JOIN pg_catalog.aclexplode(c.relacl) AS a
                 LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
                 WHERE c.oid IN ('app.identity_keys'::pg_catalog.regclass, 'app.role_anchors'::pg_catalog.regclass)
                   AND a.grantee <> c.relowner LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM %s', given.target, given.grantee);
    END LOOP;
END
$do$;
-- lint: allow moeen.E104: a column of an empty table
GRANT SELECT (id) ON app.role_anchors TO
    moeen_anon, moeen_patient, moeen_doctor, moeen_staff, moeen_supervisor, moeen_admin, moeen_service, moeen_auth;

-- Keeps a key: its id, and 32 bytes of randomness.
CREATE OR REPLACE FUNCTION app.add_identity_key(id text, secret bytea) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    inner_pad bytea := decode(repeat('36', 64), 'hex');
    outer_pad bytea := decode(repeat('5c', 64), 'hex');
BEGIN
    FOR i IN 0..31 LOOP
        inner_pad := set_byte(inner_pad, i, get_byte(secret, i) # 54);
        outer_pad := set_byte(outer_pad, i, get_byte(secret, i) # 92);
    END LOOP;
    INSERT INTO app.identity_keys (id, secret, inner_pad, outer_pad) VALUES (id, secret, inner_pad, outer_pad);
END
$$;
COMMENT ON FUNCTION app.add_identity_key(text, bytea) IS 'Keeps a new key for signing identities; the owner''s';

-- Whether the signature of this transaction fits its role and claims, now; with `wanted`, whether that role is the one.
-- Signed are, a line each: the key's id, the second of expiry since 1970, the role, the claims. Asked by restrictive
-- policies of every table and by every function that reads for the caller. In here current_user is the owner; the setting
-- tells the caller's role, and nobody can set it without taking that role. Equal hashes are compared, not the codes: how
-- long that takes says nothing about the right one. Nothing is cast, so no text is an error: what has another form than
-- id.second.code has no key, or no code that fits. No exceptions are caught: that would forbid parallel plans.
CREATE OR REPLACE FUNCTION app.is_bound(wanted text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    signature constant text := current_setting('moeen.signature', true);
    key record;
BEGIN
    IF wanted <> current_setting('role') THEN
        RETURN false;
    END IF;
    SELECT k.inner_pad, k.outer_pad INTO key FROM app.identity_keys AS k WHERE k.id = left(signature, 8);
    RETURN FOUND
        AND substr(signature, 10, 10) > date_part('epoch', statement_timestamp())::bigint::text COLLATE "C"
        AND sha256(convert_to(substr(signature, 21), 'UTF8')) = sha256(convert_to(encode(sha256(key.outer_pad || sha256(
            key.inner_pad || convert_to(left(signature, 8) || E'\n' || substr(signature, 10, 10) || E'\n'
            || current_setting('role') || E'\n' || coalesce(current_setting('request.jwt.claims', true), ''), 'UTF8')
            )), 'hex'), 'UTF8'));
END
$$;
COMMENT ON FUNCTION app.is_bound(text) IS
    'Whether this transaction''s role (the wanted one, if any is) and claims are signed, and the signature has not expired';

-- Raises 42501 unless the caller is bound, and in a role that may call the function `asked`; or is the owner. Asked by
-- functions that act with the owner's rights. PostgreSQL has looked at current_user, which code that somebody made as
-- another role (SECURITY DEFINER, where they may make any) takes without being that role.
CREATE OR REPLACE FUNCTION app.require_bound(asked regprocedure DEFAULT NULL) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (app.is_bound() AND (asked IS NULL OR has_function_privilege(current_setting('role'), asked, 'EXECUTE'))) IS NOT TRUE
        AND NOT pg_has_role(coalesce(nullif(current_setting('role'), 'none'), session_user)::name, current_user, 'USAGE')
    THEN
        RAISE EXCEPTION 'nobody is bound to this transaction' USING ERRCODE = 'insufficient_privilege',
            HINT = 'Roles are taken by the application or by app.bind_request(), which sign them.';
    END IF;
END
$$;
COMMENT ON FUNCTION app.require_bound(regprocedure) IS
    'Raises an error unless this transaction''s role and claims are signed, and the role may call the function `asked`';

-- The person who acts: users.id from signed claims. NULL for nobody, and for whatever is not signed.
CREATE OR REPLACE FUNCTION app.user_id() RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    subject text;
BEGIN
    IF app.is_bound() THEN
        subject := nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub';
        IF subject LIKE '________-____-____-____-____________'
            AND translate(subject, '0123456789abcdefABCDEF', '') = '----' THEN
            RETURN subject::uuid;
        END IF;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION app.user_id() IS 'The person who acts, users.id, from signed claims; NULL for nobody';

-- The roles that a transaction can be bound to.
CREATE OR REPLACE FUNCTION app.bound_roles() RETURNS name[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT ARRAY['moeen_anon', 'moeen_patient', 'moeen_doctor', 'moeen_staff', 'moeen_supervisor', 'moeen_admin',
                 'moeen_service', 'moeen_auth']::name[]
$$;
COMMENT ON FUNCTION app.bound_roles() IS 'The roles that a transaction can be bound to';

-- A statement may end with other settings than it began with (RETURNING set_config(...)), an older signature of nobody's
-- among them: whoever came as one of our roles writes nothing that the trail could not put their name to.
CREATE OR REPLACE FUNCTION app.audit_actor() RETURNS uuid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    actor constant uuid := app.user_id();
BEGIN
    IF actor IS NULL AND EXISTS (SELECT FROM pg_catalog.pg_roles AS r
                                 WHERE r.rolname = ANY (app.bound_roles()) AND pg_has_role(session_user, r.oid, 'MEMBER')) THEN
        PERFORM app.require_bound();
        IF current_setting('role') = 'moeen_anon' THEN
            RAISE EXCEPTION 'nobody writes here' USING ERRCODE = 'insufficient_privilege';
        END IF;
    END IF;
    RETURN actor;
END
$$;
COMMENT ON FUNCTION app.audit_actor() IS 'The user who acts, by signed claims, or NULL; raises an error where one of our roles is not signed';

-- As it was, but that an identity that is not signed fails the statement.
CREATE OR REPLACE FUNCTION app.audit_statement() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    actor constant uuid := app.audit_actor();  -- an error of a declaration is not caught below
BEGIN
    -- A backfill writes one entry for its run and suspends those of its rows, for its own transaction. Heard only from
    -- a role that could switch the trigger off anyhow. current_user is this function's owner; the caller's is below.
    IF current_setting('app.audit_suspended', true) = 'on' AND pg_has_role(
        coalesce(nullif(current_setting('role', true), 'none'), session_user)::name,
        (SELECT c.relowner FROM pg_catalog.pg_class AS c WHERE c.oid = TG_RELID), 'USAGE'
    ) THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO public.audit_logs (user_id, action, table_name, record_id, new_values)
        SELECT actor, TG_OP, TG_TABLE_NAME, n.id, app.audit_redacted(jsonb_strip_nulls(to_jsonb(n)))
        FROM new_rows AS n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO public.audit_logs (user_id, action, table_name, record_id, old_values)
        SELECT actor, TG_OP, TG_TABLE_NAME, o.id, app.audit_redacted(jsonb_strip_nulls(to_jsonb(o)))
        FROM old_rows AS o;
    ELSIF TG_OP = 'TRUNCATE' THEN
        INSERT INTO public.audit_logs (user_id, action, table_name) VALUES (actor, TG_OP, TG_TABLE_NAME);
    ELSE
        -- Changed columns only; updated_at follows every change and says nothing by itself.
        INSERT INTO public.audit_logs (user_id, action, table_name, record_id, old_values, new_values)
        SELECT actor, TG_OP, TG_TABLE_NAME, coalesce(o.id, n.id),
               app.audit_redacted(difference.before), app.audit_redacted(difference.after)
        FROM old_rows AS o FULL JOIN new_rows AS n ON n.id = o.id
        CROSS JOIN LATERAL (
            SELECT jsonb_object_agg(key, b.value) AS before, jsonb_object_agg(key, a.value) AS after
            FROM jsonb_each(to_jsonb(o)) AS b FULL JOIN jsonb_each(to_jsonb(n)) AS a USING (key)
            WHERE a.value IS DISTINCT FROM b.value AND key <> 'updated_at'
        ) AS difference
        WHERE difference.after IS NOT NULL OR difference.before IS NOT NULL;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    -- SQLSTATE alone: the message could repeat what the row holds.
    RAISE WARNING 'audit trail of %.% not written (SQLSTATE %)', TG_TABLE_SCHEMA, TG_TABLE_NAME, SQLSTATE;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION app.audit_statement() IS
    'Trigger: writes what a statement changed to audit_logs, secrets blacked out; fails the statement only where nobody is bound';

-- Takes tables and their sequences out of everybody's reach but the owner's, the roles of a hosting platform and PUBLIC
-- included: the platform's default privileges give them everything on each new one.
CREATE OR REPLACE FUNCTION app.lock_away(tables text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target regclass; policy name; sequence regclass; others text;
BEGIN
    SELECT string_agg(quote_ident(rolname), ', ') INTO others FROM pg_catalog.pg_roles
    WHERE rolname = ANY (app.bound_roles()) OR rolname IN ('anon', 'authenticated', 'service_role');
    FOR target IN SELECT to_regclass(format('public.%I', t)) FROM unnest(string_to_array(tables, ' ')) AS t LOOP
        CONTINUE WHEN target IS NULL;
        FOR policy IN SELECT polname FROM pg_catalog.pg_policy AS p
                      WHERE polrelid = target AND EXISTS (SELECT FROM unnest(p.polroles) AS r
                                                          JOIN pg_catalog.pg_roles AS o ON o.oid = r
                                                          WHERE o.rolname = ANY (app.bound_roles())) LOOP
            EXECUTE format('DROP POLICY %I ON %s', policy, target);
        END LOOP;
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC%s', target, ', ' || others);
        -- Those of serial and identity columns.
        FOR sequence IN SELECT d.objid FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_class AS c ON c.oid = d.objid
                        WHERE d.refobjid = target AND d.classid = 'pg_catalog.pg_class'::regclass
                          AND d.deptype IN ('a', 'i') AND c.relkind = 'S' LOOP
            EXECUTE format('REVOKE ALL ON SEQUENCE %s FROM PUBLIC%s', sequence, ', ' || others);
        END LOOP;
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    END LOOP;
END
$$;

-- Nothing is let through for our roles but what is signed: a restrictive policy for each role of each table. Each names
-- its role: PostgreSQL takes the policies of current_user, or of a view's owner, which need not be the role that is
-- bound where somebody may make functions or views. What is written is asked about row by row, since a statement's own
-- set_config() would otherwise change who it is behind the first answer.
CREATE OR REPLACE FUNCTION app.signed_only(target text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    role name;
    policy text;
BEGIN
    FOREACH role IN ARRAY app.bound_roles() LOOP
        policy := target || '_bound_' || substr(role, 7);
        EXECUTE format('DROP POLICY IF EXISTS %I ON public.%I', policy, target);
        EXECUTE format('CREATE POLICY %I ON public.%I AS RESTRICTIVE TO %I USING ((SELECT app.is_bound(%L))) '
                       'WITH CHECK (app.is_bound(%L))', policy, target, role, role, role);
    END LOOP;
END
$$;
COMMENT ON FUNCTION app.signed_only(text) IS 'Lets nothing of a table through for our roles but for signed identities';

-- Who may write which column: of our roles, nobody writes id, public_id and the time of making; what else is the
-- server's to say (authors, times of reading) is set by the function `stamp`. The owner's commands and the database's
-- own actions (ON DELETE SET NULL) are not asked. A column updated_at moves with every change, whoever makes it; earlier
-- migrations have seen to that for their own tables.
CREATE OR REPLACE FUNCTION app.guard(target text, prefix text, made_at text DEFAULT 'created_at', stamp text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    bound constant text := format('CURRENT_USER = ANY (%L::name[])', app.bound_roles());
    guarded constant regclass := format('public.%I', target)::regclass;
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = guarded AND a.attname = 'updated_at')
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS t
                        WHERE t.tgrelid = guarded AND t.tgfoid = 'app.set_updated_at()'::regprocedure) THEN
        -- Filling in a public id is no change of the row.
        EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE ON public.%I FOR EACH ROW '
                       'WHEN (OLD.public_id IS NOT DISTINCT FROM NEW.public_id) EXECUTE FUNCTION app.set_updated_at()',
                       target || '_updated_at_keep', target);
    END IF;
    EXECUTE format('CREATE OR REPLACE TRIGGER %I BEFORE INSERT OR UPDATE ON public.%I FOR EACH ROW WHEN (%s) '
                   'EXECUTE FUNCTION app.keep_identity(%L, %L)', target || '_identity_keep', target, bound, prefix, made_at);
    IF stamp IS NOT NULL THEN
        EXECUTE format('CREATE OR REPLACE TRIGGER %I BEFORE INSERT OR UPDATE ON public.%I FOR EACH ROW WHEN (%s) '
                       'EXECUTE FUNCTION app.%I()', target || '_stamp', target, bound, stamp);
    END IF;
END
$$;
COMMENT ON FUNCTION app.guard(text, text, text, text) IS
    'Keeps columns of a table that no role writes: id, public_id, times of making and changing, and what stamp sets';

-- The way back of guard, for reverse files.
CREATE OR REPLACE FUNCTION app.unguard(tables text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY string_to_array(tables, ' ') LOOP
        -- A table that is missing is passed over, too.
        EXECUTE format('DROP TRIGGER IF EXISTS %I ON public.%I', target || '_identity_keep', target);
        EXECUTE format('DROP TRIGGER IF EXISTS %I ON public.%I', target || '_stamp', target);
        EXECUTE format('DROP TRIGGER IF EXISTS %I ON public.%I', target || '_updated_at_keep', target);
    END LOOP;
END
$$;
COMMENT ON FUNCTION app.unguard(text) IS 'Takes the triggers of app.guard away';

-- Trigger of app.guard; its arguments: the prefix of public ids, and the column of the time of making.
CREATE OR REPLACE FUNCTION app.keep_identity() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kept boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.id := gen_random_uuid();
        NEW.public_id := app.generate_public_id(TG_ARGV[0]);
        CASE TG_ARGV[1]
            WHEN 'created_at' THEN NEW.created_at := now();
            WHEN 'assigned_at' THEN NEW.assigned_at := now();
            WHEN 'sent_at' THEN NEW.sent_at := now();
        END CASE;
        RETURN NEW;
    END IF;
    CASE TG_ARGV[1]
        WHEN 'created_at' THEN kept := NEW.created_at IS NOT DISTINCT FROM OLD.created_at;
        WHEN 'assigned_at' THEN kept := NEW.assigned_at IS NOT DISTINCT FROM OLD.assigned_at;
        WHEN 'sent_at' THEN kept := NEW.sent_at IS NOT DISTINCT FROM OLD.sent_at;
    END CASE;
    -- A row without a public id is given one as it is written, while a backfill is pending.
    IF NOT kept OR NEW.id <> OLD.id OR NEW.public_id <> OLD.public_id THEN
        RAISE EXCEPTION 'id, public_id and % of % are not to be changed', TG_ARGV[1], TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION app.keep_identity() IS 'Trigger: id, public_id and the time of making are the server''s, and stay';

-- Whether a text is the path of a page of the application: no other site, no script, nothing that a browser would drop
-- (a tab between two slashes) or take for a slash.
CREATE OR REPLACE FUNCTION app.is_own_path(path text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- No backslash in a literal: the caller's standard_conforming_strings says what that means.
    RETURN path LIKE '/%' AND path NOT LIKE '//%' AND strpos(path, chr(92)) = 0 AND path !~ '[[:space:][:cntrl:]]';
END
$$;
COMMENT ON FUNCTION app.is_own_path(text) IS 'Whether a text is a path of the application, such as /appointments';

-- The role that a person may act in: the wanted one if they hold it, their usual one if none is wanted; NULL for
-- nobody we know or somebody deactivated.
CREATE OR REPLACE FUNCTION app.held_role(person uuid, wanted text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
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
COMMENT ON FUNCTION app.held_role(uuid, text) IS
    'The database role a person acts in: the wanted one if held, else an error; the usual one if none is wanted';

CREATE OR REPLACE FUNCTION app.role_of(person uuid, wanted text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM app.require_bound('app.role_of(uuid, text)');
    RETURN app.held_role(person, wanted);
END
$$;
COMMENT ON FUNCTION app.role_of(uuid, text) IS 'app.held_role() for signing in: moeen_auth asks';

CREATE OR REPLACE FUNCTION app.row_of_alias(alias text) RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM app.require_bound('app.row_of_alias(text)');
    RETURN (SELECT a.row_id FROM public.public_id_aliases AS a WHERE a.alias = $1);
END
$$;
COMMENT ON FUNCTION app.row_of_alias(text) IS 'The id of the row that bore this public id before, or NULL';

-- Who a request of PostgREST is, signed: by the role that its login took and the claims of the token that PostgREST has
-- verified. Unknown, deactivated or malformed: moeen_anon. Once a transaction: whoever takes the entry role again inside a
-- request finds ROW SHARE held on the keys, which no statement gives back before the transaction ends.
CREATE OR REPLACE FUNCTION app.sign_request() RETURNS text[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    entry constant text := coalesce(nullif(current_setting('role'), 'none'), session_user);
    expiry constant text := floor(extract(epoch FROM clock_timestamp()) + 300)::bigint::text;
    said jsonb;
    person uuid;
    claims text;
    role text;
    key record;
BEGIN
    PERFORM FROM pg_catalog.pg_locks AS l
    WHERE l.locktype = 'relation' AND l.pid = pg_backend_pid() AND l.mode = 'RowShareLock'
      AND l.relation = 'app.identity_keys'::regclass
      AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database());
    IF FOUND THEN
        RAISE EXCEPTION 'this transaction is bound already' USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- Types and tables that an earlier request left come before those of the server where pg_temp is not named in the
    -- search_path, and a statement made by PREPARE could stand in for one that the client means.
    IF EXISTS (SELECT FROM pg_catalog.pg_depend AS d
               WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = pg_my_temp_schema())
        OR EXISTS (SELECT FROM pg_catalog.pg_prepared_statements AS p WHERE p.from_sql) THEN
        RAISE EXCEPTION 'an earlier request has left something in this session' USING ERRCODE = 'insufficient_privilege',
            HINT = 'DISCARD ALL mends the session. Nobody needs TEMP on this database: REVOKE TEMP ON DATABASE ... FROM PUBLIC.';
    END IF;
    LOCK TABLE app.identity_keys IN ROW SHARE MODE;
    BEGIN
        said := nullif(current_setting('request.jwt.claims', true), '')::jsonb;
        person := nullif(said ->> 'sub', '')::uuid;
    EXCEPTION WHEN data_exception THEN
        person := NULL;  -- malformed: nobody
    END;
    claims := coalesce(said::text, '');
    role := CASE entry
        WHEN 'service_role' THEN 'moeen_service'
        WHEN 'authenticated' THEN app.held_role(
            person, nullif(coalesce(said ->> 'app_role', said #>> '{app_metadata,app_role}'), ''))
        END;
    role := coalesce(role, 'moeen_anon');
    SELECT k.id, k.inner_pad, k.outer_pad INTO STRICT key FROM app.identity_keys AS k
    ORDER BY k.created_at DESC, k.id LIMIT 1;
    RETURN ARRAY[role, claims, key.id || '.' || expiry || '.' || encode(sha256(key.outer_pad || sha256(
        key.inner_pad || convert_to(key.id || E'\n' || expiry || E'\n' || role || E'\n' || claims, 'UTF8'))), 'hex')];
END
$$;
COMMENT ON FUNCTION app.sign_request() IS
    'Role (by the token that PostgREST verified), claims and signature of a request; once a transaction, for entry roles';

-- PostgREST's db-pre-request. SECURITY INVOKER: a definer function may not set the role. The platform's service key
-- becomes moeen_service, which row security binds.
CREATE OR REPLACE FUNCTION app.bind_request() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    signed constant text[] := app.sign_request();
BEGIN
    -- Older forms of the claims, which platforms' auth.uid() reads first.
    PERFORM set_config('request.jwt.claim', '', true), set_config('request.jwt.claim.sub', '', true),
            set_config('request.jwt.claim.role', '', true), set_config('request.jwt.claims', signed[2], true),
            set_config('moeen.signature', signed[3], true), set_config('row_security', 'on', true),
            set_config('role', signed[1], true);
END
$$;
COMMENT ON FUNCTION app.bind_request() IS 'Pre-request function of PostgREST: the request acts in the caller''s role';

CREATE OR REPLACE FUNCTION app.my_message_ids() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT m.id FROM public.internal_messages AS m, (SELECT app.user_id() AS id) AS me
    WHERE m.sender_id = me.id OR m.recipient_id = me.id
$$;

-- Nobody but the bot and administrators may write notifications; this is how others send one. The address of another
-- site is refused: a notification speaks with the clinic's voice.
CREATE OR REPLACE FUNCTION app.notify(
    recipient uuid, title text, message text, type text DEFAULT 'info', action_url text DEFAULT NULL)
RETURNS uuid LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made uuid;
BEGIN
    PERFORM app.require_bound('app.notify(uuid, text, text, text, text)');
    IF NOT app.is_own_path(action_url) THEN
        RAISE EXCEPTION 'action_url must be a path of the application, such as /appointments'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO public.notifications (user_id, title, message, type, action_url, metadata)
    VALUES (recipient, title, message, type, action_url, jsonb_build_object('sent_by', app.user_id()))
    RETURNING id INTO made;
    RETURN made;
END
$$;

-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS app.caller_role();

REVOKE EXECUTE ON FUNCTION
    app.add_identity_key(text, bytea), app.is_bound(text), app.require_bound(regprocedure),
    app.user_id(), app.bound_roles(), app.lock_away(text), app.signed_only(text), app.guard(text, text, text, text), app.unguard(text),
    app.keep_identity(), app.is_own_path(text), app.held_role(uuid, text), app.role_of(uuid, text), app.row_of_alias(text),
    app.sign_request(), app.bind_request(), app.my_message_ids(), app.notify(uuid, text, text, text, text), app.audit_actor(),
    app.audit_statement()
FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.user_id(), app.is_own_path(text) TO
    moeen_patient, moeen_doctor, moeen_staff, moeen_supervisor, moeen_admin, moeen_service, moeen_auth;
-- lint: allow moeen.E104: the restrictive policy of public settings asks it for nobody in particular too
GRANT EXECUTE ON FUNCTION app.is_bound(text) TO
    moeen_anon, moeen_patient, moeen_doctor, moeen_staff, moeen_supervisor, moeen_admin, moeen_service, moeen_auth;

-- The other road, where a platform brings it. Its own roles come as far as bind_request and no further.
DO $do$
DECLARE
    platform text;
BEGIN
    SELECT string_agg(quote_ident(rolname), ', ') INTO platform
    FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role');
    IF platform IS NOT NULL THEN
        EXECUTE format('REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA app FROM %s', platform);
        EXECUTE format('GRANT EXECUTE ON FUNCTION app.bind_request(), app.sign_request() TO %s', platform);
    END IF;
END
$do$;
