# ruff: noqa: E501 - SQL
"""Every mutant of what keeps people apart: policies, grants, functions, triggers, roles. All are read off the catalog.

Each is statements that are run in a transaction which is rolled back.
"""

from dataclasses import dataclass

from psycopg import sql

from tests.access import bodies
from tests.access.functions import FUNCTIONS
from tests.access.surroundings import OURS, PLATFORM

COMMANDS = {"SELECT": "S", "INSERT": "I", "UPDATE": "U", "DELETE": "D"}


@dataclass(frozen=True)
class Mutant:
    """`what`: said of a survivor. `function`, or `table`, `role` and `command`: where it is most likely noticed."""

    kind: str
    statement: str
    what: str = ""
    by_superuser: bool = False
    function: str | None = None
    table: str | None = None
    role: str | None = None
    command: str = "SIUD"

    @property
    def name(self):
        return f"{self.kind}: {self.what or self.statement}"


def every(owner):
    """`owner`: a connection that acts as the owner of the tables."""
    for source in (
        policies,
        restrictive_policies,
        table_grants,
        functions,
        function_grants,
        triggers,
        roles,
        surroundings,
    ):
        yield from source(owner)


def compose(text, *names, **parts):
    return sql.SQL(text).format(*map(sql.Identifier, names), **parts).as_string(None)


# --- policies and grants ------------------------------------------------------------------------------------------


def policies(owner):
    rows = owner.execute(
        """SELECT tablename, policyname, substr(roles[1], 7), cmd, qual, with_check FROM pg_policies
           WHERE schemaname = 'public' AND permissive = 'PERMISSIVE' ORDER BY 1, 2"""
    ).fetchall()
    for table, name, role, command, using, check in rows:
        where = {"table": table, "role": role, "command": COMMANDS[command]}
        yield Mutant("policy dropped", compose("DROP POLICY {} ON {}", name, table), **where)
        if command == "UPDATE" and using != "true":
            both = compose("ALTER POLICY {} ON {} USING (true) WITH CHECK (true)", name, table)
            yield Mutant("policy wholly widened", both, **where)
        for clause, expression in (("USING", using), ("WITH CHECK", check)):
            if expression not in (None, "true"):
                widened = compose("ALTER POLICY {} ON {} {clause} (true)", name, table, clause=sql.SQL(clause))
                yield Mutant(f"policy's {clause} widened", widened, **where)


def restrictive_policies(owner):
    rows = owner.execute(
        """SELECT tablename, policyname, roles[1]::text FROM pg_policies
           WHERE schemaname = 'public' AND permissive = 'RESTRICTIVE' ORDER BY 1, 2"""
    ).fetchall()
    for table, name, role in rows:
        where = {"table": table, "role": role[6:]}
        drop = compose("DROP POLICY {} ON {}", name, table)
        yield Mutant("restrictive policy dropped", drop, **where)
        for clause in ("USING", "WITH CHECK"):
            wide = compose(f"ALTER POLICY {{}} ON {{}} {clause} (true)", name, table)
            yield Mutant("restrictive policy widened", wide, **where)
            any_role = compose(f"ALTER POLICY {{}} ON {{}} {clause} (app.is_bound())", name, table)
            yield Mutant("restrictive policy of any role", any_role, **where)
        asked = sql.SQL("app.is_bound({})").format(role)
        make = compose("CREATE POLICY {} ON {} TO {roles} USING ({a})", name, table, roles=_names([role]), a=asked)
        yield Mutant("restrictive policy permissive", f"{drop}; {make}", **where)
        for command, clause in (("SELECT", "USING"), ("INSERT", "WITH CHECK")):
            make = compose(
                f"CREATE POLICY {{}} ON {{}} AS RESTRICTIVE FOR {command} TO {{roles}} {clause} ({{a}})",
                name, table, roles=_names([role]), a=asked,
            )  # fmt: skip
            yield Mutant("restrictive policy narrowed", f"{drop}; {make}", **where)
        other = next(each for each in OURS if each != role)
        taken = compose("ALTER POLICY {} ON {} TO {roles}", name, table, roles=_names([other]))
        yield Mutant("restrictive policy not for a role", taken, **where)


def _names(names):
    return sql.SQL(", ").join(map(sql.Identifier, names))


