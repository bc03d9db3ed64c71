"""What is looked at before the first migration runs: rights, half-finished work, and tables that stand already.

Nothing is changed here. What is in the way is raised before anything else happens, all of it at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.db import DatabaseError, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from moeen.db import catalog, roles
from moeen.db.actions import DefaultPrivileges, ForceRowSecurity, Grant, GrantRole, RunSQL, SetOwner
from moeen.db.adoption import Legacy
from moeen.db.catalog.sizes import estimate_sizes
from moeen.db.converge import declared, obstacles, subject, zones
from moeen.db.findings import Finding, Fix, unique
from moeen.db.kinds import Kind
from moeen.db.migrate import states, taken, trail
from moeen.db.migrate.refusals import (
    AdoptionRefused,
    AnotherApplication,
    Captured,
    HalfAdopted,
    KeptOut,
    MissingPrivileges,
    NotUTF8,
    StrangersSchema,
    UnfitSession,
)
from moeen.db.migrate.states import State
from moeen.db.names import ObjectName
from moeen.db.operations import CONVERGING, CreateTable
from moeen.db.schema import load_expected, orphans
from moeen.db.security.strangers import strange_schemas, wrong_identity
from moeen.db.sql import compose

Plan = Sequence[tuple[Migration, bool]]
#: A transaction that was prepared, or has done nothing, for so long is not about to end.
PREPARED_SECONDS = IDLE_SECONDS = 60
#: The database's name, and the tables that stand in schema public and are no extension's.
STANDING = """
    SELECT current_database(), coalesce(array_agg(c.relname::text ORDER BY 1), '{}') FROM pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
