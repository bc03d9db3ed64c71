"""Validation of whole databases: no change means no finding, wherever it comes from and whoever asks."""

import inspect
import itertools
import json
import subprocess
from pathlib import Path

import pytest
from django.db import connections, transaction
from django.db.migrations.loader import MigrationLoader

from moeen.db import doctor, schema
from moeen.db.errors import MoeenError
from moeen.db.history import files, ledger
from moeen.db.kinds import Kind
from moeen.db.schema import canonical
from moeen.db.security import exposure
from moeen.env import parse_database_url
from tests import servers, states

NUMBERS = itertools.count(1)


def migrated(new_database):
    return states.migrated(new_database)


def connection_as(new, url):
    alias = f"schema_{next(NUMBERS)}"
    entry = {"ENGINE": "moeen.db.engine", **parse_database_url(url)}
    connections.settings[alias] = connections.configure_settings({"default": {}, alias: entry})[alias]
    new.append(alias)
    return connections[alias]


@pytest.fixture
def as_url():
    made = []
    yield lambda url: connection_as(made, url)
    for alias in made:
        connections[alias].close()
        del connections.settings[alias]


@pytest.fixture(scope="module")
def fresh(new_database):
    return migrated(new_database)


@pytest.mark.parametrize(
    ("state", "step"), [("fresh", "manage.py migrate"), ("core", "--adoption"), ("full", "--adoption")]
)
def test_validate__database_that_was_never_migrated__that_alone_is_found(new_database, state, step):
    database = states.database(new_database, state)
    (found,) = schema.validate(connections[database.alias], advice=True).findings
    assert (found.kind, found.severity) == (Kind.NEVER_MIGRATED, "breaks")
    assert step in found.fix.pretty()


def test_expected__file__is_what_migrating_from_nothing_makes(fresh):
    made = canonical.write(schema.read(connections[fresh.alias]).objects)
    assert made == schema.expected_path().read_text(encoding="utf-8"), "manage.py validate_schema --write-expected"


def test_expected__written_and_read__is_the_same(fresh):
    objects = schema.read(connections[fresh.alias]).objects
    assert canonical.load(canonical.write(objects)) == objects
    assert {"table", "column", "constraint", "index", "trigger", "policy", "function", "role"} <= objects.keys()


def test_validate__dumped_and_restored__finds_nothing(new_database, fresh, as_url):
    server = fresh.target.server
    if server is None:
        pytest.skip("needs the programs of the server")
    copy = new_database(server=None)
    dump = subprocess.run([server.bin_dir / "pg_dump", fresh.url], capture_output=True, check=True)
    restore = [server.bin_dir / "psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", copy.target.url(copy.name)]
    subprocess.run(restore, input=dump.stdout, capture_output=True, check=True)
    one, other = (schema.validate(connections[database.alias]) for database in (fresh, copy))
    assert other.findings == ()
    assert other.fingerprint == one.fingerprint


def test_compare_databases__one_differs__is_found(new_database, fresh):
    other = migrated(new_database)
    assert schema.compare_databases(connections[fresh.alias], connections[other.alias]).ok
    with other.connect() as direct:
        direct.execute("ALTER TABLE users ALTER role SET DEFAULT 'admin'")
    result = schema.compare_databases(connections[fresh.alias], connections[other.alias])
    assert [(f.object, f.kind) for f in result.findings] == [("users.role", "column default")]


