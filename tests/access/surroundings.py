"""What stands around the policies, in the catalog: each is exactly what is written down, or is told as a line."""

from moeen.db.public_ids import PREFIXES
from tests.access.functions import FUNCTIONS
from tests.access.matrix import AUDITED, IN_SIGHT, MADE_AT, ROLES, STAMPS, UNGUARDED

OURS = [f"moeen_{role}" for role in ROLES]
PLATFORM = ["anon", "authenticated", "service_role"]
_WHEN = (
    "((CURRENT_USER = ANY ('{moeen_anon,moeen_patient,moeen_doctor,moeen_staff,moeen_supervisor,moeen_admin,"
    "moeen_service,moeen_auth}'::name[])))"
)

#: Table -> the changes that may leave nobody who is an administrator.
ADMINISTRATORS = {
    "users": "DELETE OR UPDATE OF role, is_active",
    "user_roles": "DELETE OR UPDATE",
    "roles": "DELETE",
}


_FIRES = {"O": "", "A": "always ", "R": "switched off ", "D": "switched off "}


def differences(owner):
    """`owner`: a connection that acts as the owner of the tables."""
    found = []
    for question in (_functions, _triggers, _policies, _grants, _roles, _memberships, _default_privileges, _owners):
        found += question(owner)
    return found


def _functions(owner):
    """Every function is known, and runs and is called as it is written down."""
    standing = {}
    for name, definer, settings, callers in owner.execute(
        """
        SELECT replace(substr(p.oid::regprocedure::text, 5), 'pg_catalog.', ''), p.prosecdef, p.proconfig::text,
               ARRAY(SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END
                     FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
                     WHERE a.grantee <> p.proowner OR a.is_grantable AND a.grantee <> p.proowner)
        FROM pg_proc AS p WHERE p.pronamespace = 'app'::regnamespace
        """
    ).fetchall():
        standing[name] = (definer, settings, sorted(callers))
    for name in sorted(standing.keys() | FUNCTIONS.keys()):
        if name not in standing or name not in FUNCTIONS:
            yield f"function {name}: {'is not written down' if name in standing else 'is missing'}"
            continue
        said = FUNCTIONS[name]
        callers = sorted(w[:-1] if w.endswith("_") else f"moeen_{w}" for w in said.callers.split())
        path = () if said.is_inlined else ('"search_path=pg_catalog, pg_temp"',)
        settings = f"{{{','.join((*path, *said.settings))}}}" if (*path, *said.settings) else None
        wanted = (said.definer, settings, callers)
        if standing[name] != wanted:
            yield f"function {name}: {standing[name]}, not {wanted}"


