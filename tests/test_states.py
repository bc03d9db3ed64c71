"""Every start state of a database, filled with rows, becomes the catalog of a fresh one, and keeps its rows."""

import re
from dataclasses import dataclass

import psycopg
import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections

from moeen.db import catalog, public_ids, schema
from moeen.db.backups import restore
from moeen.db.converge import declared, execution
from moeen.db.converge.converge import converge
from moeen.db.kinds import Kind
from moeen.db.operations import Legacy
from moeen.db.schema import canonical
from moeen.db.security.identity import acting_as_operator
from tests import backups, servers, states
from tests.states import snapshots

CASES = [
    (place, state)
    for place in states.PLACES
    for state in ("fresh", "core", "full", "full_users_public_id")
    if (place, state) != ("supabase", "full_users_public_id")
]
#: The twin is made and migrated in the same way whatever stands in the rows, so one of each place is enough.
REHEARSED = {("here", "core"), *((place, "full") for place in states.PLACES)}
PREFIXES = {model._meta.db_table: prefix for prefix, model in public_ids.PREFIXES.items()}
HEALTHCARE = ("patients", "doctors", "appointments", "sessions", "insurance_claims")
#: The tables of each state whose rows have no public id, or not all of them.
PENDING = {
    "fresh": (),
    "core": ("users", *HEALTHCARE),
    "full": ("users", *HEALTHCARE),
    "full_users_public_id": ("users", *HEALTHCARE),
}


@pytest.fixture(scope="module", autouse=True)
def operator():
    """Migrating is an operator's work."""
    with acting_as_operator():
        yield


@dataclass(frozen=True)
class Adopted:
    """A database after ``migrate``, and its rows before."""

    place: str
    state: str
    database: object
    before: snapshots.Rows

    @property
    def connection(self):
        return connections[self.database.alias]


def migrate(database, **options):
    call_command("migrate", database=database.alias, verbosity=0, no_backup="test", **options)


#: The same is proven by a state that has more to convert.
LESS = {("here", "full_users_public_id"), ("supabase", "core")}


@pytest.fixture(
    scope="module",
    params=[pytest.param(case, id="-".join(case), marks=[pytest.mark.slow] if case in LESS else []) for case in CASES],
)
def adopted(request, new_database):
    place, state = request.param
    database = states.database(new_database, state, place=place)
    with database.connect() as connection:
        before = snapshots.rows(connection)
    migrate(database, **({} if (place, state) in REHEARSED else {"no_rehearsal": "test"}))
    yield Adopted(place, state, database, before)
    new_database.drop(database)


@pytest.fixture(scope="module")
def fresh(new_database):
    """place -> (lines, Catalog) of a fresh database; a cluster like Supabase is held against the plain one."""
    known = {}

    def of(place):
        if place == "supabase" and servers.session_target().server is not None:
            place = "here"
        if place not in known:
            database = states.migrated(new_database, place=place)
            connection = connections[database.alias]
            known[place] = snapshots.lines(connection), catalog.read(connection)
        return known[place]

    return of


def pending_lines(fresh_lines, table):
    """What stands in place of a fresh line, and besides it, while rows of a table wait for their public id."""
    (required,) = (line for line in fresh_lines if line.startswith(f"column public.{table}.public_id "))
    assert " notnull=t " in required
    return {required}, {
        required.replace(" notnull=t ", " notnull=f "),
        f"constraint public.{table} {table}_public_id_required CHECK ((public_id IS NOT NULL)) NOT VALID "
        "validated=f comment=",
        f"trigger CREATE TRIGGER {table}_without_public_id BEFORE INSERT OR UPDATE ON public.{table} FOR EACH ROW "
        f"WHEN ((new.public_id IS NULL)) EXECUTE FUNCTION app.fill_public_id('{PREFIXES[table]}') enabled=O comment=",
    }


def assert_fresh_but_for_pending_ids(live, expected, state):
    gone, besides = set(), set()
    for table in PENDING[state]:
        replaced, instead = pending_lines(expected, table)
        gone |= replaced
        besides |= instead
    assert (live - expected, expected - live) == (besides, gone)


