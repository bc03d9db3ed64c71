# ruff: noqa: E501 - what is done and what is found, side by side
"""Whatever shows rows past row security is found, wherever in the database or the server it stands, and nothing else."""

import json
import re

import pytest
from django.db import connections, transaction

from moeen.db import schema
from moeen.db.findings import Severity
from moeen.db.kinds import Kind
from moeen.db.schema import fix_script
from moeen.db.security.identity import acting_as_operator
from moeen.env import parse_database_url
from tests import servers, states

OTHER = "CREATE SCHEMA other;"
STRANGER = "CREATE ROLE stranger LOGIN;"
WEB = "CREATE ROLE web LOGIN NOINHERIT; GRANT CONNECT ON DATABASE {database} TO web; GRANT moeen_anon, moeen_staff TO web;"
BODY = "SET search_path = pg_catalog, pg_temp AS $$ SELECT first_name::text FROM public.patients $$"
ALL_PATIENTS = f"FUNCTION other.names() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER {BODY}"
CHIEF = "CREATE ROLE chief LOGIN; GRANT CONNECT ON DATABASE {database} TO chief;"
#: A table of the clinic's own, and what keeps count there of a table of ours, which nobody may call.
WATCHED = (
    "CREATE TABLE other.visits (n int); CREATE FUNCTION other.count() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
    " AS $$ BEGIN NEW.n := (SELECT count(*) FROM public.patients); RETURN NEW; END $$;"
    " REVOKE EXECUTE ON FUNCTION other.count() FROM PUBLIC;"
    " CREATE TRIGGER counts BEFORE INSERT ON other.visits FOR EACH ROW EXECUTE FUNCTION other.count();"
)
SUMS = (
    "CREATE FUNCTION other.add(text, text) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT $1';"
    " REVOKE EXECUTE ON FUNCTION other.add(text, text) FROM PUBLIC;"
    " CREATE AGGREGATE other.sums(text) (SFUNC = other.add, STYPE = text)"
)
TRIGGER = "CREATE FUNCTION other.watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;"