def _triggers(owner):
    standing = {
        name: f"{_FIRES[enabled]}{definition.split(f'{name} ', 1)[1]}"
        for name, enabled, definition in owner.execute(
            """SELECT t.tgname, t.tgenabled, pg_get_triggerdef(t.oid) FROM pg_trigger AS t
               JOIN pg_class AS c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal
               AND c.relnamespace IN ('public'::regnamespace, 'app'::regnamespace)"""
        ).fetchall()
    }
    wanted = {}
    for prefix, model in PREFIXES.items():
        table = model._meta.db_table
        if table in UNGUARDED:
            continue
        row = f"ON public.{table} FOR EACH ROW WHEN"
        made_at = MADE_AT.get(table, "created_at")
        wanted[f"{table}_identity_keep"] = (
            f"BEFORE INSERT OR UPDATE {row} {_WHEN} EXECUTE FUNCTION app.keep_identity('{prefix}', '{made_at}')"
        )
        if table in STAMPS:
            stamp = f"EXECUTE FUNCTION app.{STAMPS[table]}()"
            wanted[f"{table}_stamp"] = f"BEFORE INSERT OR UPDATE {row} {_WHEN} {stamp}"
        if any(field.name == "updated_at" for field in model._meta.concrete_fields):
            changed = "((NOT ((old.public_id)::text IS DISTINCT FROM (new.public_id)::text)))"
            # Older tables' triggers were made one by one, those of today by app.guard().
            kind = "set" if f"{table}_updated_at_set" in standing else "keep"
            wanted[f"{table}_updated_at_{kind}"] = (
                f"BEFORE UPDATE {row} {changed} EXECUTE FUNCTION app.set_updated_at()"
            )
    for table, events in ADMINISTRATORS.items():
        wanted[f"{table}_administrator_keep"] = (
            f"AFTER {events} ON public.{table} FOR EACH STATEMENT WHEN {_WHEN} "
            "EXECUTE FUNCTION app.keep_an_administrator()"
        )
    for (table, column), seen in IN_SIGHT.items():
        wanted[f"{table}_{column}_in_sight"] = (
            f"BEFORE INSERT OR UPDATE ON public.{table} FOR EACH ROW WHEN (((new.{column} IS NOT NULL) AND "
            f"{_WHEN[1:-1]})) EXECUTE FUNCTION app.keep_in_sight('{column}', '{seen}')"
        )
    for table in ("chatbot_nodes", "chatbot_edges"):
        wanted[f"{table}_published_keep"] = (
            f"AFTER INSERT OR DELETE OR UPDATE ON public.{table} FOR EACH ROW EXECUTE FUNCTION app.keep_published()"
        )
    rows = {
        "insert": " REFERENCING NEW TABLE AS new_rows",
        "update": " REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
        "delete": " REFERENCING OLD TABLE AS old_rows",
        "truncate": "",
    }
    for table, (patient, hidden, where, events) in AUDITED.items():
        for event in events.split():
            wanted[f"{table}_audit_{event}"] = (
                f"always AFTER {event.upper()} ON public.{table}{rows[event]} FOR EACH STATEMENT "
                f"EXECUTE FUNCTION app.audit_statement('{patient}', '{hidden}', '{where}')"
            )
    for event, told in rows.items():
        wanted[f"audit_suspensions_audit_{event}"] = (
            f"always AFTER {event.upper()} ON app.audit_suspensions{told} FOR EACH STATEMENT "
            "EXECUTE FUNCTION app.audit_statement('', '', '')"
        )
    wanted["audit_logs_stamp"] = (
        "always BEFORE INSERT ON public.audit_logs FOR EACH ROW WHEN ((new.transaction_id IS NULL)) "
        "EXECUTE FUNCTION app.stamp_audit_entry()"
    )
    wanted["audit_logs_keep"] = (
        "always AFTER INSERT ON public.audit_logs FOR EACH STATEMENT EXECUTE FUNCTION app.keep_audit_log()"
    )
    wanted["audit_logs_append_only"] = (
        "always BEFORE UPDATE OR TRUNCATE ON public.audit_logs FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change()"
    )
    wanted["audit_logs_prune_only"] = (
        "always AFTER DELETE ON public.audit_logs REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT "
        "EXECUTE FUNCTION app.keep_audit_entries()"
    )
    wanted["users_password_record"] = (
        "always AFTER UPDATE OF password_hash ON public.users FOR EACH ROW WHEN "
        "(((old.password_hash)::text IS DISTINCT FROM (new.password_hash)::text)) "
        "EXECUTE FUNCTION app.record_password_change()"
    )
    wanted["second_factors_record"] = (
        "always AFTER INSERT OR DELETE OR UPDATE ON public.second_factors FOR EACH ROW "
        "EXECUTE FUNCTION app.record_second_factor()"
    )
    wanted["django_admin_log_stamp"] = (
        f"BEFORE INSERT ON public.django_admin_log FOR EACH ROW WHEN {_WHEN} EXECUTE FUNCTION app.stamp_admin_log()"
    )
    wanted["identity_keys_record"] = (
        "always AFTER INSERT OR DELETE OR UPDATE ON app.identity_keys FOR EACH ROW "
        "EXECUTE FUNCTION app.record_identity_key()"
    )
    wanted["identity_keys_record_truncate"] = (
        "always AFTER TRUNCATE ON app.identity_keys FOR EACH STATEMENT EXECUTE FUNCTION app.record_identity_key()"
    )
    wanted["audit_seals_append_only"] = (
        "always BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit_seals FOR EACH STATEMENT "
        "EXECUTE FUNCTION app.refuse_change()"
    )
    for name in sorted(wanted.keys() | standing.keys()):
        if wanted.get(name) != standing.get(name):
            yield f"trigger {name}: {standing.get(name, 'missing')}, not {wanted.get(name, 'there')}"