def table_grants(owner):
    grants = owner.execute(
        """
        SELECT c.relname, r.rolname, a.privilege_type, NULL FROM pg_class c CROSS JOIN aclexplode(c.relacl) a
        JOIN pg_roles r ON r.oid = a.grantee WHERE c.relnamespace = 'public'::regnamespace AND r.rolname = ANY (%(ours)s)
        UNION ALL
        SELECT c.relname, r.rolname, a.privilege_type, t.attname FROM pg_class c
        JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN aclexplode(t.attacl) a JOIN pg_roles r ON r.oid = a.grantee
        WHERE c.relnamespace = 'public'::regnamespace AND r.rolname = ANY (%(ours)s) ORDER BY 1, 2, 3, 4
        """,
        {"ours": OURS},
    ).fetchall()
    limited = {}
    for table, role, privilege, column in grants:
        what = sql.SQL(privilege) + (sql.SQL(" ({})").format(sql.Identifier(column)) if column else sql.SQL(""))
        revoke = compose("REVOKE {what} ON {} FROM {}", table, role, what=what)
        yield Mutant("grant revoked", revoke, table=table, role=role[6:], command=COMMANDS[privilege])
        limited.setdefault((table, role, privilege), column)
    tables = owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
    for (table,) in tables:
        for role in OURS:
            for privilege, command in COMMANDS.items():
                if limited.get((table, role, privilege), "none") is not None:  # not granted, or some columns only
                    grant = compose("GRANT {what} ON {} TO {}", table, role, what=sql.SQL(privilege))
                    yield Mutant("grant widened", grant, table=table, role=role[6:], command=command)
            grant = compose("GRANT TRUNCATE ON {} TO {}", table, role)
            yield Mutant("grant beyond the commands", grant, table=table)
        for who in ("PUBLIC", *PLATFORM):
            grant = compose("GRANT SELECT ON {} TO {who}", table, who=sql.SQL(who))
            yield Mutant("grant to others", grant, table=table)
        off = compose("ALTER TABLE {} DISABLE ROW LEVEL SECURITY", table)
        yield Mutant("row security disabled", off, table=table)
        mine = compose("ALTER TABLE {} OWNER TO {}", table, "moeen_staff")
        yield Mutant("owner changed", mine, by_superuser=True, table=table)


# --- functions ----------------------------------------------------------------------------------------------------

_FITS = """ = sha256(convert_to(encode(sha256(key.outer_pad || sha256(
            key.inner_pad || convert_to(left(signature, 8) || E'\\n' || substr(signature, 10, 10) || E'\\n'
            || {role} || E'\\n' || {claims}, 'UTF8'))), 'hex'), 'UTF8'))"""
_CLAIMS = "coalesce(current_setting('request.jwt.claims', true), '')"
_MAC = "sha256(convert_to(substr(signature, 21), 'UTF8'))"
_ANY_ROLE = f"(SELECT r FROM unnest(app.bound_roles()) AS r WHERE {_MAC}{_FITS.format(role='r', claims=_CLAIMS)})"
_ANY_CLAIMS = f"""(SELECT c FROM (SELECT '' AS c UNION SELECT '{{}}' UNION SELECT format('{{"sub": "%s", "app_role": "%s"}}', u.id, u.role)
    FROM public.users AS u) AS said WHERE {_MAC}{_FITS.format(role="current_setting('role')", claims="c")} LIMIT 1)"""