"""
#: How the names of Django's own tables begin.
_DJANGOS = ("auth_", "django_")


@dataclass(frozen=True)
class Adoption:
    """What a run will meet: the tables it adopts, by name with their estimated number of rows."""

    adopting: dict[str, int]


def check(
    connection: BaseDatabaseWrapper, plan: Plan, loader: MigrationLoader, *, triggers_decided: bool = False
) -> Adoption:
    """Look at everything the plan's forward migrations will touch.

    ``triggers_decided``: somebody said what becomes of others' triggers at the rows that are changed.

    Raises NotUTF8, UnfitSession, KeptOut, StrangersSchema, MissingPrivileges, HalfAdopted, Captured or AdoptionRefused.
    """
    pending = [migration for migration, backwards in plan if not backwards]
    if pending:
        _refuse_encoding(connection)
        _refuse_session(connection)
        # Where a forgotten transaction has a table for itself alone, it could not even be looked at.
        if held := held_by_idle(connection, alone=True):
            raise KeptOut(held)
    # What a stranger wrote is not called.
    strange = (list(strange_schemas(connection)) or list(wrong_identity(connection))) if pending else []
    if strange:
        raise StrangersSchema(strange)
    if not any(isinstance(operation, CONVERGING) for migration in pending for operation in migration.operations):
        return Adoption(adopting={})
    applied = [loader.graph.nodes[key] for key in loader.applied_migrations if key in loader.graph.nodes]
    recorded = {name for migration in applied for name in _creations(migration).values()}
    wanted = {name for migration in pending for name in _creations(migration).values()}
    changed = {model._meta.db_table: model for model in _changed_models(pending, loader)}
    live = catalog.read_tables(connection, recorded | wanted | changed.keys())
    role, missing = missing_privileges(connection, live)
    if any(isinstance(operation, roles.CreateRoles) for migration in pending for operation in migration.operations):
        missing += unattainable_roles(connection)
    if missing:
        raise MissingPrivileges(role, missing)
    if recorded - live.keys():
        raise HalfAdopted(sorted(recorded - live.keys()))
    if captured := list(taken.captures(connection)):
        raise Captured(captured)
    adopting = {name: live[name] for name in sorted(wanted & live.keys())}
    items = list(_subjects(connection, pending, loader, adopting)) if adopting else []
    named = [*taken.findings(items), *trail.findings(connection, items)]
    items += _altered(connection, [model for table, model in changed.items() if table in live.keys() - wanted], live)
    found = [*named, *obstacles.findings(connection, items, live), *zones.findings(connection, items)]
    found += _orphans(connection, items, told={finding.object for finding in found})
    found += [*held_by_prepared(connection), *held_by_idle(connection), *_opened_schemas(connection)]
    if not triggers_decided:
        found += [finding for item in items for finding in obstacles.trigger_findings(connection, item)]
    if found:
        raise AdoptionRefused(unique(found))
    rows = estimate_sizes(connection, adopting)
    return Adoption(adopting={name: count for name, (count, _) in rows.items()})


def refuse_another_application(connection: BaseDatabaseWrapper) -> None:
    """Raises AnotherApplication where tables stand in schema public and none is ours, those of Django aside."""
    with connection.cursor() as cursor:
        cursor.execute(STANDING)
        database, standing = cursor.fetchone()
    if others := another_applications(standing, ours=our_tables()):
        raise AnotherApplication(database, others)


def another_applications(standing: Iterable[str], *, ours: Collection[str]) -> list[str]:
    """Of the tables that stand in schema public, those of another application: none where one of ours is among them."""
    others = [name for name in standing if not name.startswith(_DJANGOS)]
    return [] if set(ours).intersection(others) else others


def our_tables() -> frozenset[str]:
    """The names of the tables that the code expects in schema public."""
    return frozenset(name.table for name in load_expected()["table"] if name.schema == "public")


def held_by_prepared(connection: BaseDatabaseWrapper) -> list[Finding]:
    """Transactions that were prepared long ago and hold locks on tables of schema public: their end may never come."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT x.gid, x.owner::text, string_agg(DISTINCT c.relname::text, ', ' ORDER BY c.relname::text)
               FROM pg_prepared_xacts AS x
               -- What else a lock says of its transaction differs by version.
               JOIN pg_locks AS its ON its.transactionid = x.transaction AND its.pid IS NULL
               JOIN pg_locks AS l ON l.virtualtransaction = its.virtualtransaction AND l.pid IS NULL
               JOIN pg_class AS c ON c.oid = l.relation AND c.relkind IN ('r', 'p')
               WHERE x.database = current_database() AND c.relnamespace = 'public'::regnamespace
                 AND x.prepared <= clock_timestamp() - make_interval(secs => %s)
               GROUP BY 1, 2 ORDER BY 1""",
            [PREPARED_SECONDS],
        )
        held = cursor.fetchall()
    found = []
    for name, owner, tables in held:
        end = compose("ROLLBACK PREPARED {n}", n=sql.Literal(name))
        fix = Fix(advice=f"as {owner}, once it is known what it did: {end}, or COMMIT PREPARED")
        what = f"prepared transaction {name}"
        found.append(Finding(what, Kind.PREPARED_TRANSACTION, "ended", f"holds locks on {tables}", fix=fix))
    return found


def held_by_idle(connection: BaseDatabaseWrapper, *, alone: bool = False) -> list[Finding]:
    """Sessions that sit in a transaction, do nothing, and hold locks on tables of schema public: somebody forgot them.

    ``alone``: only where readers have to wait. Those of other roles are seen where this one may (pg_read_all_stats).
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT a.pid, concat_ws(', application ', a.usename, nullif(a.application_name, '')),
                      extract(epoch FROM statement_timestamp() - a.state_change)::int,
                      string_agg(DISTINCT c.relname::text, ', ' ORDER BY c.relname::text)
               FROM pg_stat_activity AS a
               JOIN pg_locks AS l ON l.pid = a.pid AND l.granted AND l.locktype = 'relation'
               JOIN pg_class AS c ON c.oid = l.relation AND c.relkind IN ('r', 'p', 'v', 'm')
               WHERE a.datname = current_database() AND l.database = a.datid AND a.pid <> pg_backend_pid()
                 AND c.relnamespace = 'public'::regnamespace AND a.state LIKE 'idle in transaction%%'
                 AND (NOT %s OR l.mode = 'AccessExclusiveLock')
                 AND a.state_change <= statement_timestamp() - make_interval(secs => %s)
               GROUP BY 1, 2, 3 ORDER BY 1""",
            [alone, IDLE_SECONDS],
        )
        held = cursor.fetchall()
    found = []
    for pid, who, seconds, tables in held:
        fix = Fix(advice=f"COMMIT or ROLLBACK there, or end that session: SELECT pg_terminate_backend({pid})")
        said = f"idle in a transaction for {seconds} s, holds locks on {tables}"
        found.append(Finding(f"session {pid} of {who}", Kind.IDLE_TRANSACTION, "ended", said, fix=fix))
    return found


def _orphans(
    connection: BaseDatabaseWrapper, items: Sequence[subject.Subject], *, told: Collection[str]
) -> Iterator[Finding]:
    """Under keys of the clinic's own, from or to the tables; a key that is made anew stops at them, as a restore does.

    ``told``: what is known already, by TABLE.COLUMNS.
    """
    tables = {item.name: item.live for item in items}
    for finding in orphans.findings(connection, deep=True, of=tables)[0] if tables else ():
        table = tables.get(finding.table)
        key = table.constraints.get(finding.name.part) if table and finding.name else None
        if key is None or f"{finding.table}.{', '.join(key.columns)}" not in told:
            yield finding


def _opened_schemas(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Default privileges by which others could make functions in our schemas, which later runs would refuse."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT current_user, array_agg(DISTINCT coalesce(g.rolname::text, 'PUBLIC'))
               FROM pg_default_acl AS d CROSS JOIN aclexplode(d.defaclacl) AS x
               LEFT JOIN pg_roles AS g ON g.oid = x.grantee
               WHERE d.defaclobjtype = 'n' AND x.privilege_type = 'CREATE' AND x.grantee <> d.defaclrole
                 AND d.defaclrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)
                 AND (to_regnamespace('app') IS NULL OR to_regnamespace('auth') IS NULL)
               GROUP BY d.oid"""
        )
        rows = cursor.fetchall()
    for role, others in rows:
        fix = Fix.by(DefaultPrivileges(ObjectName("", part=role), role, "", "SCHEMAS", tuple(others)))
        found = f"CREATE to {', '.join(others)}"
        where = "default privileges on schemas"
        yield Finding(
            where, Kind.DEFAULT_PRIVILEGES_GRANTS, "none that let others make functions in ours", found, fix=fix
        )