#: What is done, as the owner or (with "!") as a superuser -> (kind, object) of each finding.
SHOWN = {
    # --- views, rules, functions, copies, tables elsewhere ---
    f"{OTHER} CREATE VIEW other.v AS SELECT * FROM patients": [("owner's view", "other.v")],
    f"{OTHER} CREATE VIEW other.v WITH (security_barrier) AS SELECT first_name FROM patients; GRANT SELECT ON other.v TO PUBLIC": [("owner's view", "other.v")],
    f"{OTHER} CREATE VIEW other.a WITH (security_invoker) AS SELECT * FROM patients; CREATE VIEW other.b AS SELECT * FROM other.a": [("owner's view", "other.b")],
    f"{OTHER} CREATE MATERIALIZED VIEW other.m AS SELECT * FROM sessions": [("materialized view", "other.m")],
    f"{OTHER} CREATE MATERIALIZED VIEW other.m AS SELECT count(*) FROM patients; CREATE VIEW other.v AS SELECT * FROM other.m": [("materialized view", "other.m"), ("owner's view", "other.v")],
    f"{OTHER} CREATE TABLE other.t (id uuid); CREATE RULE r AS ON INSERT TO other.t DO ALSO DELETE FROM patients WHERE id = new.id": [("rule elsewhere", "other.t.r")],
    f"{OTHER} CREATE {ALL_PATIENTS}": [("definer function elsewhere", "other.names()")],
    f"{OTHER} {STRANGER} CREATE {ALL_PATIENTS}; REVOKE EXECUTE ON FUNCTION other.names() FROM PUBLIC; GRANT EXECUTE ON FUNCTION other.names() TO stranger !": [("definer function elsewhere", "other.names()")],
    f"{OTHER} CREATE FUNCTION other.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER BEGIN ATOMIC SELECT count(*) FROM patients; END": [("definer function elsewhere", "other.f()")],
    f"{OTHER} CREATE PROCEDURE other.p() LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN END $$": [("definer function elsewhere", "other.p()")],
    f"{OTHER} {STRANGER} GRANT SELECT (first_name) ON patients TO stranger; CREATE {ALL_PATIENTS}; ALTER FUNCTION other.names() OWNER TO stranger !": [("definer function elsewhere", "other.names()")],
    f"{OTHER} CREATE FUNCTION other.c() RETURNS text LANGUAGE internal AS 'pg_backend_pid' !": [("untrusted function elsewhere", "other.c()")],
    f"{OTHER} CREATE TABLE other.copy AS TABLE patients": [("copy elsewhere", "other.copy")],
    f"{OTHER} CREATE TABLE other.part AS SELECT id, first_name, last_name, date_of_birth, phone FROM patients": [("copy elsewhere", "other.part")],
    f"{OTHER} CREATE TABLE other.copy (LIKE users); ALTER TABLE other.copy ENABLE ROW LEVEL SECURITY; GRANT SELECT ON other.copy TO PUBLIC": [("copy elsewhere", "other.copy")],
    f"{OTHER} CREATE TABLE other.more () INHERITS (patients)": [("copy elsewhere", "other.more"), ("inheriting table", "other.more")],
    f"{OTHER} CREATE TABLE other.t (patient_id uuid REFERENCES patients (id))": [("foreign key elsewhere", "other.t.t_patient_id_fkey")],
    f"{OTHER} {WATCHED} GRANT INSERT (n) ON other.visits TO PUBLIC; CREATE TRIGGER counts BEFORE UPDATE ON settings FOR EACH ROW EXECUTE FUNCTION other.count()": [("definer function elsewhere", "other.visits.counts"), ("definer function elsewhere", "settings.counts")],
    f"{OTHER} {SUMS}": [("definer function elsewhere", "other.sums(text)")],
    f"CREATE VIEW information_schema.v AS SELECT * FROM patients; CREATE TABLE information_schema.copy AS TABLE patients; CREATE {ALL_PATIENTS.replace('other.', 'information_schema.')}; ALTER VIEW information_schema.v OWNER TO moeen; ALTER TABLE information_schema.copy OWNER TO moeen; ALTER FUNCTION information_schema.names() OWNER TO moeen !": [("copy elsewhere", "information_schema.copy"), ("definer function elsewhere", "information_schema.names()"), ("owner's view", "information_schema.v")],
    "CREATE VIEW v AS SELECT * FROM patients; GRANT SELECT ON v TO moeen_staff": [("owner's view", "v")],
    # --- grants ---
    f"{OTHER} GRANT USAGE ON SCHEMA other TO moeen_staff": [("grant elsewhere", "other")],
    f"{OTHER} CREATE TABLE other.t (id int); GRANT SELECT ON other.t TO moeen_patient": [("grant elsewhere", "other.t")],
    f"{OTHER} CREATE TABLE other.t (id int); GRANT SELECT (id) ON other.t TO moeen_anon": [("grant elsewhere", "other.t.id")],
    f"{OTHER} CREATE SEQUENCE other.s; GRANT USAGE ON SEQUENCE other.s TO moeen_patient": [("grant elsewhere", "other.s")],
    f"{OTHER} CREATE FUNCTION other.f() RETURNS int LANGUAGE sql RETURN 1; GRANT EXECUTE ON FUNCTION other.f() TO moeen_auth": [("grant elsewhere", "other.f()")],
    f"{OTHER} ALTER DEFAULT PRIVILEGES IN SCHEMA other GRANT SELECT ON TABLES TO moeen_staff": [("grant elsewhere", "for role moeen in schema other on tables")],
    "GRANT CREATE ON DATABASE {database} TO moeen_admin": [("grant elsewhere", "{database}")],
    f"{OTHER} CREATE TABLE other.t (id int); ALTER TABLE other.t OWNER TO moeen_service !": [("owned by a role of ours", "other.t")],
    "{stranger} GRANT ALL ON DATABASE {database} TO PUBLIC".replace("{stranger} ", ""): [("database CONNECT", "{database}"), ("database CREATE", "{database}"), ("database TEMPORARY", "{database}")],
    f"{STRANGER} ALTER DEFAULT PRIVILEGES FOR ROLE stranger IN SCHEMA public GRANT SELECT ON TABLES TO moeen_anon; ALTER TABLE settings OWNER TO stranger !": [("default privileges of another", "stranger public TABLES")],
    # --- publications ---
    "CREATE PUBLICATION everything FOR ALL TABLES !": [(Kind.PUBLICATION, "everything")],
    "CREATE PUBLICATION part FOR TABLE patients, doctors": [(Kind.PUBLICATION, "part")],
    "CREATE PUBLICATION part FOR TABLES IN SCHEMA public !": [(Kind.PUBLICATION, "part")],
    # --- settings ---
    "ALTER DATABASE {database} SET session_replication_role = replica !": [(Kind.SETTING, "session_replication_role of {database}")],
    "ALTER ROLE ALL SET session_replication_role = replica !": [(Kind.SETTING, "session_replication_role of every role")],
    WEB + "ALTER ROLE web SET session_replication_role = replica !": [(Kind.SETTING, "session_replication_role of web")],
    WEB + "ALTER ROLE web IN DATABASE {database} SET row_security = off !": [(Kind.SETTING, "row_security of web in {database}")],
    "ALTER DATABASE {database} SET row_security = off": [(Kind.SETTING, "row_security of {database}")],
    f"{OTHER} ALTER DATABASE {{database}} SET search_path = other, public": [(Kind.SETTING, "search_path of {database}")],
    "ALTER DATABASE {database} SET search_path = pg_temp, public": [(Kind.SETTING, "search_path of {database}")],
    f"{OTHER} GRANT CREATE ON SCHEMA other TO PUBLIC; ALTER DATABASE {{database}} SET search_path = public, other": [(Kind.SETTING, "search_path of {database}")],
    WEB + "ALTER ROLE web SET search_path = nobodys !": [(Kind.SETTING, "search_path of web")],
    WEB + "ALTER ROLE web SET role = moeen_staff !": [(Kind.SETTING, "role of web")],
    "ALTER DATABASE {database} SET request.jwt.claims = '{{}}' !": [(Kind.SETTING, "request.jwt.claims of {database}")],
    "ALTER DATABASE {database} SET \"request.jwt.claim.sub\" = 'x' !": [(Kind.SETTING, "request.jwt.claim.sub of {database}")],
    "ALTER DATABASE {database} SET app.signature = 'x' !": [(Kind.SETTING, "app.signature of {database}")],
    "ALTER DATABASE {database} SET moeen.anything = 'x' !": [(Kind.SETTING, "moeen.anything of {database}")],
    WEB + "ALTER ROLE web SET pgrst.db_pre_request = 'public.mine' !": [(Kind.SETTING, "pgrst.db_pre_request of web")],
    WEB + "ALTER ROLE web SET pgrst.db_schemas = 'public, app' !": [(Kind.SETTING, "pgrst.db_schemas of web")],
    WEB + "ALTER ROLE web SET pgrst.jwt_secret = 'a-secret-of-thirty-two-characters' !": [(Kind.SETTING, "pgrst.jwt_secret of web")],
    WEB + "ALTER ROLE web SET pgrst.db_anon_role = 'moeen_staff' !": [(Kind.SETTING, "pgrst.db_anon_role of web")],
    "ALTER DATABASE {database} SET pgrst.jwt_role_claim_key = '.x' !": [(Kind.SETTING, "pgrst.jwt_role_claim_key of {database}")],
    # --- parameters ---
    WEB + "GRANT SET ON PARAMETER session_replication_role TO web !": [("parameter grant", "session_replication_role")],
    "GRANT SET ON PARAMETER session_replication_role TO PUBLIC !": [("parameter grant", "session_replication_role")],
    "GRANT ALTER SYSTEM ON PARAMETER log_statement TO moeen_admin !": [("parameter grant", "log_statement")],
    # --- memberships ---
    WEB + "GRANT pg_execute_server_program TO web !": [(Kind.MEMBERSHIP, "web in pg_execute_server_program")],
    WEB + "GRANT pg_read_all_data TO web !": [(Kind.MEMBERSHIP, "web in pg_read_all_data")],
    WEB + "CREATE ROLE watchers IN ROLE pg_monitor; GRANT watchers TO web !": [(Kind.MEMBERSHIP, "watchers in pg_monitor")],
    "GRANT pg_read_all_data TO moeen_staff !": [(Kind.MEMBERSHIP, "moeen_staff in pg_read_all_data")],
    "GRANT pg_write_server_files TO moeen !": [(Kind.MEMBERSHIP, "moeen in pg_write_server_files")],
    f"{CHIEF} CREATE ROLE second LOGIN; GRANT moeen TO chief WITH INHERIT FALSE; GRANT moeen TO second WITH SET FALSE, INHERIT FALSE, ADMIN TRUE; GRANT CONNECT ON DATABASE {{database}} TO second !": [(Kind.MEMBERSHIP, "chief in moeen"), (Kind.MEMBERSHIP, "second in moeen")],
    f"{CHIEF} CREATE ROLE crew; GRANT moeen TO crew; GRANT crew TO chief WITH INHERIT FALSE !": [(Kind.MEMBERSHIP, "crew in moeen")],
    f"{CHIEF} CREATE ROLE past BYPASSRLS; GRANT past TO chief WITH INHERIT FALSE; GRANT postgres TO chief !": [(Kind.MEMBERSHIP, "chief in past"), (Kind.MEMBERSHIP, "chief in postgres")],
    # --- logins ---
    WEB + "CREATE ROLE standby LOGIN REPLICATION; ALTER ROLE web BYPASSRLS CREATEROLE !": [(Kind.POWERFUL_LOGIN, "standby REPLICATION"), (Kind.POWERFUL_LOGIN, "web BYPASSRLS"), (Kind.POWERFUL_LOGIN, "web CREATEROLE")],
    # --- what the system withholds ---
    "GRANT EXECUTE ON FUNCTION pg_read_file(text), pg_reload_conf() TO PUBLIC; GRANT CREATE ON SCHEMA pg_catalog TO PUBLIC !": [("grant elsewhere", "pg_catalog"), ("grant elsewhere", "pg_catalog.pg_read_file(pg_catalog.text)"), ("grant elsewhere", "pg_catalog.pg_reload_conf()")],
    f"{CHIEF} CREATE ROLE crew; GRANT crew TO chief; GRANT EXECUTE ON FUNCTION lo_import(text) TO crew; GRANT SELECT ON pg_shadow TO chief !": [("grant elsewhere", "pg_catalog.lo_import(pg_catalog.text)"), ("grant elsewhere", "pg_catalog.pg_shadow")],
    "GRANT EXECUTE ON FUNCTION lo_export(oid, text) TO moeen_staff; GRANT UPDATE (rolsuper) ON pg_authid TO moeen_admin !": [("grant elsewhere", "pg_catalog.lo_export(pg_catalog.oid,pg_catalog.text)"), ("grant elsewhere", "pg_catalog.pg_authid.rolsuper")],
    "GRANT SELECT ON pg_statistic TO PUBLIC; GRANT SELECT (stxdmcv) ON pg_statistic_ext_data TO PUBLIC !": [("grant elsewhere", "pg_catalog.pg_statistic"), ("grant elsewhere", "pg_catalog.pg_statistic_ext_data.stxdmcv")],
    # --- system roles, schema auth, event triggers ---
    "UPDATE roles SET is_system = false WHERE name = 'doctor'": [("system role", "roles.doctor")],
    "DELETE FROM roles WHERE name = 'admin'": [("system role", "roles.admin")],
    f"{STRANGER} ALTER SCHEMA auth OWNER TO stranger !": [("stranger's schema", "schema auth")],
    f"{STRANGER} ALTER FUNCTION auth.uid() OWNER TO stranger !": [("stranger's function", "auth.uid()")],
    f"{STRANGER} ALTER FUNCTION auth.jwt() OWNER TO stranger !": [("stranger's function", "auth.jwt()")],
    "GRANT CREATE ON SCHEMA auth TO moeen_staff": [("grant elsewhere", "auth"), ("stranger's right to create", "schema auth")],
    "ALTER FUNCTION auth.uid() SECURITY DEFINER": [("definer function in auth", "auth.uid()")],
    f"{OTHER} {STRANGER} {TRIGGER} ALTER FUNCTION other.watch() OWNER TO stranger; CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION other.watch() !": [("event trigger elsewhere", "mine")],
}  # fmt: skip
#: What harms nobody, is the owner's own affair, or is said by validation already.
HARMLESS = [
    f"{CHIEF} CREATE ROLE second LOGIN; CREATE ROLE crew NOLOGIN REPLICATION BYPASSRLS; GRANT moeen TO chief WITH SET FALSE, INHERIT FALSE; GRANT moeen TO crew; GRANT crew TO second WITH SET FALSE, INHERIT FALSE; GRANT CONNECT ON DATABASE {{database}} TO second !",
    "CREATE ROLE chief LOGIN BYPASSRLS; GRANT EXECUTE ON FUNCTION pg_read_file(text) TO chief; ALTER ROLE moeen REPLICATION BYPASSRLS CREATEROLE !",
    "CREATE ROLE supabase_replication_admin LOGIN REPLICATION; CREATE ROLE supabase_etl_admin LOGIN BYPASSRLS REPLICATION; GRANT CONNECT ON DATABASE {database} TO supabase_etl_admin !",
    f"{CHIEF} GRANT SELECT ON pg_class TO chief; GRANT EXECUTE ON FUNCTION now(), pg_switch_wal() TO chief !",
    f"{OTHER} {WATCHED} CREATE VIEW v WITH (security_invoker) AS SELECT * FROM patients; GRANT SELECT ON v TO moeen_staff",
    f"{OTHER} CREATE VIEW other.v WITH (security_invoker = on) AS SELECT * FROM patients; GRANT SELECT ON other.v TO PUBLIC",
    f"{OTHER} CREATE {ALL_PATIENTS}; REVOKE EXECUTE ON FUNCTION other.names() FROM PUBLIC",
    f"{OTHER} CREATE FUNCTION other.f() RETURNS int LANGUAGE sql RETURN 1",
    f"{OTHER} CREATE TABLE other.copy AS TABLE patients; ALTER TABLE other.copy ENABLE ROW LEVEL SECURITY",
    f"{OTHER} CREATE TABLE other.own_branches (id int, name text, address text, phone text, created_at timestamptz)",
    f"{OTHER} CREATE TABLE other.codes (id int, code text); GRANT SELECT ON other.codes TO PUBLIC",
    f"{OTHER} CREATE TABLE other.t (id int); CREATE PUBLICATION part FOR TABLE other.t",
    f"{STRANGER} {OTHER} CREATE {ALL_PATIENTS}; ALTER FUNCTION other.names() OWNER TO stranger !",
    f"{OTHER} {TRIGGER} CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION other.watch() !",
    "ALTER DATABASE {database} SET timezone = 'Asia/Riyadh'; ALTER DATABASE {database} SET row_security = on",
    "ALTER DATABASE {database} SET search_path = '$user', public",
    f"{OTHER} ALTER DATABASE {{database}} SET search_path = public, other, pg_temp",
    WEB + "ALTER ROLE web SET pgrst.db_pre_request = 'app.bind_request'; ALTER ROLE web SET pgrst.db_max_rows = '1000' !",
    # Who cannot connect here does no harm here.
    f"{STRANGER} ALTER ROLE stranger SET row_security = off; GRANT pg_read_all_data TO stranger; GRANT SET ON PARAMETER session_replication_role TO stranger; GRANT moeen_admin TO stranger !",
    "GRANT pg_monitor, pg_read_all_data TO moeen; GRANT SET ON PARAMETER session_replication_role TO moeen !",
    "CREATE ROLE supabase_storage_admin; CREATE SCHEMA storage AUTHORIZATION supabase_storage_admin; CREATE TABLE storage.users AS TABLE users; ALTER TABLE storage.users OWNER TO supabase_storage_admin;"
    "CREATE FUNCTION storage.f() RETURNS int LANGUAGE sql SECURITY DEFINER RETURN 1; ALTER FUNCTION storage.f() OWNER TO supabase_storage_admin !",
]  # fmt: skip