#: Faults that no rule makes: function -> (what it does wrongly, a part of its body, what stands there instead).
BY_HAND = {
    "is_bound(text)": (
        ("the role left out of the signature", "current_setting('role')", _ANY_ROLE),
        ("the claims left out of the signature", _CLAIMS, _ANY_CLAIMS),
        ("always", "RETURN FOUND", "RETURN true OR FOUND"),
        ("the wanted role not asked", "wanted <> current_setting('role')", "false"),
        ("a key that is not known is made up", "RETURN FOUND", "RETURN true"),
    ),
    "user_id()": (("the claims of whoever is not signed are believed", "IF app.is_bound() THEN", "IF true THEN"),),
    "require_bound(regprocedure)": (
        ("asks for nothing", "IF (app.", "IF false AND (app."),
        ("the function not asked", "asked IS NULL OR", "true OR"),
    ),
    "sign_request()": (
        ("the role is what the claims say", "CASE entry", "CASE said ->> 'role'"),
        ("any role that is asked for is signed", "app.held_role(", "coalesce('moeen_' || (said ->> 'app_role'), app.held_role("),
        ("the oldest key signs", "created_at DESC", "created_at"),
        ("a signature of a day", "+ 300", "+ 86400"),
    ),
    "held_role(uuid,text)": (("any role is held", "IF NOT FOUND THEN", "IF false THEN"),),
    "my_patient_id()": (("another patient", "p.user_id = me", "p.first_name = 'p2'"),),
    "my_doctor_id()": (("another doctor", "d.user_id = me", "d.first_name = 'd2'"),),
    "link_sign_in(text,uuid,uuid)": (("one's own sign-in is linked", "sign_in = app.user_id()", "false"),),
    "is_own_path(text)": (("no character is too odd", "path !~ '[[:space:][:cntrl:]]'", "true"),),
    "generate_public_id(text)": (("the same id each time", "gen_random_uuid()::text", "'11111111-1111-4111-8111-111111111111'"),),
    "audit_statement()": (
        ("whoever asks suspends it", "'USAGE'", "'USAGE') OR (true"),
        ("secrets stay in rows of any kind", "THEN secrets", "THEN NULL"),
    ),
    "audited(text,json,text[])": (("secrets stay", "'\"[redacted]\"'::jsonb", "value::jsonb"),),
    "add_identity_key(text,bytea)": (("a pad that is not the key's", "# 54", "# 55"), ("the other pad", "# 92", "# 93")),
}  # fmt: skip


def functions(owner):
    rows = owner.execute(
        """SELECT p.oid, replace(substr(p.oid::regprocedure::text, 5), 'pg_catalog.', ''), p.prosrc, l.lanname,
                  pg_get_function_result(p.oid), pg_get_functiondef(p.oid), p.prosecdef,
                  coalesce(p.proconfig::text LIKE '%search_path=%', false)
           FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
           WHERE p.pronamespace = 'app'::regnamespace ORDER BY 2"""
    ).fetchall()
    for _, name, body, language, returns, definition, definer, has_path in rows:
        # Of a body in the standard's words there is no text: unmutated() tells of it.
        made = list(bodies.mutants(body, language=language, returns=returns)) if body else []
        for what, part, other in BY_HAND.get(name, ()):
            assert part in body, f"{name} has no {part} to mutate"
            changed = body.replace(part, other)
            if other.startswith("coalesce('moeen_'"):
                changed = changed.replace("), ''))\n        END;", "), '')))\n        END;")
            made.append((what, changed))
        for what, changed in made:
            statement = definition.replace(body, changed)
            yield Mutant("function's body", statement, f"{name}: {what}", function=name)
        alter = f"ALTER FUNCTION app.{name}"
        if has_path:
            yield Mutant("function's search_path", f"{alter} RESET search_path", function=name)
        yield Mutant("function's search_path", f"{alter} SET search_path = ''", function=name)
        yield Mutant("function's rights", f"{alter} SECURITY {'INVOKER' if definer else 'DEFINER'}", function=name)
        yield Mutant("function's owner", f"{alter} OWNER TO moeen_staff", by_superuser=True, function=name)


def unmutated(owner):
    """Functions of schema app whose body no mutant changes, or for which nothing is written down."""
    mutated = {mutant.function for mutant in functions(owner) if mutant.kind == "function's body"}
    standing = owner.execute(
        """SELECT replace(substr(oid::regprocedure::text, 5), 'pg_catalog.', '') FROM pg_proc
           WHERE pronamespace = 'app'::regnamespace"""
    ).fetchall()
    return sorted({name for (name,) in standing} - (mutated & FUNCTIONS.keys()))


def function_grants(owner):
    rows = owner.execute(
        """SELECT replace(substr(p.oid::regprocedure::text, 5), 'pg_catalog.', ''),
                  ARRAY(SELECT pg_get_userbyid(a.grantee)::text FROM aclexplode(p.proacl) AS a WHERE a.grantee <> p.proowner)
           FROM pg_proc AS p WHERE p.pronamespace = 'app'::regnamespace ORDER BY 1"""
    ).fetchall()
    for name, callers in rows:
        for who in (*OURS, *PLATFORM, "PUBLIC"):
            if who in callers:
                yield Mutant("execute revoked", f"REVOKE EXECUTE ON FUNCTION app.{name} FROM {who}", function=name)
            else:
                yield Mutant("execute granted", f"GRANT EXECUTE ON FUNCTION app.{name} TO {who}", function=name)