def _refuse_encoding(connection: BaseDatabaseWrapper) -> None:
    """Raises NotUTF8: ours fold Arabic letters and numerals that no other encoding of PostgreSQL has all of."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT getdatabaseencoding()")
        (encoding,) = cursor.fetchone()
    if encoding != "UTF8":
        raise NotUTF8(encoding)


def _refuse_session(connection: BaseDatabaseWrapper) -> None:
    """Raises UnfitSession where sessions are read-only, or neither triggers nor foreign keys are asked in them."""
    wanted = {"default_transaction_read_only": "off", "session_replication_role": "origin"}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_database(), current_user, n, current_setting(n) FROM unnest(%s::text[]) AS n", [[*wanted]]
        )
        rows = cursor.fetchall()
    if unfit := {name: value for *_, name, value in rows if value != wanted[name]}:
        raise UnfitSession(rows[0][0], rows[0][1], unfit)


def missing_privileges(
    connection: BaseDatabaseWrapper, tables: dict[str, catalog.Table]
) -> tuple[str, tuple[Finding, ...]]:
    """The connecting role, and the rights it lacks."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT current_user, current_database(),
                   has_database_privilege(current_database(), 'CREATE'),
                   has_database_privilege(current_database(), 'TEMPORARY'),
                   has_schema_privilege('public', 'CREATE')
                   AND (has_schema_privilege('public', 'USAGE WITH GRANT OPTION')
                        OR has_schema_privilege('public', 'USAGE')
                        AND has_schema_privilege('public', 'public', 'USAGE')),
                   coalesce(has_schema_privilege(to_regnamespace('app')::oid, 'CREATE'), true),
                   to_regprocedure('auth.uid()') IS NOT NULL
                   OR coalesce(has_schema_privilege(to_regnamespace('auth')::oid, 'CREATE'), true),
                   (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user)
            """
        )
        role, database, create, temporary, public, app, auth, sees_all = cursor.fetchone()
        cursor.execute(
            "SELECT r.rolname FROM pg_roles r WHERE pg_has_role(r.oid, 'USAGE') AND r.rolname = ANY (%s)",
            [[table.owner for table in tables.values()]],
        )
        owned = {name for (name,) in cursor.fetchall()}
        cursor.execute(
            "SELECT rolname, rolsuper FROM pg_roles WHERE rolname = ANY (%s)",
            [sorted({table.owner for table in tables.values()} - owned)],
        )
        owners = dict(cursor.fetchall())
        cursor.execute(_RIGHTS_OF_OWNERS, [[name for name, is_superuser in owners.items() if not is_superuser]])
        come_along = cursor.fetchone()
    found = []
    rights = (
        (create, f"database {database}", "CREATE", compose("DATABASE {d}", d=database)),
        (temporary, f"database {database}", "TEMPORARY", compose("DATABASE {d}", d=database)),
        (public, "schema public", "USAGE, CREATE", "SCHEMA public"),
        (app, "schema app", "USAGE, CREATE", "SCHEMA app"),
        (auth, "schema auth", "USAGE, CREATE", "SCHEMA auth"),
    )
    for (granted, what, right, on), comes in zip(rights, come_along, strict=True):
        # Membership in the owner of tables, which is asked for below, brings the owner's own rights.
        if not granted and not comes:
            # Row security passes USAGE of the schema on to the roles that it makes, where PUBLIC does not have it.
            grant = Grant(ObjectName("", part=what), right, on, (role,), pass_on=what == "schema public")
            found.append(Finding(what, Kind.PRIVILEGE, right, "not granted", fix=Fix.by(grant)))
    for trigger in _event_triggers(connection) if temporary else ():
        off = compose("ALTER EVENT TRIGGER {n} DISABLE", n=trigger)
        fix = Fix.by(RunSQL(ObjectName("", part=trigger), off), advice="and ENABLE it again after migrate")
        found.append(
            Finding(
                f"event trigger {trigger}",
                Kind.PRIVILEGE,
                "what is tried goes through",
                "it fires, and some fails",
                fix=fix,
            )
        )
    for table in tables.values():
        if table.forced and not sees_all:
            # Whoever owns it would see no row of it, and fill none.
            fix = Fix.by(ForceRowSecurity(table.identity))
            found.append(Finding(f"table {table.name}", Kind.TABLE_FORCED, "not closed to its owner", "FORCE", fix=fix))
        elif missing := _withheld(connection, table):
            grant = Grant(table.identity, missing, compose("TABLE {t}", t=table.identity.identifier()), (role,))
            found.append(Finding(f"table {table.name}", Kind.PRIVILEGE, missing, "withheld", fix=Fix.by(grant)))
        if table.owner not in owned:
            wanted, fix = f"membership in {table.owner}", _join(connection, table.owner)
            if owners.get(table.owner):  # a member of a superuser may do everything
                wanted, fix = "an owner that is no superuser", Fix.by(SetOwner(table.identity, owner=role))
            found.append(Finding(f"table {table.name}", Kind.TABLE_OWNER, wanted, role, fix=fix))
    return role, tuple(found)


def _join(connection: BaseDatabaseWrapper, owner: str) -> Fix:
    """Membership that brings the owner's rights along: a role that does not inherit may be a member already."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT current_setting('server_version_num')::int, rolname, rolinherit,
                      rolinherit AND NOT pg_has_role(oid, %s::regrole, 'MEMBER')
               FROM pg_roles WHERE rolname = current_user""",
            [compose("{o}", o=owner)],
        )
        version, role, inherits, plainly = cursor.fetchone()
    joined, target = ObjectName("", part=owner), ObjectName("", part=role)
    if version >= 160000:
        return Fix.by(GrantRole(joined, role, inherit=not plainly))
    inherit = [] if inherits else [RunSQL(target, compose("ALTER ROLE {r} INHERIT", r=role))]
    return Fix.by(GrantRole(joined, role), *inherit)


def _withheld(connection: BaseDatabaseWrapper, table: catalog.Table) -> str:
    """Rights that an owner took from themselves."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT string_agg(right_, ', ' ORDER BY at) FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE',
               'REFERENCES', 'TRIGGER']) WITH ORDINALITY AS r (right_, at)
               WHERE pg_has_role(%s::regrole, 'USAGE') AND NOT has_table_privilege(%s::oid, right_)""",
            [compose("{o}", o=table.owner), table.oid],
        )
        return cursor.fetchone()[0] or ""


# What members of the missing owners of tables have by that.
_RIGHTS_OF_OWNERS = """
    SELECT coalesce(bool_or(has_database_privilege(o, current_database(), 'CREATE')), false),
           coalesce(bool_or(has_database_privilege(o, current_database(), 'TEMPORARY')), false),
           coalesce(bool_or(has_schema_privilege(o, 'public', 'CREATE')
                            AND has_schema_privilege(o, 'public', 'USAGE WITH GRANT OPTION')), false),
           coalesce(bool_or(has_schema_privilege(o, to_regnamespace('app')::oid, 'CREATE')), false),
           coalesce(bool_or(has_schema_privilege(o, to_regnamespace('auth')::oid, 'CREATE')), false)
    FROM unnest(%s::text[]) AS o