def test_migrate__start_state_with_rows__keeps_every_value(adopted):
    after = snapshots.rows(adopted.connection)
    live = catalog.read(adopted.connection).tables

    def permitted(change):
        table, _, column, old, new = change
        if (table, column, old, new) == ("users", "role", "user", "patient"):
            return True
        stands = live[table].columns.get(column)
        return old is None and stands is not None and stands.not_null and new == value_of(stands.default)

    def value_of(default):
        with adopted.connection.cursor() as cursor:
            cursor.execute(f"SELECT ({default})::text")
            return cursor.fetchone()[0]

    found = snapshots.changes(adopted.before, after)
    assert [change for change in found if not permitted(change)] == []
    assert {table: set(rows) for table, rows in adopted.before.items()} == {
        table: {key for key, row in after[table].items() if row.get("is_system") != "true" or key in rows}
        for table, rows in adopted.before.items()
    }
    if adopted.state != "fresh":
        assert sum(len(rows) for rows in adopted.before.values()) > 1000
        assert any(change[3:] == ("user", "patient") for change in found)
        assert any(change[3] is None for change in found)


def test_migrate__start_state__ends_in_the_fresh_catalog(adopted, fresh):
    expected_lines, expected = fresh(adopted.place)
    live = snapshots.lines(adopted.connection)
    assert_fresh_but_for_pending_ids(live, expected_lines, adopted.state)

    found = schema.compare(expected, catalog.read(adopted.connection))
    assert {finding.object for finding in found} == {
        f"{table}.{part}"
        for table in PENDING[adopted.state]
        for part in ("public_id", f"{table}_public_id_required", f"{table}_without_public_id")
    }


def test_migrate__start_state__leaves_nothing_of_the_older_sql(adopted):
    text = "\n".join(snapshots.lines(adopted.connection))
    remains = (
        r'idx_\w+|audit_trigger_function|update_updated_at_column|"(?:Users|Admins|System) can [^"]*"'
        r"|\b(?!pg_)\w+_trigger\b"
    )
    assert sorted(set(re.findall(remains, text))) == []
    ours = "|".join(PREFIXES)
    assert re.findall(rf"column public\.(?:{ours})\.\w+ timestamp without.*", text) == []
    assert re.findall(rf"column public\.(?:{ours})\.(?:created_at|updated_at) .* notnull=f .*", text) == []
    assert re.findall(rf"relation public\.(?:{ours}) kind=r rls=f.*", text) == []
    assert re.findall(r"index .* valid=f.*", text) == []
    unproven = re.findall(r"constraint public\.(\w+) (\w+) .* validated=f", text)
    assert sorted(unproven) == sorted((t, f"{t}_public_id_required") for t in PENDING[adopted.state])


def test_migrate__start_state__new_rows_get_their_public_id(adopted):
    with adopted.database.connect() as connection, connection.transaction(force_rollback=True):
        defaults = dict(
            connection.execute(
                """SELECT table_name, column_default FROM information_schema.columns
                   WHERE table_schema = 'public' AND column_name = 'public_id'"""
            ).fetchall()
        )
        assert defaults.keys() == PREFIXES.keys()
        for table, prefix in PREFIXES.items():
            (made,) = connection.execute(f"SELECT {defaults[table]}").fetchone()
            assert re.fullmatch(prefix + "[a-z][0-9a-z]{23}", made), table
        for statement in (
            "INSERT INTO users (email) VALUES ('New.Person@example.test') RETURNING public_id, role, is_active, name",
            "INSERT INTO users (email, public_id) VALUES ('another@example.test', DEFAULT)"
            " RETURNING public_id, role, is_active, name",
        ):
            public_id, *rest = connection.execute(statement).fetchone()
            assert re.fullmatch("usr_[a-z][0-9a-z]{23}", public_id)
            assert rest == ["patient", True, ""]
        rows = connection.execute(
            """INSERT INTO patients (first_name, last_name) SELECT 'مريض', n::text FROM generate_series(1, 50) n
               RETURNING public_id, created_at = now(), updated_at = now()"""
        ).fetchall()
        assert len({public_id for public_id, *_ in rows}) == 50
        assert {tuple(times) for _, *times in rows} == {(True, True)}


def test_migrate__rows_without_public_id__keep_none_until_filled(adopted):
    after = snapshots.rows(adopted.connection)
    for table, rows in adopted.before.items():
        for key, row in rows.items():
            assert after[table][key]["public_id"] == row.get("public_id"), (table, key)
    waiting = {table for table in PREFIXES if any(row["public_id"] is None for row in after[table].values())}
    assert waiting == set(PENDING[adopted.state])