def triggers(owner):
    rows = owner.execute(
        """SELECT c.relname, t.tgname, pg_get_triggerdef(t.oid), p.proname FROM pg_trigger AS t
           JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_proc AS p ON p.oid = t.tgfoid
           WHERE NOT t.tgisinternal AND c.relnamespace = 'public'::regnamespace ORDER BY 1, 2"""
    ).fetchall()
    for table, name, definition, function in rows:
        where = {"table": table, "function": f"{function}()"}
        yield Mutant("trigger dropped", compose("DROP TRIGGER {} ON {}", name, table), **where)
        yield Mutant("trigger disabled", compose("ALTER TABLE {} DISABLE TRIGGER {}", table, name), **where)
        yield Mutant("trigger disabled", compose("ALTER TABLE {} ENABLE REPLICA TRIGGER {}", table, name), **where)
        head, execute, tail = definition.rpartition(" EXECUTE FUNCTION ")
        head = head.partition(" WHEN (")[0]
        never = f"{head} WHEN (false){execute}{tail}".replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER")
        yield Mutant("trigger never fires", never, **where)


# --- roles and what stands around ---------------------------------------------------------------------------------


def roles(owner):
    del owner
    for role in OURS:
        for attribute in ("SUPERUSER", "BYPASSRLS", "LOGIN", "CREATEROLE", "CREATEDB", "REPLICATION", "NOINHERIT"):
            yield Mutant("role's attribute", f"ALTER ROLE {role} {attribute}", by_superuser=True)
        for setting in ("row_security = off", "session_replication_role = replica"):
            yield Mutant("role's setting", f"ALTER ROLE {role} SET {setting}", by_superuser=True)
        others = [other for other in OURS if other != role]
        for group in (*others, *PLATFORM, "pg_read_all_data", "pg_write_all_data"):
            yield Mutant("role's membership", f"GRANT {group} TO {role}", by_superuser=True)
        for member in (*PLATFORM, "pg_monitor"):
            yield Mutant("role's members", f"GRANT {role} TO {member}", by_superuser=True)
        yield Mutant("role's members", f"GRANT {role} TO authenticator WITH ADMIN OPTION", by_superuser=True)
    yield Mutant("role's members", "GRANT moeen_auth TO authenticator", by_superuser=True)
    for attribute in ("INHERIT", "SUPERUSER", "BYPASSRLS", "CREATEROLE"):
        yield Mutant("role's attribute", f"ALTER ROLE authenticator {attribute}", by_superuser=True)


def surroundings(owner):
    (name,) = owner.execute("SELECT current_user").fetchone()
    for who in ("PUBLIC", *OURS):
        for schema in ("public", "app"):
            for what in ("SELECT ON TABLES", "INSERT ON TABLES", "USAGE ON SEQUENCES", "EXECUTE ON FUNCTIONS"):
                alter = f"ALTER DEFAULT PRIVILEGES FOR ROLE {name} IN SCHEMA {schema} GRANT {what} TO {who}"
                yield Mutant("default privileges", alter)
            yield Mutant("schema's grants", f"GRANT CREATE ON SCHEMA {schema} TO {who}", by_superuser=True)
        yield Mutant("default privileges", f"ALTER DEFAULT PRIVILEGES FOR ROLE {name} GRANT SELECT ON TABLES TO {who}")
        for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "SELECT (secret)", "SELECT (id)"):
            yield Mutant("keys' table", f"GRANT {privilege} ON app.identity_keys TO {who}")
    for role in OURS:
        yield Mutant("schema's grants", f"REVOKE USAGE ON SCHEMA app FROM {role}", by_superuser=True)
    yield Mutant("keys' table", "ALTER TABLE app.identity_keys DISABLE ROW LEVEL SECURITY")
    yield Mutant("keys' table", "CREATE POLICY open ON app.identity_keys TO moeen_anon USING (true)")
    yield Mutant("keys' table", "ALTER TABLE app.identity_keys OWNER TO moeen_staff", by_superuser=True)