"""


def _event_triggers(connection: BaseDatabaseWrapper) -> list[str]:
    """Those of others that fire, where one refuses what migrate does; it is tried, and nothing of it stays.

    A twin has them too, and no rows by which they may refuse.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT evtname::text FROM pg_event_trigger WHERE evtenabled IN ('O', 'A') ORDER BY 1")
        names = [name for (name,) in cursor.fetchall()]
    if not names:
        return []
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute(_TRIED)
            transaction.set_rollback(True, using=connection.alias)
    except DatabaseError:
        return names
    return []


_TRIED = """
    CREATE TEMPORARY TABLE moeen_tried (x integer);
    ALTER TABLE pg_temp.moeen_tried ADD y integer DEFAULT 1, ENABLE ROW LEVEL SECURITY;
    COMMENT ON TABLE pg_temp.moeen_tried IS 'tried';
    CREATE INDEX moeen_tried_index ON pg_temp.moeen_tried (x);
    ALTER INDEX pg_temp.moeen_tried_index RENAME TO moeen_tried_second;
    DROP INDEX pg_temp.moeen_tried_second;
    CREATE SEQUENCE pg_temp.moeen_tried_sequence;
    CREATE VIEW pg_temp.moeen_tried_view AS SELECT 1 AS x;
    DROP VIEW pg_temp.moeen_tried_view;
    CREATE POLICY tried ON pg_temp.moeen_tried USING (true);
    DROP POLICY tried ON pg_temp.moeen_tried;
    CREATE FUNCTION pg_temp.moeen_tried() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    ALTER FUNCTION pg_temp.moeen_tried() VOLATILE;
    CREATE TRIGGER tried BEFORE INSERT ON pg_temp.moeen_tried FOR EACH ROW EXECUTE FUNCTION pg_temp.moeen_tried();
    DROP TRIGGER tried ON pg_temp.moeen_tried;
    GRANT SELECT ON pg_temp.moeen_tried TO PUBLIC;
    REVOKE SELECT ON pg_temp.moeen_tried FROM PUBLIC;
    DROP FUNCTION pg_temp.moeen_tried();
    DROP TABLE pg_temp.moeen_tried
"""