@pytest.mark.parametrize("table", ["users", "patients"])
def test_migrate__rows_without_public_id__nobody_writes_another_null(adopted, table):
    columns, values = {
        "users": ("email", "'x@example.test'"),
        "patients": ("first_name, last_name", "'x', 'y'"),
    }[table]
    insert = f"INSERT INTO {table} ({columns}, public_id) VALUES ({values}, NULL) RETURNING public_id"
    with adopted.database.connect() as connection, connection.transaction(force_rollback=True):
        if table in PENDING[adopted.state]:
            assert connection.execute(insert).fetchone()[0].startswith(PREFIXES[table])
            connection.execute(f"UPDATE {table} SET phone = '1' WHERE public_id IS NULL")
            waiting = f"SELECT count(*) FROM {table} WHERE public_id IS NULL"
            assert connection.execute(waiting).fetchone() == (0,)
        else:
            with pytest.raises(psycopg.errors.NotNullViolation), connection.transaction():
                connection.execute(insert)


def test_migrate__second_time__changes_nothing(adopted):
    with adopted.database.connect() as connection:
        before = snapshots.everything(connection)
        migrate(adopted.database)
        assert snapshots.everything(connection) == before


def test_migrate__writes_to_audited_tables__work_again(adopted):
    """The older trigger refused every one of them."""
    if adopted.state == "fresh":
        pytest.skip("no rows")
    with adopted.database.connect() as connection, connection.transaction(force_rollback=True):
        for table in ("users", "patients", "appointments"):
            changed = connection.execute(f"UPDATE {table} SET created_at = created_at + interval '1 second'")
            assert changed.rowcount == len(adopted.before[table])
            (logged,) = connection.execute(
                "SELECT count(*) FROM audit_logs WHERE table_name = %s AND created_at >= now()", [table]
            ).fetchone()
            assert logged == changed.rowcount


def test_converge__public_ids_filled__no_exception_is_left(adopted, fresh, new_database):
    adopted.connection.close()
    database = states.copy(new_database, adopted.database)
    with database.connect() as connection:
        for table in PENDING[adopted.state]:
            connection.execute(f"UPDATE {table} SET public_id = DEFAULT WHERE public_id IS NULL")
    connection = connections[database.alias]
    for app in ("sysadmin", "healthcare", "chatbot", "crm"):
        for model in apps.get_app_config(app).get_models():
            with connection.schema_editor(atomic=False) as editor:
                converge(declared.compile_table(model, editor), editor, legacy=Legacy())
    expected_lines, expected = fresh(adopted.place)
    live = snapshots.lines(connection)
    assert (live - expected_lines, expected_lines - live) == (set(), set())
    assert schema.compare(expected, catalog.read(connection)) == []
    new_database.drop(database)


def test_migrate__empty_times__take_the_times_of_their_row(new_database):
    database = states.database(new_database, "core")
    with database.connect() as connection:
        connection.execute("UPDATE patients SET created_at = NULL WHERE id = md5('patients1')::uuid")
        connection.execute("UPDATE patients SET updated_at = NULL WHERE id = md5('patients2')::uuid")
        before = snapshots.rows(connection, ["patients"])["patients"]
        migrate(database, no_rehearsal="test")
        after = snapshots.rows(connection, ["patients"])["patients"]
        one, two = (connection.execute("SELECT md5(%s)::uuid::text", [f"patients{n}"]).fetchone()[0] for n in (1, 2))
        assert after[one]["created_at"] == after[one]["updated_at"] == before[one]["updated_at"]
        assert after[two]["updated_at"] == after[two]["created_at"] == before[two]["created_at"]


def test_migrate__columns_and_tables_of_the_clinics_own__stay(new_database):
    database = states.database(new_database, "full")
    with database.connect() as connection:
        connection.execute(
            """
            ALTER TABLE patients ADD COLUMN national_id varchar(20), ADD COLUMN file_no bigint DEFAULT 7 NOT NULL;
            CREATE INDEX patients_by_national_id ON patients (national_id);
            CREATE TABLE own_branches (id serial PRIMARY KEY, name text, opened timestamp DEFAULT now());
            INSERT INTO own_branches (name) VALUES ('الفرع الأول');
            CREATE VIEW patient_names AS SELECT id, first_name, last_name FROM patients;
            CREATE FUNCTION own_function() RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE POLICY own_policy ON patients FOR SELECT USING (CURRENT_USER = 'own_login');
            """
        )
        mine = re.compile(r"national_id|file_no|own_branches|patient_names|own_function|own_policy")
        kept = {line for line in snapshots.lines(connection) if mine.search(line)}
        rows = connection.execute("SELECT id, national_id, file_no FROM patients ORDER BY id").fetchall()
        own_branches = snapshots.digest(connection, "own_branches")
        migrate(database)
        assert {line for line in snapshots.lines(connection) if mine.search(line)} == kept
        assert connection.execute("SELECT id, national_id, file_no FROM patients ORDER BY id").fetchall() == rows
        assert snapshots.digest(connection, "own_branches") == own_branches