def _policies(owner):
    """A restrictive policy for each table and role; the others let one role do one command, and say so by name."""
    bound = set()
    for table, name, permissive, roles, command, using, check in owner.execute(
        """SELECT tablename, policyname, permissive, roles::text[], lower(cmd), qual, with_check FROM pg_policies
           WHERE schemaname IN ('public', 'app')"""
    ).fetchall():
        if name.startswith(f"{table}_bound_"):
            role = f"moeen_{name.removeprefix(f'{table}_bound_')}"
            bound.add((table, role))
            what = (permissive, command, roles, using, check)
            asked = f"app.is_bound('{role}'::text)"
            if what != ("RESTRICTIVE", "all", [role], f"( SELECT {asked} AS is_bound)", asked):
                yield f"{name}: {what}"
        elif permissive != "PERMISSIVE" or roles[0] not in OURS or name != f"{table}_{command}_{roles[0][6:]}":
            yield f"{name}: {permissive} for {command} to {roles}"
        elif len(roles) > 1:
            yield f"{name}: for several roles"
    for (table,) in owner.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    ).fetchall():
        for role in OURS:
            if (table, role) not in bound:
                yield f"{table}: no restrictive policy for {role}"


def _grants(owner):
    """Tables, columns, sequences, schemas: the four commands to our roles, the use of two schemas, nothing besides."""
    yield from (
        f"{name}: {privilege} to {who}{' to be granted on' if on else ''}"
        for name, who, privilege, on in owner.execute(
            """
            WITH granted AS (
                SELECT c.oid::regclass::text AS name, c.relnamespace::regnamespace::text AS schema,
                       c.relkind::text AS kind, c.relowner AS owner, a.*
                FROM pg_class AS c CROSS JOIN aclexplode(c.relacl) AS a
                UNION ALL
                SELECT c.oid::regclass::text || '.' || t.attname, c.relnamespace::regnamespace::text, 'c', c.relowner,
                       a.*
                FROM pg_class AS c JOIN pg_attribute AS t ON t.attrelid = c.oid CROSS JOIN aclexplode(t.attacl) AS a
                UNION ALL
                SELECT n.nspname, n.nspname, 'n', n.nspowner, a.*
                FROM pg_namespace AS n CROSS JOIN aclexplode(n.nspacl) AS a
                WHERE n.nspname = 'app'
            )
            SELECT name, coalesce(r.rolname, 'PUBLIC'), privilege_type, is_grantable FROM granted
            LEFT JOIN pg_roles AS r ON r.oid = grantee
            WHERE schema IN ('public', 'app') AND grantee <> owner AND NOT (
                NOT is_grantable AND (
                    schema = 'public' AND kind IN ('r', 'c') AND r.rolname = ANY (%(ours)s)
                        AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
                    OR name = 'app.role_anchors.id' AND r.rolname = ANY (%(ours)s) AND privilege_type = 'SELECT'
                    OR kind = 'n' AND privilege_type = 'USAGE' AND r.rolname = ANY (%(all)s)))
            """,
            {"ours": OURS, "all": OURS + PLATFORM},
        ).fetchall()
    )
    for schema, role in owner.execute(
        """SELECT n.nspname, r.rolname FROM pg_namespace AS n CROSS JOIN pg_roles AS r
           WHERE n.nspname IN ('public', 'app') AND r.rolname = ANY (%s)
             AND (NOT has_schema_privilege(r.oid, n.oid, 'USAGE') OR has_schema_privilege(r.oid, n.oid, 'CREATE'))""",
        [OURS],
    ).fetchall():
        yield f"schema {schema}: not just to be used by {role}"
    for (problem,) in owner.execute(
        """SELECT 'row security of ' || relname FROM pg_class WHERE relnamespace = 'app'::regnamespace
           AND relkind IN ('r', 'p') AND (NOT relrowsecurity OR relforcerowsecurity)"""
    ).fetchall():
        yield problem