def test_validate__role_without_any_right__checks_the_catalog_and_names_the_rest(fresh, as_url):
    with fresh.admin() as admin:
        admin.execute("DROP ROLE IF EXISTS observer")
        admin.execute(f"CREATE ROLE observer LOGIN; GRANT CONNECT ON DATABASE {fresh.name} TO observer")
        try:
            result = schema.validate(as_url(fresh.target.url(fresh.name, user="observer")))
            assert result.findings == ()
            assert result.fingerprint == schema.fingerprint(connections[fresh.alias])
            assert "django_migrations" in result.skipped
            # What the owner made is no stranger's to a login that has not the owner's rights.
            observer = as_url(fresh.target.url(fresh.name, user="observer"))
            shown = exposure.findings(observer, tables=["users"])
            assert [f for f in shown if f.kind in (Kind.STRANGERS_SCHEMA, Kind.STRANGERS_FUNCTION)] == []
            found = doctor.examine(observer).lines
            unknown = {line.name: line.state for line in found if "may not" in line.says}
            assert unknown | {"migrations": "fail", "backfills": "warn", "validation": "warn"} == unknown
            assert "audit seals" in {line.name for line in found if line.state == "fail"}
            with fresh.connect() as owner:
                owner.execute("ALTER TABLE users DISABLE ROW LEVEL SECURITY")
            found = schema.validate(as_url(fresh.target.url(fresh.name, user="observer")))
            assert [f.kind for f in found.findings] == ["table row security"]
        finally:
            with fresh.connect() as owner:
                owner.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")
            for alias in list(connections.settings):
                if alias.startswith("schema_"):
                    connections[alias].close()
            admin.execute(f"REVOKE CONNECT ON DATABASE {fresh.name} FROM observer; DROP ROLE observer")


def test_validate__standby__works(new_database, as_url):
    """A copy of a cluster that follows it and can write nothing, not even hint bits of its own."""
    primary = servers.start(settings=(("wal_level", "replica"), ("max_wal_senders", "4"), ("hot_standby", "on")))
    database = new_database.migrated(server=primary)
    follower = servers.follow(primary)
    standby = as_url(servers.target_of(follower, user="moeen").url(database.name))
    with standby.cursor() as cursor:
        cursor.execute("SELECT pg_is_in_recovery()")
        assert cursor.fetchone() == (True,)
    found = schema.validate(standby, advice=True)
    assert (found.findings, found.skipped) == ((), ())
    assert found.fingerprint == schema.fingerprint(connections[database.alias])


def test_validate__read_only_sessions__works(fresh, as_url):
    with fresh.admin() as admin:
        admin.execute(f"ALTER DATABASE {fresh.name} SET default_transaction_read_only = on")
    try:
        assert schema.validate(as_url(fresh.url)).ok
    finally:
        with fresh.admin() as admin:
            admin.execute("SET default_transaction_read_only = off")
            admin.execute(f"ALTER DATABASE {fresh.name} RESET default_transaction_read_only")


def test_validate__unrelated_tables_beside_ours__are_findings_and_allowed_by_settings(new_database, settings, manage):
    database = migrated(new_database)
    connection = connections[database.alias]
    clean = schema.validate(connection).fingerprint
    with database.connect() as direct:
        direct.execute("CREATE TABLE own_branches (id int PRIMARY KEY)")
        direct.execute("CREATE SCHEMA other; CREATE TABLE other.thing (id int)")
    assert [f.object for f in schema.validate(connection).findings] == ["own_branches"]
    settings.SCHEMA_ALLOWED = {"table own_branches": "the clinic's own"}
    allowed = schema.validate(connection)
    assert (allowed.findings, allowed.fingerprint) == ((), clean)
    settings.SCHEMA_ALLOWED = {"table other*": "another"}
    assert not schema.validate(connection).ok
    allowed = json.dumps({"table own_bra?ches": "the clinic's own", "policy *": "looked at by hand"})
    with database.connect() as direct:
        direct.execute("CREATE POLICY clinic ON doctors FOR INSERT TO moeen_auth WITH CHECK (true)")
    assert manage("validate_schema", DATABASE_URL=database.url).returncode == 3
    assert manage("validate_schema", DATABASE_URL=database.url, SCHEMA_ALLOWED=allowed).returncode == 0
    for wrong in ('{"table own_branches": ""}', '{"tabel own_branches": "no kind of object or finding"}'):
        refused = manage("validate_schema", DATABASE_URL=database.url, SCHEMA_ALLOWED=wrong)
        assert refused.returncode == 2
        assert "SCHEMA_ALLOWED" in refused.stderr