def test_migrate__equal_indexes_of_the_older_scripts__are_never_dropped(new_database):
    """An index that a later migration asks for is left standing for it, renamed there, and never built again."""
    database = states.database(new_database, "full")
    equal = {
        "idx_chatbot_flows_status": "chatbot_flows_status_idx",
        "idx_conversations_patient_status": "conversations_patient_id_status_idx",
        "idx_crm_leads_owner_status": "crm_leads_owner_id_status_idx",
        "idx_user_preferences_theme": "user_preferences_theme_idx",
    }
    with database.connect() as connection:
        named = dict(connection.execute("SELECT relname, oid FROM pg_class WHERE relkind = 'i'").fetchall())
        migrate(database, no_rehearsal="test")
        now = dict(connection.execute("SELECT oid, relname FROM pg_class WHERE relkind = 'i'").fetchall())
    assert {older: now.get(named[older]) for older in equal} == equal


def test_migrate__invalid_leftovers_of_an_interrupted_build__are_replaced(new_database, fresh):
    database = states.database(new_database, "core")
    with database.connect() as connection:
        connection.execute("UPDATE users SET email = upper(email) WHERE id = md5('users1')::uuid")
        connection.execute(
            "INSERT INTO users (id, email) SELECT md5('double')::uuid, lower(email) FROM users"
            " WHERE id = md5('users1')::uuid"
        )
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("CREATE UNIQUE INDEX CONCURRENTLY users_email_lower_key ON users (lower(email))")
        connection.execute("DELETE FROM users WHERE id = md5('double')::uuid")
        assert any("users_email_lower_key" in line and "valid=f" in line for line in snapshots.lines(connection))
        migrate(database)
        assert [line for line in snapshots.lines(connection) if line.startswith("index ") and "valid=f" in line] == []
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO users (email) SELECT lower(email) FROM users WHERE email <> lower(email)")


class Stopped(Exception):
    """What a power cut would do to a run."""


@pytest.mark.parametrize("state", ["core", pytest.param("full", marks=pytest.mark.slow)])
def test_migrate__stopped_again_and_again__ends_where_an_unbroken_run_ends(new_database, fresh, monkeypatch, state):
    expected, _ = fresh("here")
    database = states.database(new_database, state)
    left = 0

    def execute(connection, step):
        nonlocal left
        left -= 1
        if left < 0:
            raise Stopped
        run(connection, step)

    run = execution.execute
    monkeypatch.setattr(execution, "execute", execute)
    with database.connect() as connection:
        before = snapshots.rows(connection)
        stops = 0
        while True:
            left = 3 + stops  # a longer run each time, so that it comes to an end
            try:
                migrate(database, no_rehearsal="test")
                break
            except Stopped:
                stops += 1
        assert stops > 3
        after = snapshots.rows(connection)
        assert_fresh_but_for_pending_ids(snapshots.lines(connection), expected, state)
        lost = [
            change
            for change in snapshots.changes(before, after)
            if change[3] is not None and change[2:] != ("role", "user", "patient")
        ]
        assert lost == []


ON_A_PLATFORM = pytest.mark.parametrize("adopted", [("supabase", "full")], indirect=True, ids=["supabase-full"])