@pytest.fixture(scope="module")
def database(new_database, server_versions):
    """On a cluster of its own: settings and memberships belong to the whole server."""
    server = servers.start(bin_dir=server_versions.bin_dir)
    made = new_database.migrated(server=server)
    connections[made.alias].close()
    yield made
    new_database.drop(made)
    servers.stop(server)


@pytest.fixture(scope="module")
def superuser(database):
    alias = f"{database.alias}_admin"
    entry = {"ENGINE": "moeen.db.engine", **parse_database_url(database.target.url(database.name))}
    connections.settings[alias] = connections.configure_settings({"default": {}, alias: entry})[alias]
    with acting_as_operator():  # in an operator's session nothing is compiled, which took seconds for each case
        connections[alias].ensure_connection()
    yield connections[alias]
    connections[alias].close()
    del connections[alias], connections.settings[alias]


def run(connection, statements, *, by_superuser):
    """Several statements, as a superuser or as the owner; questions are the owner's."""
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE" if by_superuser else "SET LOCAL ROLE moeen")
        cursor.execute(statements)
        cursor.execute("SET LOCAL ROLE moeen")


def told(connection):
    return schema.exposed(connection)


def name_of(statements):
    return re.sub(r"\W+", " ", statements.replace(OTHER, "").replace(WEB, "")).strip()[:70]