def test_validate__one_sort_of_difference_is_allowed__the_others_are_found(fresh, settings):
    connection = connections[fresh.alias]
    with transaction.atomic(using=fresh.alias), connection.cursor() as cursor:
        clean = schema.validate(connection).fingerprint
        cursor.execute(
            "ALTER TABLE messages SET (fillfactor = 50); CREATE TABLE own_branches (id int);"
            "DROP INDEX migration_runs_started_at_idx; ALTER POLICY users_select_patient ON users USING (true)"
        )
        settings.SCHEMA_ALLOWED = {
            "table options mess*": "tuned", "unexpected table own_branches": "ours",
            "policy definition users.*": "open",
            "missing index migration_runs.*": "looked up by nobody",
        }  # fmt: skip
        assert schema.validate(connection).findings == ()
        assert schema.validate(connection).fingerprint == clean
        cursor.execute(
            "ALTER TABLE messages DISABLE ROW LEVEL SECURITY; COMMENT ON POLICY users_select_patient ON users IS 'x'"
        )
        assert [f.kind for f in schema.validate(connection).findings] == [Kind.TABLE_ROW_SECURITY, Kind.POLICY_COMMENT]
        settings.SCHEMA_ALLOWED = {"tables own_branches": "no kind"}
        with pytest.raises(MoeenError, match="begins with no kind") as refused:
            schema.validate(connection)
        assert refused.value.exit_code == 2
        transaction.set_rollback(True, using=fresh.alias)


def test_validate__many_rows__are_looked_up_in_indexes(fresh):
    """No question about rows reads a table as a whole, but that for orphans, which leaves large ones out."""
    connection = connections[fresh.alias]
    asked = []

    def note(execute, query, parameters, many, context):
        asked.append((query, parameters))
        return execute(query, parameters, many, context)

    with transaction.atomic(using=fresh.alias), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO patients (first_name, last_name) SELECT n::text, 'x' FROM generate_series(1, 20000) n;"
            "UPDATE patients SET public_id = 'pat_20240131_' || lpad(first_name, 6, '0') WHERE first_name::int < 4;"
            # As an adopted table is, while its rows wait for their ids.
            "ALTER TABLE patients ALTER public_id DROP NOT NULL;"
            "UPDATE patients SET public_id = NULL WHERE first_name::int BETWEEN 4 AND 9"
        )
        cursor.execute("ANALYZE patients")
        with connection.execute_wrapper(note):
            found = {f.kind: f.found for f in schema.validate(connection, advice=True).findings}
        assert (found[Kind.PUBLIC_IDS_GUESSABLE], found[Kind.PUBLIC_IDS_PENDING]) == ("3", "6")
        of_rows = [query for query, parameters in asked if parameters is None and "public.patients" in unquoted(query)]
        of_rows = [query for query in of_rows if "NOT EXISTS" not in str(query)]
        assert len(of_rows) == 2
        for query in of_rows:
            cursor.execute(f"EXPLAIN {query}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "patients_public_id_key" in plan
            assert "Seq Scan on patients" not in plan
        transaction.set_rollback(True, using=fresh.alias)


def unquoted(query):
    return str(query).replace('"', "")


def test_validate__migration_recorded_edited_missing_unknown__is_found(new_database):
    database = migrated(new_database)
    with database.connect() as direct:
        direct.execute("UPDATE migration_steps SET file_checksum = 'x' WHERE (app, name) = ('crm', '0001_tables')")
        direct.execute("DELETE FROM django_migrations WHERE (app, name) = ('crm', '0002_indexes')")
        direct.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('crm', '9999_later', now())")
    found = {(f.object, f.kind) for f in schema.validate(connections[database.alias]).findings}
    assert found == {
        ("crm.0001_tables", "edited migration"),
        ("crm.0002_indexes", "missing migration"),
        ("crm.9999_later", "unknown migration"),
    }


def test_untouched__as_migrated__is_told_by_the_checksums_that_loading_gives(fresh):
    connection = connections[fresh.alias]
    assert files.are_unchanged(connection)
    loader = MigrationLoader(connection)
    for migration in loader.disk_migrations.values():
        path = Path(inspect.getfile(type(migration)))
        assert files._checksum(path) == ledger.file_checksum(migration), path


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE migration_steps SET file_checksum = 'x' WHERE (app, name) = ('crm', '0003_rls')",
        "DELETE FROM django_migrations WHERE (app, name) = ('auth', '0001_initial')",
        "INSERT INTO django_migrations (app, name, applied) VALUES ('crm', '9999_later', now())",
    ],
)
def test_untouched__changed_missing_unknown__is_left_to_the_ledger(fresh, change):
    connection = connections[fresh.alias]
    with transaction.atomic(using=fresh.alias), connection.cursor() as cursor:
        cursor.execute(change)
        assert not files.are_unchanged(connection)
        transaction.set_rollback(True, using=fresh.alias)