@ON_A_PLATFORM
@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_migrate__on_a_platform_that_grants_everything__outsiders_see_and_write_nothing(adopted, role):
    """Row security stands on every table, Django's own included, and no policy opens one yet."""
    with adopted.database.connect() as connection, connection.transaction(force_rollback=True):
        tables = snapshots.tables(connection)
        assert {"users", "django_session", "auth_permission"} <= set(tables)
        connection.execute(f"SET LOCAL ROLE {role}")
        seen = {}
        for table in tables:
            try:
                with connection.transaction():
                    seen[table] = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
            except psycopg.errors.InsufficientPrivilege:
                seen[table] = 0
        assert {table: count for table, count in seen.items() if count} == {}
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute("INSERT INTO django_session VALUES ('forged', 'x', now() + interval '1 day')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute("INSERT INTO patients (first_name, last_name) VALUES ('x', 'y')")


@ON_A_PLATFORM
def test_migrate__on_a_platform__a_writer_fills_in_public_ids_as_it_goes(adopted):
    """An application that is not the owner writes rows with and without a public id."""
    with adopted.database.admin() as connection, connection.transaction(force_rollback=True):
        connection.execute("CREATE ROLE integration LOGIN BYPASSRLS; GRANT USAGE ON SCHEMA public, app TO integration")
        connection.execute("GRANT SELECT, INSERT, UPDATE ON patients, crm_leads TO integration")
        connection.execute("GRANT EXECUTE ON FUNCTION app.generate_public_id(text) TO integration")
        connection.execute("SET SESSION AUTHORIZATION integration")
        for statement in (
            "INSERT INTO patients (first_name, last_name) VALUES ('مريض', 'جديد') RETURNING public_id",
            "UPDATE patients SET phone = '1' WHERE id = md5('patients3')::uuid RETURNING public_id",
            "INSERT INTO crm_leads (name) VALUES ('عميل') RETURNING public_id",
        ):
            assert re.fullmatch("(pat|led)_[a-z][0-9a-z]{23}", connection.execute(statement).fetchone()[0])


#: Every state on this server; elsewhere the one that has most to convert.
VALIDATED = [
    (place, state) for place, state in CASES if state != "full_users_public_id" and (place == "here" or state == "full")
]


def dated(database):
    """Table -> how many of its rows have an id that is a date and a counter, read row by row."""
    with database.connect() as direct:
        tables = [model._meta.db_table for model in public_ids.PREFIXES.values()]
        condition = "public_id ~ '^[a-z]{3}_[0-9]{8}_[0-9]{6,12}$'"
        counts = {t: direct.execute(f"SELECT count(*) FROM {t} WHERE {condition}").fetchone()[0] for t in tables}
    return {table: f"{count:,}" for table, count in counts.items() if count and table != "audit_logs"}


@pytest.mark.parametrize("adopted", VALIDATED, indirect=True, ids="-".join)
def test_validate__start_state_migrated__finds_only_ids_to_give(adopted, new_database, tmp_path):
    place, state = adopted.place, adopted.state
    database = states.copy(new_database, adopted.database)
    connection = connections[database.alias]
    result = schema.validate(connection)
    assert result.unexpected == ()
    waiting = {f.object.partition(".")[0] for f in result.findings if f.kind == Kind.PUBLIC_IDS_PENDING}
    assert waiting == set(PENDING[state])
    assert result.settled
    guessable = {f.object.partition(".")[0]: f.found for f in result.findings if f.kind == Kind.PUBLIC_IDS_GUESSABLE}
    assert guessable == dated(database)
    assert bool(guessable) == (state == "full")
    expected = canonical.load(schema.expected_path().read_text(encoding="utf-8"))
    assert result.fingerprint == canonical.Form(expected, {}, "", "").fingerprint
    if state != "fresh":
        call_command("backfill_public_ids", database=database.alias, verbosity=0)
        call_command("remint_public_ids", form="dated", database=database.alias, verbosity=0)
    result = schema.validate(connection, advice=True)
    assert result.findings == ()
    with database.connect() as direct:
        for table in ("users", "patients", "appointments", "crm_deals", "messages", "django_migrations", "audit_logs"):
            direct.execute(f"VACUUM FULL {table}")
            direct.execute(f"REINDEX TABLE {table}")
        direct.execute("REINDEX TABLE CONCURRENTLY users")
        direct.execute("VACUUM ANALYZE")
    again = schema.validate(connection, advice=True)
    assert (again.findings, again.fingerprint) == ((), result.fingerprint)
    # Our own backup, put back into another database.
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    assert taken.fingerprint == at.manifest(taken.id).fingerprint == result.fingerprint
    # Where a platform's schema stands already, as it does in a new project.
    copy = states.database(new_database, "fresh", place=place)
    assert restore.put_back(at, taken.id, restore.target_at(copy.url)).findings == ()
    back = schema.validate(connections[copy.alias], advice=True)
    assert (back.findings, back.fingerprint, back.skipped) == ((), result.fingerprint, ())
    connection.close()
    new_database.drop(copy)
    new_database.drop(database)