def skip_if_newer(connection, statements):
    if connection.pg_version < 160000 and "INHERIT FALSE" in statements:
        pytest.skip("came with PostgreSQL 16")
    if connection.pg_version < 150000 and re.search("PARAMETER|IN SCHEMA public !|security_invoker", statements):
        pytest.skip("came with PostgreSQL 15")


@pytest.mark.parametrize("done", SHOWN, ids=name_of)
def test_exposed__something_shows_rows__finds_exactly_that(database, superuser, done):
    skip_if_newer(superuser, done)
    wanted = sorted((kind, name.replace("{database}", database.name)) for kind, name in SHOWN[done])
    statements = done.replace("{database}", database.name).replace("{{}}", "{}")
    with transaction.atomic(using=superuser.alias):
        run(superuser, "SELECT 1", by_superuser=False)
        assert told(superuser) == []
        run(superuser, statements.removesuffix("!"), by_superuser=statements.endswith("!"))
        found = told(superuser)
        assert sorted((f.kind, f.object) for f in found) == wanted
        assert {f.severity for f in found} == {Severity.UNSAFE}
        assert all(f.why and f.fix for f in found)
        assert "a-secret" not in f"{found}{[f.fix.pretty() for f in found]}"
        # What can be mended is, by the statement that is said; the rest names one, for a person to decide on.
        mends = [f.fix.pretty() for f in found if not f.fix.is_advice]
        for fix in mends:
            run(superuser, fix, by_superuser="!" in statements)
        assert sorted((f.kind, f.object) for f in told(superuser) if not f.fix.is_advice) == []
        assert fix_script.script(found)
        transaction.set_rollback(True, using=superuser.alias)