def test_command__json_app_sql_and_exit_codes(new_database, manage):
    database = migrated(new_database)
    clean = manage("validate_schema", "--json", DATABASE_URL=database.url)
    assert clean.returncode == 0, clean.stderr
    said = json.loads(clean.stdout)
    assert said["ok"] is True
    assert said.keys() >= {"ok", "fingerprint", "server", "seconds", "findings"}
    with database.connect() as direct:
        direct.execute("ALTER TABLE crm_leads DISABLE ROW LEVEL SECURITY; CREATE TABLE own_branches (id int)")
    said = json.loads(manage("validate_schema", "--json", DATABASE_URL=database.url).stdout)
    assert {f["object"] for f in said["findings"]} == {"crm_leads", "own_branches"}
    assert all(f.keys() >= {"severity", "kind", "object", "expected", "found", "fix"} for f in said["findings"])
    of_app = manage("validate_schema", "--app", "crm", "--json", DATABASE_URL=database.url)
    assert of_app.returncode == 3
    assert [f["object"] for f in json.loads(of_app.stdout)["findings"]] == ["crm_leads"]
    assert manage("validate_schema", "--app", "healthcare", DATABASE_URL=database.url).returncode == 0
    script = manage("validate_schema", "--sql", DATABASE_URL=database.url)
    assert script.returncode == 3
    with database.connect() as direct:
        direct.execute(script.stdout)
        direct.execute("DROP TABLE own_branches")
    assert manage("validate_schema", DATABASE_URL=database.url).returncode == 0
    away = manage("validate_schema", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert away.returncode == 1
    assert "Traceback" not in away.stderr


def test_command__against_another_database__compares_the_two(new_database, fresh, manage):
    other = migrated(new_database)
    with other.connect() as direct:
        direct.execute("DROP INDEX migration_runs_started_at_idx")
    result = manage("validate_schema", "--against", fresh.url, "--json", DATABASE_URL=other.url)
    assert result.returncode == 3, result.stderr
    assert [f["object"] for f in json.loads(result.stdout)["findings"]] == [
        "migration_runs.migration_runs_started_at_idx"
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["--app", "nope"],
        ["--database", "nope"],
        ["--app", "crm", "--adoption"],
        ["--app", "crm", "--write-expected"],
        ["--sql", "--json"],
        ["--sql", "--adoption"],
        ["--against", "nonsense"],
    ],
    ids=" ".join,
)
def test_command__wrong_usage__says_so_and_looks_at_nothing(manage, words):
    refused = manage("validate_schema", *words)
    assert refused.returncode == 2
    assert json.loads(refused.stdout)["error"]["code"] == "MOEEN-USAGE-1" if "--json" in words else refused.stdout == ""
    assert "unforeseen" not in refused.stderr
    assert words[-1].lstrip("-") in refused.stderr or "URL" in refused.stderr