def unattainable_roles(connection: BaseDatabaseWrapper) -> tuple[Finding, ...]:
    """The statements about the cluster's roles that an administrator must run, because this role may not."""
    _, statements = roles.missing(connection)
    if not statements:
        return ()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT r.rolsuper OR (r.rolcreaterole AND (
                current_setting('server_version_num')::int < 160000
                -- From 16 on CREATEROLE gives a say in the roles one has made, and in no others.
                OR NOT EXISTS (SELECT FROM pg_roles o WHERE o.rolname = ANY (%s)
                               AND NOT pg_has_role(o.oid, 'USAGE WITH ADMIN OPTION'))
            )) FROM pg_roles r WHERE r.rolname = current_user
            """,
            [list(roles.ROLES)],
        )
        (able,) = cursor.fetchone()
    if able:
        return ()
    return tuple(
        Finding(
            "roles of the cluster", Kind.PRIVILEGE, "CREATEROLE, or made by an administrator", "not granted", fix=fix
        )
        for fix in (Fix.by(RunSQL(ObjectName(""), statement.as_string(None))) for statement in statements)
    )


def _creations(migration: Migration) -> dict[str, str]:
    """Model name -> table of what a migration of ours creates."""
    return {
        operation.name: operation.options["db_table"]
        for operation in migration.operations
        if isinstance(operation, CreateTable)
    }


def _subjects(
    connection: BaseDatabaseWrapper,
    pending: Sequence[Migration],
    loader: MigrationLoader,
    live: dict[str, catalog.Table],
) -> Iterator[subject.Subject]:
    """Each table to adopt, beside what it will be when all pending migrations have run."""
    state = _after(pending, loader)
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        for migration in pending:
            for operation in migration.operations:
                if isinstance(operation, CreateTable) and operation.options["db_table"] in live:
                    model = state.apps.get_model(migration.app_label, operation.name)
                    want = declared.compile_table(model, editor)
                    yield subject.examine(connection, want, live[want.name], operation.legacy, defaults=False)


def _changed_models(pending: Sequence[Migration], loader: MigrationLoader) -> list[type[models.Model]]:
    """The models that operations on standing tables change, as they are when all pending migrations have run."""
    named = {
        (migration.app_label, name.lower())
        for migration in pending
        for operation in migration.operations
        if isinstance(operation, CONVERGING) and not isinstance(operation, CreateTable)
        for name in operation.model_names
    }
    if not named:
        return []
    state = _after(pending, loader)
    return [state.apps.get_model(*key) for key in sorted(named & state.models.keys())]


def _after(pending: Sequence[Migration], loader: MigrationLoader) -> State:
    return states.at(loader, {(migration.app_label, migration.name) for migration in pending})


def _altered(
    connection: BaseDatabaseWrapper, changed: Sequence[type[models.Model]], live: dict[str, catalog.Table]
) -> list[subject.Subject]:
    """Tables of ours that pending migrations alter, beside what they will be."""
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        wanted = [declared.compile_table(model, editor) for model in changed]
    return [subject.examine(connection, want, live[want.name], Legacy()) for want in wanted]