@pytest.mark.parametrize("done", HARMLESS, ids=name_of)
def test_exposed__nothing_shows_rows__finds_nothing(database, superuser, done):
    skip_if_newer(superuser, done)
    statements = done.replace("{database}", database.name)
    with transaction.atomic(using=superuser.alias):
        run(superuser, statements.removesuffix("!"), by_superuser=statements.endswith("!"))
        assert told(superuser) == []
        transaction.set_rollback(True, using=superuser.alias)


def test_commands__rows_shown_elsewhere__exit_with_findings_unless_allowed(database, manage):
    with database.connect() as owner:
        owner.execute("CREATE SCHEMA reports; CREATE VIEW reports.patients AS SELECT * FROM patients")
    try:
        for command in ("validate_schema", "access_matrix"):
            done = manage(command, "--json", DATABASE_URL=database.url)
            assert done.returncode == 3, done.stderr
            said = json.loads(done.stdout)
            found = said["findings" if command == "validate_schema" else "exposures"]
            assert [(f["kind"], f["object"], f["severity"]) for f in found] == [
                ("owner's view", "reports.patients", "unsafe")
            ]
        assert "owner's view" in manage("access_matrix", DATABASE_URL=database.url).stderr
        assert re.search("fail +validation .*reports.patients", manage("doctor", DATABASE_URL=database.url).stdout)
        allowed = json.dumps({"owner's view reports.*": "the accountant's reports, looked at every year"})
        for command in ("validate_schema", "access_matrix"):
            assert manage(command, DATABASE_URL=database.url, SCHEMA_ALLOWED=allowed).returncode == 0
        with database.connect() as owner:
            owner.execute(manage("validate_schema", "--sql", DATABASE_URL=database.url).stdout)
        assert manage("validate_schema", DATABASE_URL=database.url).returncode == 0
    finally:
        with database.connect() as owner:
            owner.execute("DROP SCHEMA reports CASCADE")


def test_exposed__on_a_platforms_cluster__finds_nothing_of_the_platforms(new_database):
    database = states.migrated(new_database, place="supabase")
    with database.admin() as admin:
        admin.execute(
            """CREATE SCHEMA graphql;
               CREATE FUNCTION graphql.resolve() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"""
        )
        admin.execute("ALTER FUNCTION graphql.resolve() OWNER TO supabase_admin")
    assert schema.exposed(connections[database.alias]) == []
    connections[database.alias].close()
    new_database.drop(database)
