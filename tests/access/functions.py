# ruff: noqa: E501 - what is done, and what it must lead to, side by side
"""What each function of schema app must do, and who may call it: written down, not derived from the SQL.

A case is what must come out of its last step, and the steps: `who: statements`. Who: `owner`; a role, which the person
of the matrix acts in (`patient`, or `patient/p2` for another); `superuser`; `neighbour`, another session of the owner's; `~` and how the signature is forged (see FORGERIES) where
it is; `anon`, `authenticated/p1`, `service_role` of a platform, as its requests come, with the claims in braces where
they are others, `~unbound` before app.bind_request(), `~as login unbound` where it is the login itself. `<table.label>` is the key of a row of the world,
`[signature of service]` what the role would be signed with where it has no claims. All is undone.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Error:
    """The SQLSTATE of an error."""

    state: str


@dataclass(frozen=True)
class Warned:
    """Part of a warning, and what comes out besides. Where nothing is said of one, there must be none."""

    text: str
    result: object


@dataclass(frozen=True)
class Function:
    """`callers`: who may execute it besides the owner. `definer`: runs with the owner's rights.

    `is_inlined`: has no path of its own but its caller's. `settings`: beside the path.
    """

    callers: str
    definer: bool
    cases: tuple
    is_inlined: bool = False
    settings: tuple = ()


REFUSED, INVALID, NO_SUCH_ROW, RESTRICTED = Error("42501"), Error("22023"), Error("P0002"), Error("23001")
INVALID_TEXT, NOT_ALLOWED, LOCKED = Error("22P02"), Error("23514"), Error("55P03")
#: No row comes back.
NOTHING = ()

PEOPLE = "patient doctor staff supervisor admin"
SIGNED_IN = f"{PEOPLE} service auth"
EVERYBODY = f"anon {SIGNED_IN}"
PLATFORM = "anon_ authenticated_ service_role_"

#: How a signature may be wrong, see Stage.signature().
FORGERIES = (
    "unsigned", "nonsense", "expired", "role", "claims", "other claims", "unknown key", "other secret", "other id",
    "longer", "shorter", "upper case", "no number",
)  # fmt: skip
#: Where one of these holds, any function that acts for the caller would be misled.
TELLING = ("unsigned", "expired", "unknown key")


def forged(expected, *steps, kinds=TELLING):
    return tuple((expected, *(step.replace("~:", f"~{kind}:") for step in steps)) for kind in kinds)


def each(expected, whos, statement):
    return tuple((expected, f"{who}: {statement}") for who in whos.split())


#: What a hosting platform would give its roles of each new table.
CLOSED = " ".join(
    f"ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON {kind} FROM anon, authenticated, service_role;"
    for kind in ("TABLES", "SEQUENCES")
)
SCRATCH = (
    f"owner: {CLOSED} CREATE TABLE scratch "
    "(id uuid PRIMARY KEY, public_id text, created_at timestamptz, note text, n serial)"
)
GRANTS = """owner: SELECT string_agg(concat_ws(' ', c.relkind::text, pg_get_userbyid(a.grantee), a.privilege_type, t.attname), ', '
    ORDER BY c.relkind, pg_get_userbyid(a.grantee), a.privilege_type, t.attname)
    FROM pg_class c LEFT JOIN pg_attribute t ON t.attrelid = c.oid AND t.attacl IS NOT NULL
    CROSS JOIN aclexplode(coalesce(t.attacl, c.relacl)) a WHERE c.relname LIKE 'scratch%' AND a.grantee <> c.relowner"""
POLICIES = """owner: SELECT string_agg(concat_ws(' | ', policyname, permissive, (SELECT string_agg(r, ' ' ORDER BY r) FROM unnest(roles) AS r), cmd, qual, with_check), '; ' ORDER BY policyname)
    FROM pg_policies WHERE tablename = 'scratch'"""
TRIGGERS = """owner: SELECT string_agg(concat_ws(' ', tgname, tgenabled, substr(pg_get_triggerdef(oid), strpos(pg_get_triggerdef(oid), 'BEFORE'))), '; ' ORDER BY tgname)
    FROM pg_trigger WHERE tgrelid = 'scratch'::regclass"""
AFTER = TRIGGERS.replace("'BEFORE'", "'AFTER'")
TIMED = "owner: ALTER TABLE scratch ADD updated_at timestamptz"
TIMES = TRIGGERS + " AND tgname NOT LIKE '%identity%'"
MOVED = (
    "BEFORE UPDATE ON public.scratch FOR EACH ROW WHEN ((NOT (old.public_id IS DISTINCT FROM new.public_id))) "
    "EXECUTE FUNCTION app.set_updated_at()"
)
BOUND_ROLES = ", ".join(f"moeen_{role}" for role in ("anon", *PEOPLE.split(), "service", "auth"))
WHEN = "WHEN ((CURRENT_USER = ANY ('{" + BOUND_ROLES.replace(" ", "") + "}'::name[])))"
SEALED = (
    "owner: INSERT INTO audit_logs (action, table_name, transaction_id) VALUES ('sealed', 't', 7); INSERT INTO audit_seals "
    "(number, format, sealed_at, previous, root, entries, total, columns, system, first_transaction, last_transaction, "
    "complete_below, next_transaction, reason, hash, signature, leaves, pruned_through) "
    "VALUES (3, 1, now(), '', '', 1, 1, '[]', '', 7, 7, 8, 8, '', '', '', "
    "(SELECT uuid_send(id) || decode(repeat('00', 48), 'hex') FROM audit_logs WHERE action = 'sealed'),"
)
AS_OWNER = (
    "DO $$ BEGIN EXECUTE format('GRANT %I TO {}', pg_get_userbyid((SELECT relowner FROM pg_class "
    "WHERE oid = 'patients'::regclass))); END $$"
)
LOG = "FROM audit_logs WHERE created_at >= now() AND table_name ="
SIGN_INS = f"owner: SELECT concat_ws(' ', action, record_id, user_id, acted_as, old_values, new_values) {LOG} 'users'"
TRIES = f"owner: SELECT concat_ws(' ', count(*) OVER (), new_values) {LOG} 'users' ORDER BY created_at DESC LIMIT 1"
AS_P1 = 'auth{"sub": "<users.p1>"}:'
OTHERS_OF_KIND = f"owner: SELECT count(*) {LOG} 'users' AND action = "
CHANGED = SIGN_INS + " AND action = 'PASSWORD_CHANGED'"
LONG_AGO = "owner: INSERT INTO audit_logs (action, table_name, created_at, record_id) SELECT 'SIGN_IN_FAILED', 'users', now() - interval '20 minutes', "
SHOWN = "concat_ws(' ', action, table_name, record_id, patient_id, user_id, acted_as, new_values)"
READS = f"owner: SELECT {SHOWN} FROM audit_logs WHERE action = 'READ' AND created_at >= now()"
READ_AS = """SELECT app.record_reads('[{{"table": "{}", "id": "<patients.p1>", "purpose": "{}"}}]')"""
MANY = """SELECT app.record_reads(jsonb_agg('{{"table": "patients", "purpose": "legal"}}'::jsonb)) FROM generate_series(1, {})"""
BROKEN = "doctor: SELECT app.break_glass('<patients.p2>', 'found unconscious')"
OPENED = (
    "owner: INSERT INTO audit_logs (action, table_name, user_id, patient_id, created_at, new_values, transaction_id) VALUES ('{}', 'patients', "
    "'<users.d1>', '<patients.p2>', clock_timestamp() - interval '{} minutes', jsonb_build_object('until', clock_timestamp() + interval '{} minutes'), 1)"
)
#: As app.break_glass() leaves it, once that is committed.
OPEN = OPENED.format("BREAK_GLASS", 5, 55)
ADD_KEY = "SELECT app.add_identity_key('0a0a0a0a', decode(repeat('0a', 32), 'hex'))"
BOT = "<chatbot_integrations.bot>"
ASKS = f"service: SELECT app.integration_secret('{BOT}')"
#: As app.integration_secret() leaves it, once that is committed.
ASKED = (
    "owner: INSERT INTO audit_logs (action, table_name, record_id, created_at, user_id, transaction_id) VALUES "
    "('READ_SECRET', 'chatbot_integrations', '{}', clock_timestamp() - interval '{} seconds', {}, 1)"
)
TOLD = "owner: SELECT {} FROM notifications WHERE created_at >= now() AND type = 'warning'"
MINE = "patient: SELECT concat_ws(' ', who, acted_as, action, table_name, purpose) FROM app.accesses_of_my_record() LIMIT 1"
NOTE = "INSERT INTO notifications (user_id, title, message, is_read, read_at, action_url) VALUES"
#: A flow of s1's that is published while the policies take it for a draft.
PUBLISHED = (
    "owner: UPDATE chatbot_flows SET status = 'published' WHERE id = '<chatbot_flows.s1>'; "
    "CREATE OR REPLACE FUNCTION app.my_unpublished_flow_ids() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER "
    "SET search_path = pg_catalog, pg_temp AS 'SELECT f.id FROM public.chatbot_flows AS f WHERE f.created_by = app.user_id()'"
)
LINKED = "owner: SELECT user_id::text FROM"


REQUESTED = """SELECT set_config('moeen.request', '{"address": "192.0.2.7", "agent": "a", "id": "r"}', true)"""
SUSPENDED = (
    "owner: SELECT app.suspend_audit('<users.p1>', 'patients', 'BACKFILL', '{}'); "
    "SELECT set_config('app.audit_suspended', '<users.p1>', true);"
)


def _author(table, insert, update):
    """The author of a row is who makes it, and stays."""
    return (
        ("<users.v1>", f"supervisor: {insert} RETURNING created_by::text"),
        (REFUSED, f"supervisor: UPDATE {table} SET created_by = '<users.v1>' WHERE id = '<{update}>'"),
        (REFUSED, f"admin: UPDATE {table} SET created_by = NULL WHERE id = '<{update}>'"),
        (1, f"supervisor: UPDATE {table} SET created_by = created_by, name = 'other' WHERE id = '<{update}>'"),
    )


def _kept(table, row, role, made_at="created_at"):
    """What no role writes stays, and the rest may be written."""
    where = f"WHERE id = '<{table}.{row}>'"
    return (
        (REFUSED, f"{role}: UPDATE {table} SET id = gen_random_uuid() {where}"),
        (REFUSED, f"{role}: UPDATE {table} SET public_id = left(public_id, 4) || repeat('a', 24) {where}"),
        (REFUSED, f"{role}: UPDATE {table} SET {made_at} = '2020-01-01' {where}"),
        (1, f"{role}: UPDATE {table} SET id = id, public_id = public_id, {made_at} = {made_at} {where}"),
        (1, f"owner: UPDATE {table} SET {made_at} = '2020-01-01' {where}"),
    )


#: Name and types of the arguments -> what must hold. A new function needs a line, see Probe.catalog_differences().
FUNCTIONS = {
    # --- searching ---
    "search_words(text,text,text,text)": Function("PUBLIC_", False, (
        *((words, f"owner: SELECT app.search_words({said})::text") for words, said in (
            ("'احمد' 'رحمن' 'عبد'", "'أحمد', 'عبدالرحمن', NULL, NULL"), ("'رحمن' 'عبد'", "'عبد الرحمن', NULL, NULL, NULL"),
            ("'محمد'", "NULL, 'مُحَمَّــد', NULL, NULL"), ("'سعود' 'فاطمه'", "'فاطمة', 'آل سعود', NULL, NULL"),
            ("'هدي'", "'هدى هدی', NULL, NULL, NULL"), ("'al' 'harbi' 'sara'", "'SARA', 'Al-Harbi', NULL, NULL"),
            ("'a.b@example.sa'", "NULL, NULL, 'A.b@Example.sa', NULL"),
            *(("'577123456'", f"NULL, NULL, NULL, '{phone}'") for phone in (
                "0577123456", "+966 57-712 3456", "00966577123456", "٠٥٧٧١٢٣٤٥٦", "9660577123456", "(577) 123.456", "577/123456")),
            ("'971501234567'", "NULL, NULL, NULL, '+971 50 123 4567'"), ("'966123'", "NULL, NULL, NULL, '966123'"),
            ("", "NULL, NULL, NULL, NULL"), ("", "'ال -', '', '', ''"), ("'12' 'غرفه'", "'غرفة ١٢', NULL, NULL, NULL"))),
        # Whoever writes a row makes its entry in the index.
        *each(1, "staff supervisor admin", "INSERT INTO patients (first_name, last_name) VALUES ('a', 'b')"),
    )),
    "search_query(text)": Function("", False, (
        *((query, f"owner: SELECT app.search_query('{said}')::text") for query, said in (
            ("'احمد':* & 'قحطاني':*", "أحمد القحطاني"), ("'رحمن':* & 'عبد':*", "عبدالرحمن"), ("'عبد':*", "عبدا"),
            *(("'577123456':*", phone) for phone in ("0577123456", "+966 57 712 3456", "٠٥٧٧ ١٢٣ ٤٥٦", "057-712-3456")),
            ("'577':*", "0577"), ("'احمد':* & '577':*", "احمد ٠٥٧٧"), ("'maha@x.sa':*", "Maha@X.sa"), ("'1@x.sa':*", "1@x.sa"),
            ("'b\\\\c':*", "b\\c"), ("'b''c@x':*", "b''c@x"), (None, ""), (None, "ال"), (None, " - "))),
        (None, "owner: SELECT app.search_query(NULL)"),
    )),
    "sees_all(regclass,text[])": Function("", False, (
        (True, "owner: SELECT app.sees_all('patients', ARRAY['phone'])"),
        # The rest by what asks it.
    )),
    **{
        f"search_{name}(text,integer)": Function(f"{narrowed} {sees}", True, (
            *each(f"{{<{table}.{row}>}}", sees, f"SELECT app.search_{name}('{text}', 9)::text"),
            *each(None, narrowed, f"SELECT app.search_{name}('{text}', 9)"),
            ("{}", f"admin: SELECT app.search_{name}('elsewhere', 9)::text"),
            ("{}", f"admin: SELECT app.search_{name}('{text}', 0)::text"),
            (f"{{<{table}.{row}>}}", f"owner: SELECT app.search_{name}('{text}', 9)::text"),
            *forged(REFUSED, f"admin~: SELECT app.search_{name}('{text}', 9)"),
            # Who does not see every row, or every column that is looked into, learns nothing of the others.
            (None, f"owner: CREATE POLICY kept ON {table} AS RESTRICTIVE FOR SELECT TO moeen_admin USING (phone IS NULL)", f"admin: SELECT app.search_{name}('{text}', 9)"),
            (None, f"owner: CREATE POLICY kept ON {table} AS RESTRICTIVE USING (phone IS NULL)", f"admin: SELECT app.search_{name}('{text}', 9)"),
            (f"{{<{table}.{row}>}}", f"owner: CREATE POLICY kept ON {table} AS RESTRICTIVE FOR UPDATE TO moeen_admin USING (phone IS NULL)", f"admin: SELECT app.search_{name}('{text}', 9)::text"),
            (f"{{<{table}.{row}>}}", f"owner: CREATE POLICY kept ON {table} AS RESTRICTIVE TO moeen_staff USING (phone IS NULL)", f"admin: SELECT app.search_{name}('{text}', 9)::text"),
            (None, f"owner: CREATE POLICY kept ON {table} FOR UPDATE TO {', '.join(f'moeen_{one}' for one in narrowed.split())} USING (true)", f"{narrowed.split()[0]}: SELECT app.search_{name}('{text}', 9)"),
            (f"{{<{table}.{row}>}}", f"owner: CREATE POLICY kept ON {table} TO moeen_{narrowed.split()[-1]} USING (true)", f"{narrowed.split()[-1]}: SELECT app.search_{name}('{text}', 9)::text"),
            (f"{{<{table}.{row}>}}", "owner: CREATE POLICY kept ON settings AS RESTRICTIVE TO moeen_admin USING (false)", f"admin: SELECT app.search_{name}('{text}', 9)::text"),
            *((None, f"owner: REVOKE SELECT ON {table} FROM moeen_admin; GRANT SELECT ({', '.join(c for c in columns if c != left)}) ON {table} TO moeen_admin", f"admin: SELECT app.search_{name}('{text}', 9)")
              for left in columns),
            (f"{{<{table}.{row}>}}", f"owner: REVOKE SELECT ON {table} FROM moeen_admin; GRANT SELECT ({', '.join(columns)}) ON {table} TO moeen_admin", f"admin: SELECT app.search_{name}('{text}', 9)::text"),
        ))
        for name, table, columns, row, text, sees, narrowed in (
            ("patients", "patients", ("first_name", "last_name", "email", "id", "phone"), "p2", "p2", "staff supervisor admin", "patient doctor"),
            ("users", "users", ("name", "email", "id", "phone"), "s2", "S2@example", "staff supervisor admin", "patient doctor"),
            ("leads", "crm_leads", ("name", "company", "email", "id", "phone"), "s2", "s2", "supervisor admin", "staff"),
        )
    },
    # --- who is asking ---
    "is_bound(text)": Function(EVERYBODY, True, (
        *each(True, EVERYBODY, "SELECT app.is_bound()"),
        *forged(False, "patient~: SELECT app.is_bound()", kinds=FORGERIES),
        *forged(0, "admin~: SELECT count(*) FROM patients", kinds=FORGERIES),
        *forged(0, "anon~: SELECT count(*) FROM settings", kinds=FORGERIES),
        (False, "patient: SELECT set_config('role', 'moeen_admin', true); SELECT app.is_bound()"),
        (0, "patient: SELECT set_config('role', 'moeen_admin', true); SELECT count(*) FROM patients"),
        (False, "patient: SELECT set_config('request.jwt.claims', '{\"sub\": \"<users.p2>\"}', true); SELECT app.is_bound()"),
        (False, "patient: SELECT set_config('request.jwt.claims', '', true); SELECT app.is_bound()"),
        (False, "owner: SELECT app.is_bound()"),
        (True, "patient: SELECT app.is_bound('moeen_patient')"),
        (False, "patient: SELECT app.is_bound('moeen_admin')"),
        (True, "neighbour: SELECT set_config('role', 'moeen_service', true), set_config('moeen.signature', '[signature of service]', true); SELECT app.is_bound()"),
        (True, "owner: SELECT app.add_identity_key('0123abcd', decode(repeat('ab', 32), 'hex'))", "patient: SELECT app.is_bound()"),
        (False, "owner: DELETE FROM app.identity_keys", "patient: SELECT app.is_bound()"),
    )),
    "require_bound(regprocedure)": Function("", False, (
        *forged(REFUSED, "patient~: SELECT app.notify('<users.d1>', 't', 'm')", kinds=FORGERIES),
        ("t", "patient: SELECT app.notify('<users.d1>', 't', 'm'); SELECT 't'"),
        ("", "owner: SELECT app.require_bound()"),
        (REFUSED, "owner: GRANT USAGE ON SCHEMA app TO authenticator; GRANT EXECUTE ON FUNCTION app.notify(uuid, text, text, text, text) TO authenticator", "authenticator~unbound: SELECT app.notify('<users.d1>', 't', 'm')"),
        # A patient's signature, and a function that signing in may call: as one made in the name of its role would ask.
        (REFUSED, "owner: CREATE FUNCTION app.asked() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT app.row_of_alias('x')::text $$; GRANT EXECUTE ON FUNCTION app.asked() TO moeen_patient", "patient: SELECT app.asked()"),
    )),
    "user_id()": Function(SIGNED_IN, True, (
        ("<users.p1>", "patient: SELECT app.user_id()::text"),
        ("<users.p2>", "patient/p2: SELECT app.user_id()::text"),
        (None, "service: SELECT app.user_id()"),
        (None, "patient{\"sub\": \"x\"}: SELECT app.user_id()"),
        (None, "patient{\"sub\": \"----\"}: SELECT app.user_id()"),
        (None, "patient{\"sub\": \"gggggggg-gggg-gggg-gggg-gggggggggggg\"}: SELECT app.user_id()"),
        (None, "patient{\"sub\": \"<users.p1>x\"}: SELECT app.user_id()"),
        *forged(None, "patient~: SELECT app.user_id()", kinds=FORGERIES),
    )),
    "audit_actor()": Function("", False, (
        ("<users.p1>", "patient: UPDATE patients SET phone = '0500'", f"owner: SELECT user_id::text {LOG} 'patients'"),
        (REFUSED, "patient: UPDATE patients SET phone = '0500' RETURNING set_config('request.jwt.claims', '', true)"),
        (REFUSED, "patient: UPDATE patients SET phone = '0500' RETURNING set_config('request.jwt.claims', '', true), set_config('role', 'moeen_anon', true), set_config('moeen.signature', '[signature of anon]', true)"),
        (1, "auth: UPDATE users SET last_login = now() WHERE id = '<users.p1>'"),
    )),
    "held_role(uuid,text)": Function("", False, (
        ("moeen_patient", "owner: SELECT app.held_role('<users.p1>', NULL)"),
        ("moeen_patient", "owner: SELECT app.held_role('<users.p1>', 'patient')"),
        ("moeen_staff", "owner: SELECT app.held_role('<users.d2>', 'staff')"),
        ("moeen_doctor", "owner: SELECT app.held_role('<users.d2>', NULL)"),
        (None, "owner: SELECT app.held_role('<users.left>', NULL)"),
        (None, "owner: SELECT app.held_role('<users.left>', 'admin')"),
        (None, "owner: SELECT app.held_role(NULL, 'admin')"),
        (REFUSED, "owner: SELECT app.held_role('<users.p1>', 'staff')"),
        (REFUSED, "owner: SELECT app.held_role('<users.d2>', 'admin')"),
        (REFUSED, "owner: SELECT app.held_role('<users.p1>', 'nurse')"),
        (REFUSED, "owner: UPDATE roles SET is_system = true WHERE name = 'nurse'", "owner: SELECT app.held_role('<users.p1>', 'nurse')"),
        (REFUSED, "owner: UPDATE roles SET is_system = false WHERE name = 'staff'", "owner: SELECT app.held_role('<users.d2>', 'staff')"),
        *((f"moeen_{role}", f"owner: INSERT INTO user_roles (user_id, role_id) VALUES ('<users.s2>', '<roles.system {role}>')", f"owner: SELECT app.held_role('<users.s2>', '{role}')")
          for role in PEOPLE.split()),
    )),
    "role_of(uuid,text)": Function("auth", True, (
        ("moeen_staff", "auth: SELECT app.role_of('<users.d2>', 'staff')"),
        ("moeen_doctor", "auth: SELECT app.role_of('<users.d2>')"),
        (REFUSED, "auth: SELECT app.role_of('<users.d1>', 'staff')"),
        *forged(REFUSED, "auth~: SELECT app.role_of('<users.d2>')"),
    )),
    "roles_of(uuid)": Function("auth", True, (
        ("{doctor,staff}", "auth: SELECT app.roles_of('<users.d2>')::text"),
        ("{staff}", "auth: SELECT app.roles_of('<users.s1>')::text"),
        ("{}", "auth: SELECT app.roles_of('<users.left>')::text"),
        ("{}", "auth: SELECT app.roles_of('00000000-0000-4000-8000-000000000000')::text"),
        ("{staff,admin,doctor,patient,supervisor}", *(f"owner: INSERT INTO user_roles (user_id, role_id) VALUES ('<users.s2>', '<roles.system {role}>')" for role in PEOPLE.split()), "auth: SELECT app.roles_of('<users.s2>')::text"),
        ("{staff}", "owner: INSERT INTO roles (name) VALUES ('midwife')", "owner: INSERT INTO user_roles (user_id, role_id) SELECT '<users.s2>', id FROM roles WHERE name = 'midwife'", "auth: SELECT app.roles_of('<users.s2>')::text"),
        ("{patient}", "auth: SELECT app.roles_of('<users.p1>')::text"),
        ("{}", "owner: INSERT INTO user_roles (user_id, role_id) VALUES ('<users.left>', '<roles.system staff>'), ('<users.left>', '<roles.system doctor>')", "auth: SELECT app.roles_of('<users.left>')::text"),
        ("{doctor}", "owner: UPDATE roles SET is_system = false WHERE name = 'staff'", "auth: SELECT app.roles_of('<users.d2>')::text"),
        ("{staff}", "owner: INSERT INTO roles (name, is_system) VALUES ('midwife', true)", "owner: INSERT INTO user_roles (user_id, role_id) SELECT '<users.s2>', id FROM roles WHERE name = 'midwife'", "auth: SELECT app.roles_of('<users.s2>')::text"),
        *forged(REFUSED, "auth~: SELECT app.roles_of('<users.d2>')"),
    )),
    "keep_an_administrator()": Function("", True, (
        (RESTRICTED, "admin: UPDATE users SET role = 'staff' WHERE id = '<users.a1>'"),
        (RESTRICTED, "admin: UPDATE users SET is_active = false WHERE id = '<users.a1>'"),
        (RESTRICTED, "admin: DELETE FROM users WHERE role = 'admin'"),
        (1, "admin: UPDATE users SET role = 'admin' WHERE id = '<users.s1>'", "admin: UPDATE users SET role = 'staff' WHERE id = '<users.a1>'"),
        (1, "admin: UPDATE users SET is_active = true WHERE id = '<users.left>'", "admin: DELETE FROM users WHERE id = '<users.a1>'"),
        (1, "admin: INSERT INTO user_roles (user_id, role_id) VALUES ('<users.s1>', '<roles.system admin>')", "admin: UPDATE users SET role = 'staff' WHERE id = '<users.a1>'"),
        (RESTRICTED, "owner: INSERT INTO user_roles (user_id, role_id) VALUES ('<users.s1>', '<roles.system admin>')", "owner: UPDATE users SET role = 'staff' WHERE id = '<users.a1>'", "admin: DELETE FROM user_roles WHERE user_id = '<users.s1>'"),
        (RESTRICTED, "owner: INSERT INTO user_roles (user_id, role_id) VALUES ('<users.s1>', '<roles.system admin>')", "owner: UPDATE users SET role = 'staff' WHERE id = '<users.a1>'", "admin: UPDATE user_roles SET role_id = '<roles.system patient>' WHERE role_id = '<roles.system admin>'"),
        (RESTRICTED, "owner: INSERT INTO user_roles (user_id, role_id) VALUES ('<users.s1>', '<roles.system admin>')", "owner: UPDATE users SET role = 'staff' WHERE id = '<users.a1>'", "admin: DELETE FROM roles WHERE name = 'admin'"),
        (RESTRICTED, "owner: INSERT INTO user_roles (user_id, role_id) VALUES ('<users.left>', '<roles.system admin>')", "admin: UPDATE users SET role = 'staff' WHERE id = '<users.a1>'"),
        (RESTRICTED, "owner: UPDATE roles SET is_system = false WHERE name = 'admin'; INSERT INTO user_roles (user_id, role_id) VALUES ('<users.s1>', '<roles.system admin>')", "admin: UPDATE users SET role = 'staff' WHERE id = '<users.a1>'"),
        (1, "owner: UPDATE users SET role = 'staff' WHERE id = '<users.a1>'"),
        (1, "admin: UPDATE users SET name = 'n' WHERE id = '<users.a1>'"),
        # One after the other: of two administrators, each could find the other still there.
        (LOCKED, "neighbour: SELECT pg_advisory_xact_lock(hashtextextended('app.keep_an_administrator()', 0))", "admin: SELECT set_config('lock_timeout', '50ms', true); UPDATE users SET role = 'admin' WHERE id = '<users.s1>'"),
    )),
    "keep_in_sight()": Function("", False, (
        (REFUSED, "staff: UPDATE crm_deals SET lead_id = '<crm_leads.s2>' WHERE id = '<crm_deals.s1>'"),
        (REFUSED, "staff: UPDATE crm_deals SET lead_id = '00000000-0000-4000-8000-000000000000' WHERE id = '<crm_deals.s1>'"),
        (1, "staff: UPDATE crm_deals SET lead_id = NULL WHERE id = '<crm_deals.s1>'"),
        (1, "owner: UPDATE crm_deals SET lead_id = NULL WHERE id = '<crm_deals.s1>'", "staff: UPDATE crm_deals SET lead_id = '<crm_leads.s1>' WHERE id = '<crm_deals.s1>'"),
        ("<crm_leads.s1>", "owner: UPDATE crm_deals SET lead_id = NULL WHERE id = '<crm_deals.s1>'", "staff: UPDATE crm_deals SET lead_id = '<crm_leads.s1>' WHERE id = '<crm_deals.s1>'", "owner: SELECT lead_id::text FROM crm_deals WHERE id = '<crm_deals.s1>'"),
        # What somebody else pointed there stays.
        (1, "supervisor: UPDATE crm_deals SET lead_id = '<crm_leads.s2>' WHERE id = '<crm_deals.s1>'", "staff: UPDATE crm_deals SET lead_id = lead_id, title = 'n' WHERE id = '<crm_deals.s1>'"),
        (REFUSED, "staff: INSERT INTO crm_activities (type, subject, owner_id, deal_id) VALUES ('call', 'n', '<users.s1>', '<crm_deals.s2>')"),
        (REFUSED, "owner: INSERT INTO chatbot_integrations (id, provider, name, config) VALUES ('<users.p1>', 'web', 'n', '{}')", "supervisor: UPDATE conversations SET integration_id = '<users.p1>' WHERE id = '<conversations.p1>'"),
        (1, "owner: INSERT INTO chatbot_integrations (id, provider, name, config) VALUES ('<users.p1>', 'web', 'n', '{}')", "admin: UPDATE conversations SET integration_id = '<users.p1>' WHERE id = '<conversations.p1>'"),
    )),
    "guard_reference(text,text,text)": Function("", False, (
        ("BEFORE INSERT OR UPDATE ON public.scratch FOR EACH ROW WHEN (((new.note IS NOT NULL) AND " + WHEN[6:-1] + ")) EXECUTE FUNCTION app.keep_in_sight('note', 'users')",
         SCRATCH, "owner: SELECT app.guard_reference('scratch', 'note', 'users')", TRIGGERS.replace("concat_ws(' ', tgname, tgenabled, ", "concat('', ")),
        ("scratch_note_in_sight", SCRATCH, "owner: SELECT app.guard_reference('scratch', 'note', 'users')", "owner: SELECT tgname::text FROM pg_trigger WHERE tgrelid = 'scratch'::regclass"),
    )),
    "keep_published()": Function("", True, (
        (1, "owner: INSERT INTO chatbot_nodes (name, node_type, flow_id) VALUES ('n', 'start', '<chatbot_flows.pub>')"),
        (1, "supervisor: INSERT INTO chatbot_nodes (name, node_type, flow_id) VALUES ('n', 'start', '<chatbot_flows.pub>')"),
        (1, "admin: UPDATE chatbot_nodes SET name = 'n' WHERE id = '<chatbot_nodes.pub>'"),
        (1, "staff: INSERT INTO chatbot_nodes (name, node_type, flow_id) VALUES ('n', 'start', '<chatbot_flows.s1>')"),
        (1, "staff: DELETE FROM chatbot_edges WHERE id = '<chatbot_edges.s1>'"),
        # As if the flow had been published since the statement began: the policies' function knows it as a draft.
        *((REFUSED, PUBLISHED, f"staff: {statement}") for statement in (
            "INSERT INTO chatbot_nodes (name, node_type, flow_id) VALUES ('n', 'start', '<chatbot_flows.s1>')",
            "UPDATE chatbot_nodes SET name = 'n' WHERE id = '<chatbot_nodes.s1>'",
            "DELETE FROM chatbot_edges WHERE id = '<chatbot_edges.s1>'",
            "DELETE FROM chatbot_edges WHERE id = '<chatbot_edges.s1>' AND set_config('role', left('moeen_admin', length(flow_id::text)), true) <> ''",
        )),
        # Moved out of it, and into it.
        (REFUSED, PUBLISHED, "owner: INSERT INTO chatbot_flows (id, name, created_by) VALUES ('<users.p1>', 'n', '<users.s1>')", "owner: INSERT INTO chatbot_nodes (id, name, node_type, flow_id) VALUES ('<users.p2>', 'n', 'start', '<chatbot_flows.s1>')", "staff: UPDATE chatbot_nodes SET flow_id = '<users.p1>' WHERE id = '<users.p2>'"),
        (REFUSED, PUBLISHED, "owner: INSERT INTO chatbot_flows (id, name, created_by) VALUES ('<users.p1>', 'n', '<users.s1>')", "owner: INSERT INTO chatbot_nodes (id, name, node_type, flow_id) VALUES ('<users.p2>', 'n', 'start', '<users.p1>')", "staff: UPDATE chatbot_nodes SET flow_id = '<chatbot_flows.s1>' WHERE id = '<users.p2>'"),
        (1, "staff: DELETE FROM chatbot_flows WHERE id = '<chatbot_flows.s1>'"),
        # A login that is none of ours, in no role.
        *((expected, "owner: GRANT INSERT ON chatbot_nodes TO authenticated; GRANT EXECUTE ON FUNCTION app.generate_public_id(text) TO authenticated; CREATE POLICY own ON chatbot_nodes FOR INSERT TO authenticated WITH CHECK (true)",
           f"authenticated/p1~as login unbound: INSERT INTO chatbot_nodes (name, node_type, flow_id) VALUES ('n', 'start', '<chatbot_flows.{flow}>')")
          for expected, flow in ((REFUSED, "pub"), (1, "s1"))),
    )),
    "bearer_of_alias(text)": Function("auth", True, (
        ("patients <patients.p2>", "auth: SELECT concat_ws(' ', table_name, row_id) FROM app.bearer_of_alias('pat_20251017_000002')"),
        ("", "auth: SELECT concat_ws(' ', table_name, row_id) FROM app.bearer_of_alias('pat_20251017_000009')"),
        *forged(REFUSED, "auth~: SELECT row_id::text FROM app.bearer_of_alias('pat_20251017_000002')"),
    )),
    "row_of_alias(text)": Function("auth", True, (
        ("<patients.p2>", "auth: SELECT app.row_of_alias('pat_20251017_000002')::text"),
        (None, "auth: SELECT app.row_of_alias('pat_20251017_000009')"),
        *forged(REFUSED, "auth~: SELECT app.row_of_alias('pat_20251017_000002')"),
    )),
    "sign_request()": Function(PLATFORM, True, (
        ("moeen_patient", "authenticated/p1: SELECT current_user::text"),
        (True, "authenticated/p1: SELECT app.is_bound()"),
        ("<users.p1>", "authenticated/p1: SELECT app.user_id()::text"),
        ("moeen_service", "service_role: SELECT current_user::text"),
        (True, "service_role: SELECT app.is_bound()"),
        ("moeen_anon", "anon: SELECT current_user::text"),
        ("moeen_anon", "anon/p1: SELECT current_user::text"),
        (True, "anon/p1: SELECT app.is_bound()"),
        ("moeen_anon", "authenticated/left: SELECT current_user::text"),
        ("moeen_anon", "authenticated{\"sub\": \"\"}: SELECT current_user::text"),
        ("moeen_anon", "authenticated{\"sub\": \"1 OR 1=1\"}: SELECT current_user::text"),
        ("moeen_anon", "authenticated{\"sub\": }: SELECT current_user::text"),
        ("moeen_anon", "authenticated{}: SELECT current_user::text"),
        (1, "authenticated{\"sub\": }: SELECT count(*) FROM settings"),
        ("moeen_patient", "authenticated/p1~unbound: SELECT (app.sign_request())[1]"),
        ("moeen_patient", "authenticated/p1~as login unbound: SELECT (app.sign_request())[1]"),
        ("moeen_staff", "authenticated{\"sub\": \"<users.d2>\", \"app_role\": \"staff\"}: SELECT current_user::text"),
        ("moeen_staff", "authenticated{\"sub\": \"<users.d2>\", \"app_metadata\": {\"app_role\": \"staff\"}}: SELECT current_user::text"),
        ("moeen_doctor", "authenticated{\"sub\": \"<users.d2>\", \"app_role\": \"\"}: SELECT current_user::text"),
        (REFUSED, "authenticated{\"sub\": \"<users.d1>\", \"app_role\": \"admin\"}: SELECT 1"),
        # Signed is what the role was at the entry: a bound request that takes the entry role again is refused.
        (REFUSED, "authenticated/p1: SELECT set_config('role', 'service_role', true); SELECT app.sign_request()"),
        (REFUSED, "authenticated/p1: SELECT set_config('role', 'authenticated', true), set_config('request.jwt.claims', '{\"sub\": \"<users.a1>\"}', true); SELECT app.bind_request()"),
        # Half the time that a signature holds, from the newest key, by the server's clock.
        (True, "authenticated/p1~unbound: SELECT split_part(signed[3], '.', 2)::bigint - extract(epoch FROM clock_timestamp()) BETWEEN 290 AND 300 FROM (SELECT app.sign_request() AS signed) AS s"),
        ("0123abcd", "owner: SELECT app.add_identity_key('0123abcd', decode(repeat('ab', 32), 'hex'))", "authenticated/p1~unbound: SELECT split_part((app.sign_request())[3], '.', 1)"),
        (Error("P0002"), "owner: DELETE FROM app.identity_keys", "authenticated/p1~unbound: SELECT app.sign_request()"),
        # A lock that another session holds, or on another table, is none of this transaction's.
        ("moeen_patient", "owner: LOCK TABLE patients IN ROW SHARE MODE; LOCK TABLE app.identity_keys IN ACCESS SHARE MODE", "authenticated/p1: SELECT current_user::text"),
        ("moeen_patient", "neighbour: LOCK TABLE app.identity_keys IN ROW SHARE MODE", "authenticated/p1: SELECT current_user::text"),
        (REFUSED, "owner: SELECT app.sign_request()", "owner: SELECT app.sign_request()"),
        ("moeen_anon", "anon{\"role\": \"service_role\"}: SELECT current_user::text"),
        ("moeen_anon", "anon{\"role\": \"authenticated\", \"sub\": \"<users.a1>\"}: SELECT current_user::text"),
        (REFUSED, "owner: CREATE TEMP TABLE scratch_left (id int)", "authenticated/p1~unbound: SELECT app.sign_request()"),
    )),
    "bind_request()": Function(PLATFORM, False, (
        ("moeen_patient", "authenticated/p1: SELECT current_user::text"),
        ("on", "authenticated/p1: SELECT current_setting('row_security')"),
        ("on", "authenticated/p1~unbound: SET LOCAL row_security = off; SELECT app.bind_request(); SELECT current_setting('row_security')"),
        ("", "authenticated/p1~unbound: SELECT set_config('request.jwt.claim', 'x', true), set_config('request.jwt.claim.sub', 'x', true), set_config('request.jwt.claim.role', 'x', true); SELECT app.bind_request(); SELECT current_setting('request.jwt.claim') || current_setting('request.jwt.claim.sub') || current_setting('request.jwt.claim.role')"),
        (1, "authenticated/p1: SELECT count(*) FROM patients"),
        (REFUSED, "authenticated/p1~unbound: SELECT count(*) FROM patients"),
        *((told, f"authenticated/p1~unbound: SELECT set_config('request.headers', '{{\"x-forwarded-for\": \"{sent}\", \"user-agent\": \"a\"}}', true); SELECT app.bind_request(); "
           "SELECT concat_ws(' ', current_setting('moeen.request')::jsonb ->> 'address', current_setting('moeen.request')::jsonb ->> 'agent')")
          for sent, told in (("10.0.0.1, 192.0.2.9", "192.0.2.9 a"), ("unknown", "a"))),
    )),
    # --- signing in, in the audit log ---
    "record_sign_in(text,text,uuid,text,text)": Function("auth", True, (
        ("SIGNED_IN <users.p1> <users.p1> auth", "auth{\"sub\": \"<users.p1>\"}: SELECT app.record_sign_in('SIGNED_IN', 'x', '<users.p2>')", SIGN_INS),
        ("SIGNED_OUT <users.p1> <users.p1> auth", "auth{\"sub\": \"<users.p1>\"}: SELECT app.record_sign_in('SIGNED_OUT')", SIGN_INS),
        ('ROLE_SWITCHED <users.d2> <users.d2> auth {"role": "doctor"} {"role": "staff"}', "auth{\"sub\": \"<users.d2>\"}: SELECT app.record_sign_in('ROLE_SWITCHED', before => 'doctor', after => 'staff')", SIGN_INS),
        ('SESSION_ENDED <users.p1> <users.a1> auth {"why": "administrator"}', "auth{\"sub\": \"<users.a1>\"}: SELECT app.record_sign_in('SESSION_ENDED', person => '<users.p1>', after => 'administrator')", SIGN_INS),
        ('SESSION_ENDED <users.p1> auth {"why": "idle"}', "auth: SELECT app.record_sign_in('SESSION_ENDED', person => '<users.p1>', after => 'idle')", SIGN_INS),
        ('LOOKED_AS <users.p1> <users.a1> auth {"role": "patient"}', "auth{\"sub\": \"<users.a1>\"}: SELECT app.record_sign_in('LOOKED_AS', person => '<users.p1>', after => 'patient')", SIGN_INS),
        ("LOOKED_AWAY <users.p1> <users.a1> auth", "auth{\"sub\": \"<users.a1>\"}: SELECT app.record_sign_in('LOOKED_AWAY', person => '<users.p1>', after => 'x')", SIGN_INS),
        *((f'{event} <users.p1> auth {{"account": " P1@example.test "}}', f"auth: SELECT app.record_sign_in('{event}', ' P1@example.test ')", SIGN_INS) for event in ("SIGN_IN_FAILED", "SIGN_IN_LOCKED_OUT", "PASSWORD_RESET_ASKED")),
        ('SIGN_IN_FAILED auth {"account": "nobody@example.com"}', "auth: SELECT app.record_sign_in('SIGN_IN_FAILED', 'nobody@example.com')", SIGN_INS),
        *(('SIGN_IN_FAILED auth {"account": "[no e-mail address]"}', f"auth: SELECT app.record_sign_in('SIGN_IN_FAILED', '{typed}')", SIGN_INS) for typed in ("", "s3cret", "p@ssword", "a b@c.de", "s3@cret.1")),
        ("SECOND_FACTOR_FAILED <users.p1> <users.p1> auth", f"{AS_P1} SELECT app.record_sign_in('SECOND_FACTOR_FAILED', 'p2@example.test', '<users.p2>')", SIGN_INS),
        ('20 {"more": "not recorded for a quarter of an hour"}', f"{AS_P1} SELECT app.record_sign_in('SECOND_FACTOR_FAILED') FROM generate_series(1, 30)", TRIES),
        (30, f"{AS_P1} SELECT app.record_sign_in('SIGNED_IN') FROM generate_series(1, 30)", f"{OTHERS_OF_KIND} 'SIGNED_IN'"),
        (255, "auth: SELECT app.record_sign_in('SIGN_IN_FAILED', repeat('a', 300) || '@example.com')", f"owner: SELECT length(new_values ->> 'account') {LOG} 'users'"),
        # Twenty on an account, five hundred on none, of a kind; those of another kind, or long ago, are none of them.
        ('20 {"more": "not recorded for a quarter of an hour", "account": "p1@example.test"}', "auth: SELECT app.record_sign_in('SIGN_IN_FAILED', 'p1@example.test') FROM generate_series(1, 30)", TRIES),
        ('500 {"more": "not recorded for a quarter of an hour", "account": "a@example.com"}', "auth: SELECT app.record_sign_in('SIGN_IN_FAILED', 'a@example.com') FROM generate_series(1, 510)", TRIES),
        (41, "auth: SELECT app.record_sign_in('SIGN_IN_FAILED', 'p1@example.test') FROM generate_series(1, 30)", "auth: SELECT app.record_sign_in('SIGN_IN_LOCKED_OUT', 'p1@example.test') FROM generate_series(1, 30); SELECT app.record_sign_in('SIGN_IN_FAILED', 'p2@example.test')", f"owner: SELECT count(*) {LOG} 'users'"),
        (502, "auth: SELECT app.record_sign_in('SIGN_IN_FAILED', 'a@example.com') FROM generate_series(1, 510); SELECT app.record_sign_in('SIGN_IN_LOCKED_OUT', 'a@example.com'); SELECT app.record_sign_in('SIGN_IN_FAILED', 'p1@example.test')", f"owner: SELECT count(*) {LOG} 'users'"),
        (21, LONG_AGO + "'<users.p1>' FROM generate_series(1, 20)", "auth: SELECT app.record_sign_in('SIGN_IN_FAILED', 'p1@example.test')", "owner: SELECT count(*) FROM audit_logs WHERE action = 'SIGN_IN_FAILED'"),
        (501, LONG_AGO + "NULL FROM generate_series(1, 500)", "auth: SELECT app.record_sign_in('SIGN_IN_FAILED', 'a@example.com')", "owner: SELECT count(*) FROM audit_logs WHERE action = 'SIGN_IN_FAILED'"),
        (501, LONG_AGO.replace("'users'", "'elsewhere'").replace("now() - interval '20 minutes'", "now()") + "NULL FROM generate_series(1, 500)", "auth: SELECT app.record_sign_in('SIGN_IN_FAILED', 'a@example.com')", "owner: SELECT count(*) FROM audit_logs WHERE action = 'SIGN_IN_FAILED'"),
        (501, LONG_AGO.replace("now() - interval '20 minutes'", "now()") + "'<users.p1>' FROM generate_series(1, 500)", "auth: SELECT app.record_sign_in('SIGN_IN_FAILED', 'a@example.com')", "owner: SELECT count(*) FROM audit_logs WHERE action = 'SIGN_IN_FAILED'"),
        *((INVALID, f"auth: SELECT app.record_sign_in('{event}')") for event in ("SIGNED_IN", "SIGNED_OUT", "ROLE_SWITCHED", "SESSION_ENDED", "LOOKED_AS", "LOOKED_AWAY", "SECOND_FACTOR_FAILED", "INSERT")),
        (INVALID, "auth: SELECT app.record_sign_in('SIGN_IN_OTHERWISE')"),
        *forged(REFUSED, "auth~: SELECT app.record_sign_in('SIGN_IN_FAILED', 'a@example.com')"),
    )),
    "has_migrations(text[])": Function("auth", True, (
        (True, "auth: SELECT app.has_migrations(ARRAY['sysadmin.0001_users', 'healthcare.0001_core_tables'])"),
        (True, "auth: SELECT app.has_migrations('{}')"),
        (False, "auth: SELECT app.has_migrations(ARRAY['sysadmin.0001_users', 'sysadmin.9999_later'])"),
        (False, "owner: DELETE FROM django_migrations WHERE app = 'sysadmin' AND name = '0001_users'", "auth: SELECT app.has_migrations(ARRAY['sysadmin.0001_users'])"),
        *forged(REFUSED, "auth~: SELECT app.has_migrations('{}')"),
    )),
    "record_second_factor()": Function("", True, (
        # The rows of p1 and a1 are set up; each in their own name, administrators others'.
        ("SECOND_FACTOR_REMOVED <users.p1> <users.p1> auth", f"{AS_P1} DELETE FROM second_factors", SIGN_INS),
        ("SECOND_FACTOR_REMOVED <users.p1> <users.p1> auth", f"{AS_P1} UPDATE second_factors SET confirmed_at = NULL", SIGN_INS),
        ("SECOND_FACTOR_REMOVED <users.p1> <users.a1> admin", "admin: DELETE FROM second_factors", SIGN_INS),
        (1, "admin: DELETE FROM second_factors", f"{OTHERS_OF_KIND} 'SECOND_FACTOR_REMOVED'"),
        ('{"reason": "lost"}', "owner: SELECT set_config('moeen.reason', 'lost', true); DELETE FROM second_factors WHERE user_id = '<users.p1>'", f"owner: SELECT new_values::text {LOG} 'users'"),
        ("SECOND_FACTOR_SET_UP <users.p1> <users.p1> auth", f"{AS_P1} SELECT set_config('moeen.reason', 'lost', true); UPDATE second_factors SET secret = 'x'", SIGN_INS),
        ("SECOND_FACTOR_SET_UP <users.p1> <users.p1> auth", f"{AS_P1} UPDATE second_factors SET confirmed_at = now(), recovery_codes = '[1]'", SIGN_INS),
        ("SECOND_FACTOR_SET_UP <users.p2> <users.p2> auth", """auth{"sub": "<users.p2>"}: INSERT INTO second_factors (user_id, secret, confirmed_at) VALUES ('<users.p2>', 'x', now())""", SIGN_INS),
        (NOTHING, """auth{"sub": "<users.p2>"}: INSERT INTO second_factors (user_id, secret) VALUES ('<users.p2>', 'x'); UPDATE second_factors SET secret = 'y', recovery_codes = '[1]'; DELETE FROM second_factors""", SIGN_INS),
        (NOTHING, f"{AS_P1} UPDATE second_factors SET last_step = 7", SIGN_INS),
        (1, "owner: UPDATE second_factors SET user_id = '<users.p2>' WHERE user_id = '<users.p1>'", f"{OTHERS_OF_KIND} 'SECOND_FACTOR_SET_UP'"),
        ("RECOVERY_CODES_MADE <users.p1> <users.p1> auth", f"{AS_P1} UPDATE second_factors SET recovery_codes = '[1, 2, 3]'", SIGN_INS),
        ('RECOVERY_CODE_USED <users.p1> <users.p1> auth {"left": 2}', f"{AS_P1} UPDATE second_factors SET recovery_codes = '[1, 2, 3]'; UPDATE second_factors SET recovery_codes = '[1, 3]'", SIGN_INS + " AND action <> 'RECOVERY_CODES_MADE'"),
        (2, f"{AS_P1} UPDATE second_factors SET recovery_codes = '[1, 2, 3]'; UPDATE second_factors SET recovery_codes = '[4, 5]'", f"{OTHERS_OF_KIND} 'RECOVERY_CODES_MADE'"),
        (REFUSED, f"{AS_P1} INSERT INTO second_factors (user_id, secret) VALUES ('<users.p2>', 'x')"),
        (1, f"{AS_P1} SELECT count(*) FROM second_factors"),
        (0, "auth: SELECT count(*) FROM second_factors"),
    )),
    "record_password_change()": Function("", True, (
        ("PASSWORD_CHANGED <users.p1> <users.a1> admin", "admin: UPDATE users SET password_hash = 'x' WHERE id = '<users.p1>'", CHANGED),
        ("PASSWORD_CHANGED <users.p1> <users.p1> auth", "auth{\"sub\": \"<users.p1>\"}: UPDATE users SET password_hash = 'x' WHERE id = '<users.p1>'", CHANGED),
        (NOTHING, "auth: UPDATE users SET password_hash = 'x' WHERE id = '<users.p1>'", CHANGED),
        (NOTHING, "admin: UPDATE users SET name = 'x' WHERE id = '<users.p1>'", CHANGED),
        (1, "owner: UPDATE users SET password_hash = 'x' WHERE id = '<users.p1>'", f"owner: SELECT count(*) {LOG} 'users' AND action = 'PASSWORD_CHANGED'"),
    )),
    # --- who looked ---
    "record_reads(jsonb)": Function(PEOPLE, True, (
        # The patient is told of a row that the reader sees; of another one the id that they say, whether it is there or not.
        *((f'READ {table} {row} {patient}<users.{person}> {role} {{"columns": ["notes"], "purpose": "payment"}}', f"{role}: SELECT app.record_reads('[{{\"table\": \"{table}\", \"id\": \"{row}\", \"purpose\": \"payment\", \"columns\": [\"notes\"]}}]')", READS)
          for role, person, table, row, patient in (
              ("doctor", "d1", "patients", "<patients.p1>", "<patients.p1> "), ("doctor", "d1", "patients", "<patients.p2>", ""),
              ("doctor", "d1", "appointments", "<appointments.p1-d1>", "<patients.p1> "), ("doctor", "d1", "appointments", "<appointments.p2-d2>", ""),
              ("doctor", "d1", "sessions", "<sessions.p1-d1>", "<patients.p1> "), ("doctor", "d1", "sessions", "<sessions.p2-d2>", ""),
              ("doctor", "d1", "insurance_claims", "<insurance_claims.p1>", ""), ("doctor", "d1", "sessions", "<users.d1>", ""),
              ("patient", "p1", "patients", "<patients.p1>", "<patients.p1> "), ("patient", "p1", "patients", "<patients.p2>", ""),
              ("patient", "p1", "insurance_claims", "<insurance_claims.p1>", "<patients.p1> "), ("patient", "p1", "insurance_claims", "<insurance_claims.p2>", ""),
              ("staff", "s1", "patients", "<patients.p2>", "<patients.p2> "), ("staff", "s1", "insurance_claims", "<insurance_claims.p2>", "<patients.p2> "),
              ("staff", "s1", "sessions", "<sessions.p1-d1>", ""), ("admin", "a1", "sessions", "<sessions.p2-d2>", "<patients.p2> "),
          )),
        *(("READ sessions <sessions.p2-d2> <users.d1> doctor", f"owner: CREATE POLICY other ON sessions {policy} TO moeen_doctor USING (true)",
         "doctor: SELECT app.record_reads('[{\"table\": \"sessions\", \"id\": \"<sessions.p2-d2>\", \"purpose\": \"legal\"}]')", READS.replace(", new_values)", ")")) for policy in ("AS RESTRICTIVE FOR SELECT", "FOR UPDATE")),
        (2, "doctor: SELECT app.record_reads('[{\"table\": \"sessions\", \"purpose\": \"legal\"}, {\"table\": \"sessions\", \"purpose\": \"legal\"}]')", READS.replace(SHOWN, "count(*)")),
        ("patients sessions", "doctor: SELECT app.record_reads('[{\"table\": \"sessions\", \"purpose\": \"legal\"}, {\"table\": \"patients\", \"purpose\": \"legal\"}]')", READS.replace(SHOWN, "string_agg(table_name, ' ' ORDER BY table_name)")),
        *((1, f"patient: {READ_AS.format('patients', purpose)}", f"{READS.replace(SHOWN, 'count(*)')}") for purpose in ("treatment", "payment", "operations", "own record", "emergency", "legal")),
        *((INVALID, f"patient: {READ_AS.format(table, purpose)}") for table, purpose in (("users", "legal"), ("patients", "curiosity"), ("patients", ""))),
        (INVALID, """patient: SELECT app.record_reads('[{"table": "patients"}]')"""),
        (INVALID, """patient: SELECT app.record_reads('[{"purpose": "legal"}]')"""),
        (1000, f"patient: {MANY.format(1000)}", READS.replace(SHOWN, "count(*)")),
        (INVALID, f"patient: {MANY.format(1001)}"),
        (INVALID, """patient: SELECT app.record_reads(jsonb_build_array(jsonb_build_object('table', 'patients', 'purpose', 'legal', 'columns', ARRAY[repeat('x', 1000000)])))"""),
        *((kept, f"patient: SELECT set_config('synchronous_commit', '{said}', true); {READ_AS.format('patients', 'legal')}; SELECT current_setting('synchronous_commit')") for said, kept in (("off", "on"), ("local", "on"), ("remote_write", "remote_write"))),
        ("emergency", OPEN, "doctor: SELECT app.record_reads('[{\"table\": \"sessions\", \"id\": \"<sessions.p2-d2>\", \"purpose\": \"treatment\"}]')", READS.replace(SHOWN, "new_values ->> 'purpose'")),
        ("treatment", OPEN, "doctor: SELECT app.record_reads('[{\"table\": \"sessions\", \"id\": \"<sessions.p1-d1>\", \"purpose\": \"treatment\"}]')", READS.replace(SHOWN, "new_values ->> 'purpose'")),
        *forged(REFUSED, f"patient~: {READ_AS.format('patients', 'legal')}"),
    )),
    "opened_patient_ids()": Function("doctor", True, (
        (NOTHING, "doctor: SELECT app.opened_patient_ids()"),
        # What the same transaction could still take back opens nothing.
        (NOTHING, BROKEN, "doctor: SELECT app.opened_patient_ids()"),
        (NOTHING, OPEN, "doctor/d2: SELECT app.opened_patient_ids()"),
        ("<patients.p2>", OPENED.format("BREAK_GLASS", 59, 1), "doctor: SELECT app.opened_patient_ids()::text"),
        (NOTHING, OPENED.format("BREAK_GLASS", 61, 1), "doctor: SELECT app.opened_patient_ids()"),
        (NOTHING, OPENED.format("BREAK_GLASS", 5, -1), "doctor: SELECT app.opened_patient_ids()"),
        (NOTHING, OPENED.format("READ", 5, 1), "doctor: SELECT app.opened_patient_ids()"),
        *forged(NOTHING, OPEN, "doctor~: SELECT app.opened_patient_ids()"),
    )),
    "break_glass(text,text,integer)": Function("doctor", True, (
        ("BREAK_GLASS patients <patients.p2> <patients.p2> <users.d1> doctor found unconscious t", BROKEN,
         f"owner: SELECT concat_ws(' ', action, table_name, record_id, patient_id, user_id, acted_as, new_values ->> 'reason', (new_values ->> 'until')::timestamptz - clock_timestamp() BETWEEN '59 minutes' AND '61 minutes') {LOG} 'patients'"),
        (True, "doctor: SELECT app.break_glass('<patients.p2>', 'found unconscious', 5) - clock_timestamp() BETWEEN '4 minutes' AND '6 minutes'"),
        (2, OPEN, "doctor: SELECT count(*) FROM patients"),
        (1, BROKEN, "doctor: SELECT count(*) FROM patients"),
        ("d1@example.test", "doctor: SELECT app.break_glass(upper('<patients.p2>'), '  found unconscious  ')", "owner: SELECT u.email::text FROM users u JOIN audit_logs a ON a.user_id = u.id WHERE a.action = 'BREAK_GLASS' AND a.new_values ->> 'reason' = 'found unconscious'"),
        (1, "owner: UPDATE patients SET public_id = 'pat_' || repeat('a', 24) WHERE id = '<patients.p2>'", "doctor: SELECT app.break_glass('pat_' || repeat('a', 24), 'found unconscious')", f"owner: SELECT count(*) {LOG} 'patients' AND action = 'BREAK_GLASS' AND patient_id = '<patients.p2>'"),
        (2, OPEN, "doctor: SELECT count(*) FROM sessions"),
        (2, OPEN, "doctor: SELECT count(*) FROM appointments"),
        (1, OPEN, "doctor: UPDATE sessions SET notes = 'x'"),
        (1, OPEN, "doctor: UPDATE patients SET phone = 'x'"),
        (1, OPEN, "doctor: UPDATE appointments SET notes = 'x'"),
        (REFUSED, OPEN, "doctor: INSERT INTO sessions (patient_id, doctor_id, session_date, session_time) VALUES ('<patients.p2>', '<doctors.d1>', '2026-11-22', '10:00')"),
        *((INVALID, f"doctor: SELECT app.break_glass('<patients.p2>', {words})") for words in ("'found unconscious', 0", "'found unconscious', 61", "'found unconscious', NULL", "'because'", "'because      '", "repeat('x', 501)", "NULL")),
        (NO_SUCH_ROW, "doctor: SELECT app.break_glass('<doctors.d1>', 'found unconscious')"),
        (NO_SUCH_ROW, "doctor: SELECT app.break_glass('', 'found unconscious')"),
        ("<users.v1>", BROKEN, TOLD.format("string_agg(user_id::text, ' ')")),
        ("فتح d1 سجل pat_ السبب: found unconscious warning /admin/healthcare/patient/<patients.p2>/change/ فُتح سجل مريض لحالة طارئة", BROKEN, TOLD.format("concat_ws(' ', regexp_replace(message, 'pat_.*[.]', 'pat_'), type, action_url, title)")),
        ("d1@example.test opened the record of pat_ Reason: found unconscious warning A record was opened in an emergency", "owner: UPDATE users SET name = '' WHERE id = '<users.d1>'; UPDATE user_preferences SET language = 'en' WHERE user_id = '<users.v1>'", BROKEN, TOLD.format("concat_ws(' ', regexp_replace(message, 'pat_.*[.]', 'pat_'), type, title)")),
        ("<users.v1>", "owner: DELETE FROM user_preferences", BROKEN, TOLD.format("string_agg(user_id::text, ' ')")),
        (2, "owner: INSERT INTO user_roles (user_id, role_id) VALUES ('<users.s1>', '<roles.system supervisor>'), ('<users.v1>', '<roles.system admin>')", BROKEN, TOLD.format("count(*)")),
        ("<users.a1>", "owner: UPDATE users SET is_active = false WHERE id = '<users.v1>'; INSERT INTO user_roles (user_id, role_id) VALUES ('<users.v1>', '<roles.system admin>')", BROKEN, TOLD.format("string_agg(user_id::text, ' ')")),
        ("<users.a1>", "owner: UPDATE users SET role = 'staff' WHERE id = '<users.v1>'; UPDATE roles SET is_system = false WHERE name = 'supervisor'; INSERT INTO user_roles (user_id, role_id) VALUES ('<users.s1>', '<roles.system supervisor>')", BROKEN, TOLD.format("string_agg(user_id::text, ' ')")),
        (REFUSED, "doctor{}: SELECT app.break_glass('<patients.p2>', 'found unconscious')"),
        *forged(REFUSED, "doctor~: SELECT app.break_glass('<patients.p2>', 'found unconscious')"),
    )),
    "accesses_of_my_record(integer)": Function("patient", True, (
        (NOTHING, "owner: SELECT 1", "patient/d1: SELECT app.accesses_of_my_record()"),
        ("d1 doctor READ patients legal", "doctor: SELECT app.record_reads('[{\"table\": \"patients\", \"id\": \"<patients.p1>\", \"purpose\": \"legal\"}]')", MINE),
        ("d2 doctor BREAK_GLASS patients found unconscious", "doctor/d2: SELECT app.break_glass('<patients.p1>', 'found unconscious')", MINE),
        ("s1 staff UPDATE patients", "staff: UPDATE patients SET phone = 'x' WHERE id = '<patients.p1>'", MINE),
        (3, "staff: UPDATE patients SET phone = 'x'; UPDATE patients SET phone = 'y'; UPDATE patients SET phone = 'z'", "patient: SELECT count(*) FROM app.accesses_of_my_record(3)"),
        # As older databases have them: of the row alone, and of rows of other tables.
        ("older", "owner: INSERT INTO audit_logs (action, table_name, record_id, patient_id) VALUES ('older', 'patients', '<patients.p1>', NULL), ('x', 'doctors', '<patients.p1>', NULL), ('y', 'patients', '<patients.p1>', '<patients.p2>'), ('z', 'patients', '<patients.p2>', NULL)",
         "patient: SELECT string_agg(action, ' ') FROM app.accesses_of_my_record() WHERE action IN ('older', 'x', 'y', 'z')"),
        (5000, "owner: INSERT INTO audit_logs (action, table_name, patient_id) SELECT 'READ', 'patients', '<patients.p1>' FROM generate_series(1, 5001)", "patient: SELECT count(*) FROM app.accesses_of_my_record(6000)"),
        (True, "owner: UPDATE users SET name = 'gone' WHERE id = '<users.s1>'", "staff: UPDATE patients SET phone = 'x' WHERE id = '<patients.p1>'", "owner: DELETE FROM users WHERE id = '<users.s1>'", "patient: SELECT who IS NULL FROM app.accesses_of_my_record() LIMIT 1"),
        *forged(NOTHING, "staff: UPDATE patients SET phone = 'x'", "patient~: SELECT app.accesses_of_my_record()"),
    )),
    # --- whose is it ---
    "my_patient_id()": Function("patient", True, (
        ("<patients.p1>", "patient: SELECT app.my_patient_id()::text"),
        ("<patients.p2>", "patient/p2: SELECT app.my_patient_id()::text"),
        (None, "patient/d1: SELECT app.my_patient_id()"),
        *forged(None, "patient~: SELECT app.my_patient_id()"),
    )),
    "my_doctor_id()": Function("doctor", True, (
        ("<doctors.d1>", "doctor: SELECT app.my_doctor_id()::text"),
        ("<doctors.d2>", "doctor/d2: SELECT app.my_doctor_id()::text"),
        (None, "doctor/p1: SELECT app.my_doctor_id()"),
        *forged(None, "doctor~: SELECT app.my_doctor_id()"),
    )),
    "my_patient_ids()": Function("doctor", True, (
        ("<patients.p1>", "doctor: SELECT string_agg(i::text, ' ') FROM app.my_patient_ids() AS i"),
        (2, "doctor/d2: SELECT count(*) FROM app.my_patient_ids()"),
        ("<patients.p1>", "owner: DELETE FROM sessions", "doctor: SELECT string_agg(i::text, ' ') FROM app.my_patient_ids() AS i"),
        ("<patients.p1>", "owner: UPDATE appointments SET doctor_id = '<doctors.retired>'", "doctor: SELECT string_agg(i::text, ' ') FROM app.my_patient_ids() AS i"),
        *forged(NOTHING, "doctor~: SELECT app.my_patient_ids()"),
    )),
    "my_message_ids()": Function("patient doctor staff supervisor", True, (
        (2, "patient: SELECT count(*) FROM app.my_message_ids()"),
        (1, "patient/p2: SELECT count(*) FROM app.my_message_ids()"),
        (1, "doctor/d2: SELECT count(*) FROM app.my_message_ids()"),
        *forged(NOTHING, "patient~: SELECT app.my_message_ids()"),
    )),
    "published_flow_ids()": Function("patient doctor staff", True, (
        ("<chatbot_flows.pub>", "patient: SELECT string_agg(i::text, ' ') FROM app.published_flow_ids() AS i"),
        *forged(NOTHING, "patient~: SELECT app.published_flow_ids()"),
    )),
    "my_flow_ids()": Function("staff", True, (
        ("<chatbot_flows.s1>", "staff: SELECT string_agg(i::text, ' ') FROM app.my_flow_ids() AS i"),
        (2, "staff/s2: SELECT count(*) FROM app.my_flow_ids()"),
        *forged(NOTHING, "staff~: SELECT app.my_flow_ids()"),
    )),
    "my_unpublished_flow_ids()": Function("staff", True, (
        ("<chatbot_flows.s1>", "staff: SELECT string_agg(i::text, ' ') FROM app.my_unpublished_flow_ids() AS i"),
        ("<chatbot_flows.s2>", "staff/s2: SELECT string_agg(i::text, ' ') FROM app.my_unpublished_flow_ids() AS i"),
        *forged(NOTHING, "staff~: SELECT app.my_unpublished_flow_ids()"),
    )),
    "my_conversation_ids()": Function("patient", True, (
        ("<conversations.p1>", "patient: SELECT string_agg(i::text, ' ') FROM app.my_conversation_ids() AS i"),
        *forged(NOTHING, "patient~: SELECT app.my_conversation_ids()"),
    )),
    "my_patients_conversation_ids()": Function("doctor", True, (
        ("<conversations.p1>", "doctor: SELECT string_agg(i::text, ' ') FROM app.my_patients_conversation_ids() AS i"),
        *forged(NOTHING, "doctor~: SELECT app.my_patients_conversation_ids()"),
    )),
    # --- what acts for the caller ---
    "notify(uuid,text,text,text,text)": Function(f"{PEOPLE} service", True, (
        ("<users.d1> t m warning /a <users.p1> t", "patient: SELECT app.notify('<users.d1>', 't', 'm', 'warning', '/a')",
         "owner: SELECT concat_ws(' ', user_id, title, message, type, action_url, metadata ->> 'sent_by', NOT is_read) FROM notifications WHERE created_at = now() AND title = 't' AND type = 'warning'"),
        (True, "patient: SELECT set_config('probe.made', app.notify('<users.d1>', 'made', 'm')::text, true)", "owner: SELECT id = current_setting('probe.made')::uuid FROM notifications WHERE title = 'made'"),
        (INVALID, "patient: SELECT app.notify('<users.d1>', 't', 'm', 'info', 'javascript:x')"),
        (INVALID, "staff: SELECT app.notify('<users.d1>', 't', 'm', 'info', E'/\\t/evil.example/x')"),
        *forged(REFUSED, "patient~: SELECT app.notify('<users.d1>', 't', 'm')"),
    )),
    "is_own_path(text)": Function(SIGNED_IN, False, (
        *((True, f"owner: SELECT app.is_own_path({text})") for text in ("'/'", "'/a'", "'/appointments?day=1#x'", "'/a//b'")),
        *((False, f"owner: SELECT app.is_own_path({text})") for text in ("''", "'a'", "'//a'", "E'/\\\\a'", "E'/\\t/a'", "'https://a'", "'javascript:x'", "E'/a\\nb'", "'/a b'", "E'\\n/a'", "E'/a\\\\b'")),
        (None, "owner: SELECT app.is_own_path(NULL)"),
    )),
    "link_sign_in(text,uuid,uuid)": Function("supervisor admin", True, (
        ("<users.s2>", "supervisor: SELECT app.link_sign_in('patients', '<patients.walk-in>', '<users.s2>')", f"{LINKED} patients WHERE id = '<patients.walk-in>'"),
        (None, "admin: SELECT app.link_sign_in('patients', '<patients.p1>', NULL)", f"{LINKED} patients WHERE id = '<patients.p1>'"),
        ("<users.p2>", "admin: SELECT app.link_sign_in('patients', '<patients.walk-in>', '<users.s2>')", f"{LINKED} patients WHERE id = '<patients.p2>'"),
        ("<users.s2>", "admin: SELECT app.link_sign_in('doctors', '<doctors.retired>', '<users.s2>')", f"{LINKED} doctors WHERE id = '<doctors.retired>'"),
        ("<users.d1>", "admin: SELECT app.link_sign_in('doctors', '<doctors.retired>', '<users.s2>')", f"{LINKED} doctors WHERE id = '<doctors.d1>'"),
        (REFUSED, "supervisor: SELECT app.link_sign_in('patients', '<patients.walk-in>', '<users.v1>')"),
        (REFUSED, "admin: SELECT app.link_sign_in('doctors', '<doctors.retired>', '<users.a1>')"),
        (INVALID, "admin: SELECT app.link_sign_in('users', '<users.p1>', '<users.s2>')"),
        (NO_SUCH_ROW, "admin: SELECT app.link_sign_in('patients', '<doctors.d1>', '<users.s2>')"),
        (NO_SUCH_ROW, "admin: SELECT app.link_sign_in('doctors', '<patients.p1>', '<users.s2>')"),
        ("<users.v1> <patients.p1> {\"user_id\": \"<users.p1>\"} {\"user_id\": \"<users.s2>\"}",
         "supervisor: SELECT app.link_sign_in('patients', '<patients.p1>', '<users.s2>')", f"owner: SELECT concat_ws(' ', user_id, record_id, old_values, new_values) {LOG} 'patients' AND action = 'LINK_SIGN_IN'"),
        ("<users.a1> <doctors.d1> {\"user_id\": \"<users.d1>\"} {\"user_id\": null}",
         "admin: SELECT app.link_sign_in('doctors', '<doctors.d1>', NULL)", f"owner: SELECT concat_ws(' ', user_id, record_id, old_values, new_values) {LOG} 'doctors' AND action = 'LINK_SIGN_IN'"),
        *forged(REFUSED, "admin~: SELECT app.link_sign_in('patients', '<patients.walk-in>', '<users.s2>')"),
        *forged(REFUSED, "admin~: SELECT app.link_sign_in('doctors', '<doctors.retired>', '<users.s2>')"),
    )),
    "integration_secret(uuid)": Function("service", True, (
        # What the same transaction could still take back gives nothing.
        (None, ASKS, ASKS),
        ("secret", ASKED.format(BOT, 59, "NULL"), ASKS),
        (None, ASKED.format(BOT, 61, "NULL"), ASKS),
        (None, ASKED.format(BOT, 5, "'<users.s1>'"), ASKS),
        (None, ASKED.format("<users.p1>", 5, "NULL"), ASKS),
        (None, ASKED.format(BOT, 5, "NULL").replace("READ_SECRET", "READ"), ASKS),
        (0, ASKED.format(BOT, 5, "NULL"), ASKS, f"owner: SELECT count(*) {LOG} 'chatbot_integrations' AND transaction_id <> 1"),
        (NO_SUCH_ROW, "service: SELECT app.integration_secret('<users.p1>')"),
        ("<chatbot_integrations.bot>", "service: SELECT app.integration_secret('<chatbot_integrations.bot>')", f"owner: SELECT record_id::text {LOG} 'chatbot_integrations' AND action = 'READ_SECRET'"),
        *forged(REFUSED, "service~: SELECT app.integration_secret('<chatbot_integrations.bot>')"),
    )),
    "has_integration_secret(uuid)": Function("admin", True, (
        (True, "admin: SELECT app.has_integration_secret('<chatbot_integrations.bot>')"),
        (False, "admin: SELECT app.has_integration_secret('<users.p1>')"),
        (False, "admin: UPDATE chatbot_integrations SET webhook_secret = NULL", "admin: SELECT app.has_integration_secret('<chatbot_integrations.bot>')"),
        *forged(REFUSED, "admin~: SELECT app.has_integration_secret('<chatbot_integrations.bot>')"),
    )),
    # --- what the server writes, whoever asks ---
    "keep_identity()": Function("", False, (
        *_kept("crm_leads", "s1", "staff"), *_kept("user_roles", "p1", "admin", "assigned_at"), *_kept("messages", "p1", "service", "sent_at"),
        ("f led_ 28 t t", "staff: INSERT INTO crm_leads (id, public_id, created_at, name, owner_id) VALUES ('11111111-1111-4111-8111-111111111111', 'led_aaaaaaaaaaaaaaaaaaaaaaaa', '2020-01-01', 'n', '<users.s1>') RETURNING concat_ws(' ', id = '11111111-1111-4111-8111-111111111111', left(public_id, 4), length(public_id), public_id <> 'led_aaaaaaaaaaaaaaaaaaaaaaaa', created_at = now())"),
        (True, "admin: INSERT INTO user_roles (user_id, role_id, assigned_at) VALUES ('<users.p1>', '<roles.system staff>', '2020-01-01') RETURNING assigned_at = now() AND public_id LIKE 'uro\\_%'"),
        (True, "service: INSERT INTO messages (conversation_id, sender_type, content, sent_at) VALUES ('<conversations.p1>', 'bot', 'c', '2020-01-01') RETURNING sent_at = now()"),
    )),
    "stamp_notification()": Function("", False, (
        (True, f"service: {NOTE} ('<users.p1>', 't', 'm', true, '2020-01-01', '/a') RETURNING read_at = now()"),
        (None, f"service: {NOTE} ('<users.p1>', 't', 'm', false, '2020-01-01', '/a') RETURNING read_at"),
        (INVALID, f"service: {NOTE} ('<users.p1>', 't', 'm', false, NULL, 'javascript:x')"),
        ("t", f"service: {NOTE} ('<users.p1>', 't', 'm', false, NULL, NULL) RETURNING title"),
        (None, "patient: UPDATE notifications SET read_at = '2020-01-01' RETURNING read_at"),
        (True, "patient: UPDATE notifications SET is_read = true, read_at = '2020-01-01' RETURNING read_at = now()"),
        (True, "owner: UPDATE notifications SET is_read = true, read_at = '2021-01-01'", "patient: UPDATE notifications SET is_read = true, read_at = '2020-01-01' RETURNING read_at = '2021-01-01'"),
        (None, "owner: UPDATE notifications SET is_read = true, read_at = '2021-01-01'", "patient: UPDATE notifications SET is_read = false RETURNING read_at"),
        (INVALID, "admin: UPDATE notifications SET action_url = 'javascript:x'"),
        ("/b", "admin: UPDATE notifications SET action_url = '/b' RETURNING action_url"),
        (1, "owner: ALTER TABLE notifications DROP CONSTRAINT IF EXISTS notifications_action_url_check; UPDATE notifications SET action_url = 'javascript:x'", "patient: UPDATE notifications SET is_read = true"),
    )),
    "stamp_internal_message()": Function("", False, (
        ("f t", "patient: INSERT INTO internal_messages (sender_id, recipient_id, content, is_read, read_at) VALUES ('<users.p1>', '<users.d1>', 'c', true, '2020-01-01') RETURNING concat_ws(' ', is_read, read_at IS NULL)"),
        (None, "patient: UPDATE internal_messages SET read_at = '2020-01-01' RETURNING read_at"),
        (True, "patient: UPDATE internal_messages SET is_read = true, read_at = '2020-01-01' RETURNING read_at = now()"),
        (True, "owner: UPDATE internal_messages SET is_read = true, read_at = '2021-01-01'", "patient: UPDATE internal_messages SET is_read = true, read_at = '2020-01-01' RETURNING read_at = '2021-01-01'"),
        (None, "owner: UPDATE internal_messages SET is_read = true, read_at = '2021-01-01'", "patient: UPDATE internal_messages SET is_read = false RETURNING read_at"),
    )),
    "stamp_role()": Function("", False, (
        (False, "admin: INSERT INTO roles (name, is_system) VALUES ('midwife', true) RETURNING is_system"),
        (REFUSED, "admin: UPDATE roles SET is_system = true WHERE name = 'nurse'"),
        (REFUSED, "admin: UPDATE roles SET is_system = false WHERE name = 'staff'"),
        (REFUSED, "admin: UPDATE roles SET name = 'other' WHERE name = 'staff'"),
        (1, "admin: UPDATE roles SET name = 'midwife' WHERE name = 'nurse'"),
        (1, "admin: UPDATE roles SET description = 'd' WHERE name = 'staff'"),
    )),
    "stamp_user_role()": Function("", False, (
        ("<users.a1>", "admin: INSERT INTO user_roles (user_id, role_id, assigned_by) VALUES ('<users.p1>', '<roles.system staff>', '<users.v1>') RETURNING assigned_by::text"),
        ("<users.v1>", "owner: UPDATE user_roles SET assigned_by = '<users.v1>' WHERE id = '<user_roles.p1>'", "admin: UPDATE user_roles SET assigned_by = '<users.a1>' WHERE id = '<user_roles.p1>' RETURNING assigned_by::text"),
    )),
    "reveal_setting(uuid)": Function("admin", True, (
        ('"x"', "admin: SELECT app.reveal_setting('<settings.secret>')::text"),
        ("READ_SECRET <settings.secret> <users.a1> admin", "admin: SELECT app.reveal_setting('<settings.secret>')", f"owner: SELECT concat_ws(' ', action, record_id, user_id, acted_as, new_values) {LOG} 'settings'"),
        (NO_SUCH_ROW, "admin: SELECT app.reveal_setting('<users.a1>')"),
        *forged(REFUSED, "admin~: SELECT app.reveal_setting('<settings.secret>')"),
    )),
    "stamp_admin_log()": Function("", True, (
        *each(True, PEOPLE, "INSERT INTO django_admin_log (id, action_time, object_repr, action_flag, change_message, user_id) "
                            "VALUES (4711, '2001-01-01', 'r', 1, '', app.user_id()) RETURNING action_time = now() AND id <> 4711"),
        (True, "owner: INSERT INTO django_admin_log (id, action_time, object_repr, action_flag, change_message, user_id) VALUES (4711, '2001-01-01', 'r', 1, '', '<users.a1>') RETURNING action_time < now() AND id = 4711"),
    )),
    "keep_audit_log()": Function("", False, (
        *((expected, f"owner: CREATE FUNCTION public.z() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER z {when} EXECUTE FUNCTION z()", "staff: UPDATE patients SET phone = '1' WHERE id = '<patients.p1>'") for expected, when in (
            (REFUSED, "BEFORE INSERT ON audit_logs FOR EACH ROW"), (REFUSED, "BEFORE INSERT OR UPDATE ON audit_logs FOR EACH ROW"),
            (1, "AFTER INSERT ON audit_logs FOR EACH ROW"), (1, "BEFORE INSERT ON audit_logs FOR EACH STATEMENT"),
            (1, "BEFORE UPDATE ON audit_logs FOR EACH ROW"), (1, "BEFORE INSERT ON notifications FOR EACH ROW"),
        )),
    )),
    "record_identity_key()": Function("", True, (
        *((told, f"owner: {ADD_KEY}; {done}", f"owner: SELECT concat_ws(' ', action, old_values, new_values, acted_as LIKE 'operator:%') {LOG} 'identity_keys' ORDER BY created_at DESC LIMIT 1") for told, done in (
            ('INSERT {"id": "0a0a0a0a"} t', "SELECT 1"),
            ('UPDATE {"id": "0a0a0a0a"} {"id": "0b0b0b0b"} t', "UPDATE app.identity_keys SET id = '0b0b0b0b' WHERE id = '0a0a0a0a'"),
            ('DELETE {"id": "0a0a0a0a"} t', "DELETE FROM app.identity_keys WHERE id = '0a0a0a0a'"),
            ("TRUNCATE t", "TRUNCATE app.identity_keys"),
        )),
    )),
    "stamp_setting()": Function("", False, (
        *((NOT_ALLOWED, f"admin: INSERT INTO settings (key, value, is_public) VALUES ('{key}', '1', true)") for key in ("a.secret", "tokens", "PASSWORD", "credential.x", "api_key")),
        *((1, f"admin: INSERT INTO settings (key, value, is_public) VALUES ('{key}', '1', {public})") for key, public in (("a.secret", "false"), ("key.a", "true"))),
        (NOT_ALLOWED, "admin: UPDATE settings SET is_public = true WHERE id = '<settings.private secret>'"),
        (NOT_ALLOWED, "admin: UPDATE settings SET key = 'api_key' WHERE id = '<settings.public>'"),
        (1, "admin: UPDATE settings SET is_public = false WHERE id = '<settings.secret>'"),
        ("<users.a1>", "admin: INSERT INTO settings (key, value, updated_by) VALUES ('k', '1', '<users.v1>') RETURNING updated_by::text"),
        ("<users.a1>", "admin: UPDATE settings SET updated_by = '<users.v1>' WHERE id = '<settings.public>' RETURNING updated_by::text"),
    )),
    "stamp_person()": Function("", False, (
        *((REFUSED, f"staff: INSERT INTO {table} (first_name, last_name, user_id) VALUES ('n', 'n', '<users.s1>')") for table in ("patients", "doctors")),
        ("n", "staff: INSERT INTO patients (first_name, last_name) VALUES ('n', 'n') RETURNING first_name"),
        (REFUSED, "supervisor: UPDATE patients SET user_id = '<users.v1>' WHERE id = '<patients.walk-in>'"),
        (REFUSED, "admin: UPDATE patients SET user_id = NULL WHERE id = '<patients.p1>'"),
        (REFUSED, "admin: UPDATE doctors SET user_id = '<users.a1>' WHERE id = '<doctors.retired>'"),
        (1, "staff: UPDATE patients SET user_id = user_id, first_name = 'n' WHERE id = '<patients.p1>'"),
    )),
    "stamp_author()": Function("", False, (
        ("<users.a1>", "admin: INSERT INTO chatbot_integrations (provider, name, config, created_by) VALUES ('web', 'n', '{}', '<users.v1>') RETURNING created_by::text"),
        (REFUSED, "admin: UPDATE chatbot_integrations SET created_by = '<users.a1>'"),
        (1, "admin: UPDATE chatbot_integrations SET created_by = created_by, name = 'n'"),
    )),
    "stamp_flow()": Function("", False, (
        *_author("chatbot_flows", "INSERT INTO chatbot_flows (name, created_by) VALUES ('n', '<users.s1>')", "chatbot_flows.s1"),
        (None, "supervisor: INSERT INTO chatbot_flows (name, published_at) VALUES ('n', '2020-01-01') RETURNING published_at"),
        (True, "supervisor: INSERT INTO chatbot_flows (name, status, published_at) VALUES ('n', 'published', '2020-01-01') RETURNING published_at = now()"),
        (True, "supervisor: UPDATE chatbot_flows SET status = 'published', published_at = '2020-01-01' WHERE id = '<chatbot_flows.s1>' RETURNING published_at = now()"),
        (None, "supervisor: UPDATE chatbot_flows SET published_at = '2020-01-01' WHERE id = '<chatbot_flows.s1>' RETURNING published_at"),
        (True, "owner: UPDATE chatbot_flows SET published_at = '2021-01-01'", "supervisor: UPDATE chatbot_flows SET published_at = now() WHERE id = '<chatbot_flows.pub>' RETURNING published_at = '2021-01-01'"),
        (True, "owner: UPDATE chatbot_flows SET published_at = '2021-01-01'", "supervisor: UPDATE chatbot_flows SET status = 'archived' WHERE id = '<chatbot_flows.pub>' RETURNING published_at = '2021-01-01'"),
    )),
    "stamp_template()": Function("", False, (
        *_author("chatbot_templates", "INSERT INTO chatbot_templates (name, content, created_by) VALUES ('n', 'c', '<users.s1>')", "chatbot_templates.s1"),
        (REFUSED, "supervisor: INSERT INTO chatbot_templates (name, content, is_approved) VALUES ('n', 'c', true)"),
        (None, "supervisor: INSERT INTO chatbot_templates (name, content, approved_by) VALUES ('n', 'c', '<users.a1>') RETURNING approved_by"),
        ("<users.v1>", "supervisor: UPDATE chatbot_templates SET is_approved = true, approved_by = '<users.a1>' WHERE id = '<chatbot_templates.s1>' RETURNING approved_by::text"),
        (REFUSED, "supervisor/s1: UPDATE chatbot_templates SET is_approved = true WHERE id = '<chatbot_templates.s1>'"),
        (None, "supervisor: UPDATE chatbot_templates SET approved_by = '<users.v1>' WHERE id = '<chatbot_templates.s1>' RETURNING approved_by"),
        ("<users.a1>", "owner: UPDATE chatbot_templates SET approved_by = '<users.a1>' WHERE is_approved", "supervisor: UPDATE chatbot_templates SET approved_by = '<users.v1>' WHERE id = '<chatbot_templates.pub>' RETURNING approved_by::text"),
        (True, "supervisor: UPDATE chatbot_templates SET content = 'other' WHERE id = '<chatbot_templates.pub>' RETURNING is_approved"),
        *(("t <users.v1>", "owner: UPDATE chatbot_templates SET approved_by = '<users.a1>' WHERE is_approved", f"supervisor: UPDATE chatbot_templates SET {column} = {value} WHERE id = '<chatbot_templates.pub>' RETURNING concat_ws(' ', is_approved, approved_by)")
          for column, value in (("content", "'other'"), ("variables", "'[]'"), ("language", "'xx'"))),
        ("t <users.v1>", "owner: UPDATE chatbot_templates SET approved_by = '<users.a1>', created_by = NULL WHERE is_approved", "supervisor: UPDATE chatbot_templates SET content = 'other' WHERE id = '<chatbot_templates.pub>' RETURNING concat_ws(' ', is_approved, approved_by)"),
        ("f t", "owner: UPDATE chatbot_templates SET approved_by = '<users.a1>' WHERE is_approved", "supervisor/s2: UPDATE chatbot_templates SET content = 'other' WHERE id = '<chatbot_templates.pub>' RETURNING concat_ws(' ', is_approved, approved_by IS NULL)"),
        ("t <users.a1>", "owner: UPDATE chatbot_templates SET approved_by = '<users.a1>' WHERE is_approved", "supervisor/s2: UPDATE chatbot_templates SET name = 'other' WHERE id = '<chatbot_templates.pub>' RETURNING concat_ws(' ', is_approved, approved_by)"),
        ("f t", "owner: UPDATE chatbot_templates SET approved_by = '<users.a1>' WHERE is_approved", "supervisor: UPDATE chatbot_templates SET is_approved = false, approved_by = '<users.v1>' WHERE id = '<chatbot_templates.pub>' RETURNING concat_ws(' ', is_approved, approved_by IS NULL)"),
    )),
    "stamp_message()": Function("", False, (
        (True, "service: UPDATE messages SET read_at = '2020-01-01' WHERE id = '<messages.p1>' RETURNING read_at = now()"),
        (None, "service: UPDATE messages SET content = 'c' WHERE id = '<messages.p1>' RETURNING read_at"),
        (True, "owner: UPDATE messages SET read_at = '2021-01-01'", "service: UPDATE messages SET read_at = '2020-01-01' WHERE id = '<messages.p1>' RETURNING read_at = '2021-01-01'"),
        (None, "owner: UPDATE messages SET read_at = '2021-01-01'", "service: UPDATE messages SET read_at = NULL WHERE id = '<messages.p1>' RETURNING read_at"),
        (True, "service: INSERT INTO messages (conversation_id, sender_type, content, read_at) VALUES ('<conversations.p1>', 'bot', 'c', '2020-01-01') RETURNING read_at = now()"),
        (None, "service: INSERT INTO messages (conversation_id, sender_type, content) VALUES ('<conversations.p1>', 'bot', 'c') RETURNING read_at"),
    )),
    "stamp_lead()": Function("", False, (
        (True, "staff: INSERT INTO crm_leads (name, owner_id, assigned_at) VALUES ('n', '<users.s1>', '2020-01-01') RETURNING assigned_at = now()"),
        (True, "supervisor: INSERT INTO crm_leads (name, assigned_at) VALUES ('n', '2020-01-01') RETURNING assigned_at = now()"),
        (True, "owner: UPDATE crm_leads SET assigned_at = '2021-01-01'", "staff: UPDATE crm_leads SET assigned_at = '2020-01-01' RETURNING assigned_at = '2021-01-01'"),
        (True, "owner: UPDATE crm_leads SET assigned_at = '2021-01-01'", "supervisor: UPDATE crm_leads SET owner_id = '<users.s2>', assigned_at = '2020-01-01' WHERE id = '<crm_leads.s1>' RETURNING assigned_at = now()"),
    )),
    "set_updated_at()": Function("", False, (
        (True, "owner: ALTER TABLE patients DISABLE TRIGGER USER; UPDATE patients SET updated_at = '2020-01-01'; ALTER TABLE patients ENABLE TRIGGER USER", "staff: UPDATE patients SET first_name = 'n', updated_at = '2020-01-01' WHERE id = '<patients.p1>' RETURNING updated_at = now()"),
    )),
    "fill_public_id()": Function("", False, (
        (True, SCRATCH, "owner: CREATE TRIGGER scratch_fill BEFORE INSERT ON scratch FOR EACH ROW EXECUTE FUNCTION app.fill_public_id('pat_')",
         "owner: INSERT INTO scratch (id) VALUES (gen_random_uuid()) RETURNING public_id ~ '^pat_[a-z][0-9a-z]{23}$'"),
    )),
    "generate_public_id(text)": Function(SIGNED_IN, False, (
        (True, "owner: SELECT bool_and(app.generate_public_id('pat_') ~ '^pat_[a-z][0-9a-z]{23}$') FROM generate_series(1, 100)"),
        (100, "owner: SELECT count(DISTINCT app.generate_public_id('pat_')) FROM generate_series(1, 100)"),
    )),
    # --- the audit trail ---
    "audit_origin()": Function("", False, (
        ("<users.p1> patient", "patient: UPDATE patients SET phone = '0500'", f"owner: SELECT concat_ws(' ', user_id, acted_as, ip_address, user_agent, request_id) {LOG} 'patients'"),
        ("service", "service: UPDATE conversations SET status = 'closed' WHERE id = '<conversations.p1>'", f"owner: SELECT concat_ws(' ', user_id, acted_as) {LOG} 'conversations'"),
        (True, "owner: UPDATE patients SET phone = '0500' WHERE id = '<patients.p1>'", f"owner: SELECT acted_as = 'operator:' || session_user AND user_id IS NULL {LOG} 'patients'"),
        # A role that is only named like ours.
        (True, f"superuser: CREATE ROLE moeen_janitor; {AS_OWNER.format('moeen_janitor')}; SET LOCAL ROLE moeen_janitor; UPDATE patients SET phone = '0500' WHERE id = '<patients.p1>'", f"owner: SELECT acted_as LIKE 'operator:%' {LOG} 'patients'"),
        (f"192.0.2.7 {'a' * 500} {'r' * 100}", "patient: SELECT set_config('moeen.request', jsonb_build_object('address', '192.0.2.7', 'agent', repeat('a', 900), 'id', repeat('r', 900))::text, true); UPDATE patients SET phone = '0500'",
         f"owner: SELECT concat_ws(' ', host(ip_address), user_agent, request_id) {LOG} 'patients'"),
        (INVALID_TEXT, "patient: SELECT set_config('moeen.request', '{\"address\": \"nowhere\"}', true); UPDATE patients SET phone = '0500'"),
        (INVALID_TEXT, "patient: SELECT set_config('moeen.request', '{', true); UPDATE patients SET phone = '0500'"),
    )),
    "audited(text,json,text[])": Function("", False, (
        ('"[redacted]"', """owner: SELECT app.audited('a', '"x"', '{b,a}')::text"""),
        ("null", "owner: SELECT app.audited('a', 'null', '{a}')::text"),
        *(('"[redacted]"', f"""owner: SELECT app.audited('{name}', '"x"', NULL)::text""") for name in
          ("own_secret", "resetToken", "passwd", "sms_credentials", "apikey", "API_KEY")),
        ('{"x": 1.50}', """owner: SELECT app.audited('b', '{"x": 1.50}', '{a}')::text"""),
        ("8190 t", "owner: SELECT concat_ws(' ', length(v #>> '{}'), jsonb_typeof(v) = 'string') FROM (SELECT app.audited('b', to_json(repeat('a', 8190)), NULL) AS v) AS x"),
        (f"8191 {'a' * 200} t", "owner: SELECT concat_ws(' ', v ->> 'length', v ->> 'beginning', v ->> 'sha256' = encode(sha256(convert_to(repeat('a', 8191), 'UTF8')), 'hex')) FROM (SELECT app.audited('b', to_json(repeat('a', 8191)), NULL) AS v) AS x"),
        (f"5000 {'م' * 200}", "owner: SELECT concat_ws(' ', v ->> 'length', v ->> 'beginning') FROM (SELECT app.audited('b', to_json(repeat('م', 5000)), NULL) AS v) AS x"),
    ), is_inlined=True),
    "audit_redacted(jsonb)": Function("", False, (
        ('{"a": "b", "password_hash": "[redacted]", "webhook_secret": "[redacted]"}', """owner: SELECT app.audit_redacted('{"a": "b", "password_hash": "x", "webhook_secret": "y"}')::text"""),
        ('{"password_hash": null}', """owner: SELECT app.audit_redacted('{"password_hash": null}')::text"""),
        ("{}", "owner: SELECT app.audit_redacted('{}')::text"),
    )),
    "audit_statement()": Function("", True, (
        ('UPDATE <patients.p1> <users.p1> {"phone": null} {"phone": "0500"}', "patient: UPDATE patients SET phone = '0500'", f"owner: SELECT concat_ws(' ', action, record_id, user_id, old_values, new_values) {LOG} 'patients'"),
        ("INSERT t n", "staff: INSERT INTO patients (first_name, last_name) VALUES ('n', 'n')", f"owner: SELECT concat_ws(' ', action, old_values IS NULL, new_values ->> 'first_name') {LOG} 'patients'"),
        (False, "staff: INSERT INTO patients (first_name, last_name) VALUES ('n', 'n')", f"owner: SELECT new_values ? 'phone' {LOG} 'patients'"),
        ("INSERT [redacted]", "admin: INSERT INTO users (email, name, password_hash) VALUES ('n@example.test', 'n', 'x')", f"owner: SELECT concat_ws(' ', action, new_values ->> 'password_hash') {LOG} 'users'"),
        ("UPDATE [redacted] [redacted]", "auth: UPDATE users SET password_hash = 'y' WHERE id = '<users.p1>'", f"owner: SELECT concat_ws(' ', action, old_values ->> 'password_hash', new_values ->> 'password_hash') {LOG} 'users'"),
        ("DELETE t <patients.walk-in>", "owner: DELETE FROM sessions; DELETE FROM appointments", f"owner: SELECT concat_ws(' ', action, new_values IS NULL, old_values ->> 'patient_id') {LOG} 'appointments' AND record_id = '<appointments.walk-in-d2>'"),
        ("TRUNCATE", "owner: TRUNCATE appointments CASCADE", f"owner: SELECT action {LOG} 'appointments'"),
        (0, "staff: UPDATE patients SET first_name = first_name", f"owner: SELECT count(*) {LOG} 'patients'"),
        (3, "staff: UPDATE patients SET phone = '0500'", f"owner: SELECT count(*) {LOG} 'patients'"),
        (3, "owner: SELECT set_config('app.audit_suspended', 'on', true); UPDATE patients SET phone = '0500'", f"owner: SELECT count(*) {LOG} 'patients'"),
        (0, f"{SUSPENDED} UPDATE patients SET phone = '0500'", f"owner: SELECT count(*) {LOG} 'patients' AND action = 'UPDATE'"),
        (3, f"{SUSPENDED} SELECT set_config('app.audit_suspended', '<users.p2>', true); UPDATE patients SET phone = '0500'", f"owner: SELECT count(*) {LOG} 'patients' AND action = 'UPDATE'"),
        (3, SUSPENDED, "staff: UPDATE patients SET phone = '0500'", f"owner: SELECT count(*) {LOG} 'patients' AND action = 'UPDATE'"),
        (1, f"{SUSPENDED} UPDATE doctors SET phone = '0500' WHERE id = '<doctors.d1>'", f"owner: SELECT count(*) {LOG} 'doctors' AND action = 'UPDATE'"),
        (3, "owner: UPDATE patients SET phone = '0500'", f"owner: SELECT count(*) {LOG} 'patients'"),
        (3, "staff: SELECT set_config('app.audit_suspended', 'on', true); UPDATE patients SET phone = '0500'", f"owner: SELECT count(*) {LOG} 'patients'"),
        ("INSERT <users.left>, UPDATE <users.p1>, UPDATE <users.left>", "owner: INSERT INTO patients (id, first_name, last_name) VALUES ('<users.left>', 'n', 'n'); UPDATE patients SET id = '<users.p1>' WHERE id = '<users.left>'",
         f"owner: SELECT string_agg(concat_ws(' ', action, record_id), ', ' ORDER BY action, record_id = '<users.p1>' DESC) {LOG} 'patients'"),
        # A table that names no patient.
        ("<users.left> <users.p1>", "owner: INSERT INTO roles (id, name) VALUES ('<users.left>', 'n')", "owner: UPDATE roles SET id = '<users.p1>' WHERE id = '<users.left>'",
         f"owner: SELECT string_agg(record_id::text, ' ' ORDER BY record_id = '<users.p1>') {LOG} 'roles' AND action = 'UPDATE'"),
        # By hand, and where a line is to silence what tells of lines.
        ("INSERT patients, UPDATE doctors, DELETE doctors", "owner: SELECT set_config('app.audit_suspended', '<users.p1>', true); INSERT INTO app.audit_suspensions (id, table_name, work) VALUES ('<users.p1>', 'audit_suspensions', 'x'), ('<users.p1>', 'patients', 'x'); "
         "UPDATE app.audit_suspensions SET table_name = 'doctors' WHERE table_name = 'patients'; DELETE FROM app.audit_suspensions",
         f"owner: SELECT string_agg(concat_ws(' ', action, coalesce(new_values, old_values) ->> 'table_name'), ', ' ORDER BY created_at) {LOG} 'audit_suspensions' AND coalesce(new_values, old_values) ->> 'table_name' <> 'audit_suspensions'"),
        # Two foreign keys change it within one statement.
        ("contact_id, owner_id", "owner: INSERT INTO patients (id, first_name, last_name) VALUES ('<users.left>', 'n', 'n'); INSERT INTO crm_activities (type, subject, contact_id, owner_id) VALUES ('call', 'n', '<users.left>', '<users.left>'); "
         "WITH gone AS (DELETE FROM patients WHERE id = '<users.left>') DELETE FROM users WHERE id = '<users.left>'",
         f"owner: SELECT string_agg(k, ', ' ORDER BY k) FROM (SELECT jsonb_object_keys(new_values) AS k {LOG} 'crm_activities' AND action = 'UPDATE') AS x"),
        (NOT_ALLOWED, "owner: ALTER TABLE audit_logs ADD CONSTRAINT nothing CHECK (false) NOT VALID", "patient: UPDATE patients SET phone = '0500'"),
        ("<patients.p1>", "patient: UPDATE patients SET phone = '0500'", f"owner: SELECT patient_id::text {LOG} 'patients'"),
        ("<patients.p1> <patients.p2>", "owner: UPDATE appointments SET patient_id = '<patients.p2>' WHERE id = '<appointments.p1-d1>'", f"owner: SELECT string_agg(patient_id::text, ' ' ORDER BY patient_id = '<patients.p2>') {LOG} 'appointments'"),
        ("[redacted] [redacted]", "admin: UPDATE chatbot_integrations SET config = '{\"token\": \"x\"}' WHERE id = '<chatbot_integrations.bot>'", f"owner: SELECT concat_ws(' ', old_values ->> 'config', new_values ->> 'config') {LOG} 'chatbot_integrations'"),
        ("1 2", "owner: INSERT INTO settings (key, value) VALUES ('opening', '1')", "admin: UPDATE settings SET value = '2' WHERE key = 'opening'", f"owner: SELECT concat_ws(' ', old_values ->> 'value', new_values ->> 'value') {LOG} 'settings' AND action = 'UPDATE'"),
        *((", ".join(["[redacted]"] * 4), f"owner: INSERT INTO settings (key, category, value) VALUES ('{key}', '{category}', '1'); UPDATE settings SET value = '2', category = 'general' WHERE key = '{key}'; DELETE FROM settings WHERE key = '{key}'",
           f"owner: SELECT string_agg(v ->> 'value', ', ') {LOG.replace('WHERE', 'CROSS JOIN LATERAL (VALUES (old_values), (new_values)) AS x (v) WHERE')} 'settings'")
          for key, category in (("smtp_password", "general"), ("sms2.API_KEY", "general"))),
        ("1, 2, 2", "owner: INSERT INTO settings (key, value) VALUES ('opening', '1'); UPDATE settings SET value = '2' WHERE key = 'opening'; DELETE FROM settings WHERE key = 'opening'",
         f"owner: SELECT string_agg(coalesce(new_values, old_values) ->> 'value', ', ' ORDER BY created_at) {LOG} 'settings'"),
        ("[redacted] [redacted]", "owner: INSERT INTO settings (key, category, value) VALUES ('sms', 'general', '1'); UPDATE settings SET value = '2', category = 'api' WHERE key = 'sms'",
         f"owner: SELECT concat_ws(' ', old_values ->> 'value', new_values ->> 'value') {LOG} 'settings' AND action = 'UPDATE'"),
        (0, "owner: DELETE FROM sessions; DELETE FROM appointments", f"owner: SELECT count(*) {LOG.replace('WHERE', 'CROSS JOIN LATERAL jsonb_each(old_values) AS e WHERE')} 'appointments' AND e.value = 'null'"),
        ("<patients.p1> <patients.p1>", "owner: UPDATE conversations SET patient_id = NULL WHERE id = '<conversations.p1>'; UPDATE conversations SET patient_id = '<patients.p1>' WHERE id = '<conversations.p1>'",
         f"owner: SELECT string_agg(patient_id::text, ' ') {LOG} 'conversations'"),
        ("[redacted], [redacted], [redacted]", "owner: INSERT INTO settings (key, category, value) VALUES ('sms', 'api', '1'); UPDATE settings SET value = '2', category = 'general' WHERE key = 'sms'",
         f"owner: SELECT string_agg(v ->> 'value', ', ') {LOG.replace('WHERE', 'CROSS JOIN LATERAL (VALUES (old_values), (new_values)) AS x (v) WHERE')} 'settings'"),
    ), settings=("plan_cache_mode=force_generic_plan",)),
    "stamp_audit_entry()": Function("", True, (
        # In the order in which they came, though of one transaction; a time that is said stays.
        (True, "owner: INSERT INTO audit_logs (action, table_name) VALUES ('x', 'y')", "owner: SELECT created_at > now() FROM audit_logs WHERE action = 'x'"),
        (True, "owner: INSERT INTO audit_logs (action, table_name, created_at) VALUES ('x', 'y', '2020-01-01')", "owner: SELECT created_at = '2020-01-01' FROM audit_logs WHERE action = 'x'"),
        ("<users.p1> service t", "service: SELECT app.integration_secret('<chatbot_integrations.bot>')", "owner: INSERT INTO audit_logs (action, table_name, user_id) VALUES ('x', 'y', '<users.p1>')",
         f"owner: SELECT concat_ws(' ', (SELECT user_id FROM audit_logs WHERE action = 'x'), acted_as, transaction_id = pg_current_xact_id()::text::bigint) {LOG} 'chatbot_integrations'"),
        ("<users.v1> supervisor 192.0.2.7 a r", f"supervisor: {REQUESTED}; SELECT app.link_sign_in('patients', '<patients.p1>', '<users.s2>')",
         f"owner: SELECT concat_ws(' ', user_id, acted_as, host(ip_address), user_agent, request_id) {LOG} 'patients' AND action = 'LINK_SIGN_IN'"),
    )),
    "suspend_audit(uuid,text,text,jsonb)": Function("", False, (
        ("BACKFILL <users.p1> {}", SUSPENDED, "owner: SELECT app.suspend_audit('<users.p1>', 'patients', 'BACKFILL', '{}')", f"owner: SELECT string_agg(concat_ws(' ', action, record_id, new_values), ', ') {LOG} 'patients'"),
        (NOT_ALLOWED, "owner: SELECT app.suspend_audit('<users.p1>', 'patients', '', '{}')"),
    )),
    "resume_audit(uuid)": Function("", False, (
        ("patients", SUSPENDED, "owner: SELECT app.suspend_audit('<users.p2>', 'doctors', 'BACKFILL', '{}'); SELECT app.resume_audit('<users.p2>')", "owner: SELECT string_agg(table_name, ' ') FROM app.audit_suspensions"),
        ("AUDIT_RESUMED, BACKFILL", SUSPENDED, "owner: SELECT app.resume_audit('<users.p1>')", "owner: SELECT app.resume_audit('<users.p1>')", f"owner: SELECT string_agg(action, ', ' ORDER BY action) {LOG} 'patients'"),
        (3, SUSPENDED, "owner: SELECT app.resume_audit('<users.p1>'); UPDATE patients SET phone = '0500'", f"owner: SELECT count(*) {LOG} 'patients' AND action = 'UPDATE'"),
    )),
    "refuse_change()": Function("", False, (
        *((REFUSED, f"owner: {statement}") for statement in ("UPDATE audit_logs SET action = 'x'", "DELETE FROM audit_logs", "TRUNCATE audit_logs")),
    )),
    "keep_audit_entries()": Function("", False, (
        *((REFUSED, f"owner: {statement}") for statement in ("DELETE FROM audit_logs", "DELETE FROM audit_logs WHERE false")),
        (REFUSED, f"{SEALED} 0)", "owner: DELETE FROM audit_logs WHERE action = 'sealed'"),
        (1, f"{SEALED} 3)", "owner: DELETE FROM audit_logs WHERE action = 'sealed'"),
        (REFUSED, f"{SEALED} 2)", "owner: DELETE FROM audit_logs WHERE action = 'sealed'"),
        (REFUSED, f"{SEALED} 3)", "owner: DELETE FROM audit_logs"),
    )),
    # --- what migrations call ---
    "add_identity_key(text,bytea)": Function("", False, (
        (f"{'ab' * 32} {'9d' * 32 + '36' * 32} {'f7' * 32 + '5c' * 32}", "owner: SELECT app.add_identity_key('0123abcd', decode(repeat('ab', 32), 'hex'))",
         "owner: SELECT concat_ws(' ', encode(secret, 'hex'), encode(inner_pad, 'hex'), encode(outer_pad, 'hex')) FROM app.identity_keys WHERE id = '0123abcd'"),
    )),
    "bound_roles()": Function("", False, ((BOUND_ROLES, "owner: SELECT array_to_string(app.bound_roles(), ', ')"),)),
    "allow(text,text,text,text,text)": Function("", False, (
        ("scratch_delete_staff | PERMISSIVE | moeen_staff | DELETE | (note = 'a'::text); scratch_insert_staff | PERMISSIVE | moeen_staff | INSERT | (note = 'b'::text); "
         "scratch_select_admin | PERMISSIVE | moeen_admin | SELECT | true; scratch_select_staff | PERMISSIVE | moeen_staff | SELECT | true; "
         "scratch_update_staff | PERMISSIVE | moeen_staff | UPDATE | (note = 'a'::text) | (note = 'b'::text)",
         SCRATCH, "owner: SELECT app.allow('scratch', 'staff', 'IUD', $$note = 'a'$$, $$note = 'b'$$); SELECT app.allow('scratch', 'staff admin', 'S', 'false'); SELECT app.allow('scratch', 'staff admin', 'S', 'true')", POLICIES),
        (None, "owner: CREATE TABLE scratch_other (id int); CREATE POLICY scratch_select_staff ON scratch_other", SCRATCH, "owner: SELECT app.allow('scratch', 'staff', 'S', 'true'); SELECT NULL"),
        ("scratch_insert_staff | PERMISSIVE | moeen_staff | INSERT | true; scratch_update_staff | PERMISSIVE | moeen_staff | UPDATE | true | true", SCRATCH, "owner: SELECT app.allow('scratch', 'staff', 'IU', 'true')", POLICIES),
        ("r moeen_admin INSERT, r moeen_admin SELECT, r moeen_staff INSERT, r moeen_staff SELECT", SCRATCH, "owner: SELECT app.allow('scratch', 'staff admin', 'SI', 'true')", GRANTS),
        ("r moeen_staff UPDATE id, r moeen_staff UPDATE note", SCRATCH, "owner: SELECT app.allow('scratch', 'staff', 'U (id, note)', 'true')", GRANTS),
        ("r moeen_staff SELECT created_at, r moeen_staff SELECT id, r moeen_staff SELECT public_id", SCRATCH, "owner: ALTER TABLE scratch ADD gone int; ALTER TABLE scratch DROP gone; SELECT app.allow('scratch', 'staff', 'S (all but note, n)', 'true')", GRANTS),
    )),
    "audit(text,text,text,text,text)": Function("", False, (
        ("scratch_audit_delete A AFTER DELETE ON public.scratch REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement('', '', ''); "
         "scratch_audit_truncate A AFTER TRUNCATE ON public.scratch FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement('', '', '')",
         SCRATCH, "owner: SELECT app.audit('scratch', events => 'delete truncate')", AFTER),
        ("scratch_audit_insert A AFTER INSERT ON public.scratch REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement('id', 'n note', 'true'); "
         "scratch_audit_update A AFTER UPDATE ON public.scratch REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement('id', 'n note', 'true')",
         SCRATCH, "owner: SELECT app.audit('scratch', 'id', 'n note', 'true', 'insert update')", AFTER),
    )),
    "unaudit(text)": Function("", False, (
        (None, SCRATCH, "owner: CREATE TABLE scratch_other (id int); SELECT app.audit('scratch'); SELECT app.unaudit('scratch_other scratch')", AFTER),
    )),
    "lock_away(text)": Function("", False, (
        ("t others", SCRATCH, "owner: GRANT ALL ON scratch TO PUBLIC, moeen_staff, anon, authenticated, service_role; GRANT ALL ON SEQUENCE scratch_n_seq TO PUBLIC, moeen_staff, authenticated; CREATE POLICY others ON scratch TO CURRENT_USER; CREATE POLICY ours ON scratch TO moeen_staff; SELECT app.lock_away('missing scratch')",
         "owner: SELECT concat_ws(' ', relrowsecurity, (SELECT string_agg(polname, ' ') FROM pg_policy WHERE polrelid = c.oid)) FROM pg_class c WHERE relname = 'scratch'"),
        (None, SCRATCH, "owner: GRANT ALL ON scratch TO PUBLIC, moeen_staff, anon, authenticated, service_role; GRANT ALL ON SEQUENCE scratch_n_seq TO PUBLIC, moeen_staff, authenticated; SELECT app.lock_away('scratch')", GRANTS),
        ("r pg_monitor SELECT", SCRATCH, "owner: GRANT SELECT ON scratch TO pg_monitor, moeen_staff; SELECT app.lock_away('scratch')", GRANTS),
        (None, "owner: CREATE TABLE scratch (id int GENERATED ALWAYS AS IDENTITY); GRANT ALL ON SEQUENCE scratch_id_seq TO authenticated; SELECT app.lock_away('scratch')", GRANTS),
        ("S moeen_staff USAGE", SCRATCH, "owner: CREATE TABLE scratch_other (n serial); GRANT USAGE ON SEQUENCE scratch_other_n_seq TO moeen_staff; SELECT app.lock_away('scratch')", GRANTS),
        ("S moeen_staff USAGE", SCRATCH, "owner: CREATE SEQUENCE scratch_other; GRANT USAGE ON SEQUENCE scratch_other TO moeen_staff; SELECT app.lock_away('scratch')", GRANTS),
    )),
    "signed_only(text)": Function("", False, (
        ("; ".join(f"scratch_bound_{role[6:]} | RESTRICTIVE | {role} | ALL | ( SELECT app.is_bound('{role}'::text) AS is_bound) | app.is_bound('{role}'::text)" for role in sorted(BOUND_ROLES.split(", "))), SCRATCH, "owner: SELECT app.signed_only('scratch'); SELECT app.signed_only('scratch')", POLICIES),
    )),
    "guard(text,text,text,text)": Function("", False, (
        (f"scratch_identity_keep O BEFORE INSERT OR UPDATE ON public.scratch FOR EACH ROW {WHEN} EXECUTE FUNCTION app.keep_identity('abc_', 'created_at')", SCRATCH, "owner: SELECT app.guard('scratch', 'abc_'); SELECT app.guard('scratch', 'abc_')", TRIGGERS),
        (f"scratch_identity_keep O BEFORE INSERT OR UPDATE ON public.scratch FOR EACH ROW {WHEN} EXECUTE FUNCTION app.keep_identity('abc_', 'sent_at'); "
         f"scratch_stamp O BEFORE INSERT OR UPDATE ON public.scratch FOR EACH ROW {WHEN} EXECUTE FUNCTION app.stamp_author()", SCRATCH, "owner: SELECT app.guard('scratch', 'abc_', 'sent_at', 'stamp_author')", TRIGGERS),
        (f"scratch_updated_at_keep O {MOVED}", SCRATCH, TIMED, "owner: SELECT app.guard('scratch', 'abc_'); SELECT app.guard('scratch', 'abc_')", TIMES),
        (f"anything O {MOVED}", SCRATCH, TIMED, f"owner: CREATE TRIGGER anything {MOVED}", "owner: SELECT app.guard('scratch', 'abc_')", TIMES),
        (f"scratch_updated_at_keep O {MOVED}; zeal O {MOVED.replace('set_updated_at', 'refuse_change')}", SCRATCH, TIMED,
         f"owner: CREATE TRIGGER zeal {MOVED.replace('set_updated_at', 'refuse_change')}", "owner: SELECT app.guard('scratch', 'abc_')", TIMES),
    )),
    "unguard(text)": Function("", False, (
        (None, SCRATCH, TIMED, "owner: SELECT app.guard('scratch', 'abc_', stamp => 'stamp_author'); SELECT app.unguard('missing scratch')", TRIGGERS),
    )),
}  # fmt: skip