def _roles(owner):
    wanted = {
        **dict.fromkeys(OURS, (False, False, False, False, False, False, True)),
        "authenticator": (True, False, False, False, False, False, False),
    }
    standing = {
        name: tuple(rest)
        for name, *rest in owner.execute(
            """SELECT rolname, rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,
                      rolinherit
               FROM pg_roles WHERE rolname = ANY (%s)""",
            [list(wanted)],
        ).fetchall()
    }
    for name, attributes in wanted.items():
        if standing.get(name) != attributes:
            yield f"role {name}: {standing.get(name)}, not {attributes} (login, super, bypass, roles, databases, ...)"
    for name, settings in owner.execute(
        """SELECT r.rolname, s.setconfig::text FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole
           WHERE r.rolname = ANY (%s)""",
        [OURS],
    ).fetchall():
        yield f"role {name}: has settings, {settings}"


def _memberships(owner):
    """Our roles are members of nothing; they are taken by the owner and PostgREST's login, which does not hold them."""
    (name,) = owner.execute("SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = 'app'").fetchone()
    wanted = {(role, name) for role in OURS} | {(role, "authenticator") for role in OURS if role != "moeen_auth"}
    standing = set()
    for role, member, held, grants in owner.execute(
        """SELECT r.rolname, m.rolname, pg_has_role(m.oid, r.oid, 'USAGE'), a.admin_option FROM pg_auth_members AS a
           JOIN pg_roles AS r ON r.oid = a.roleid JOIN pg_roles AS m ON m.oid = a.member
           WHERE r.rolname = ANY (%(ours)s) OR m.rolname = ANY (%(ours)s)""",
        {"ours": OURS},
    ).fetchall():
        standing.add((role, member))
        if member != name and (held or grants):
            yield f"role {member}: {'holds' if held else 'grants'} {role}"
    for role, member in wanted ^ standing:
        yield f"role {member}: is {'a' if (role, member) in standing else 'no'} member of {role}"


def _default_privileges(owner):
    """What would open the next table or function. A hosting platform's own, in its schemas, are its affair."""
    for schema, kind, who in owner.execute(
        """SELECT coalesce(d.defaclnamespace::regnamespace::text, ''), d.defaclobjtype::text,
                  coalesce(r.rolname, 'PUBLIC')
           FROM pg_default_acl AS d CROSS JOIN aclexplode(d.defaclacl) AS a LEFT JOIN pg_roles AS r ON r.oid = a.grantee
           WHERE (a.grantee = 0 OR r.rolname = ANY (%s) OR d.defaclnamespace = 'app'::regnamespace)
             AND a.grantee <> d.defaclrole AND d.defaclnamespace IN (0, 'public'::regnamespace, 'app'::regnamespace)
             AND NOT (a.grantee = 0 AND d.defaclnamespace = 0 AND d.defaclobjtype IN ('f', 'T'))""",
        [OURS],
    ).fetchall():
        yield f"default privileges in {schema or 'every schema'}: {kind} to {who}"


def _owners(owner):
    for name, who in owner.execute(
        """SELECT c.oid::regclass::text, pg_get_userbyid(c.relowner) FROM pg_class AS c, pg_namespace AS n
           WHERE n.nspname = 'app' AND c.relnamespace IN ('public'::regnamespace, n.oid) AND c.relowner <> n.nspowner
           UNION ALL SELECT p.oid::regprocedure::text, pg_get_userbyid(p.proowner) FROM pg_proc AS p
           JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = 'app' AND p.proowner <> n.nspowner"""
    ).fetchall():
        yield f"{name}: is {who}'s"
