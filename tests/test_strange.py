"""The law of adoption: a database with things of a clinic's own in it is migrated with them intact, or not touched."""

import tomllib
from contextlib import contextmanager

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections

from moeen.db import schema
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.migrate import adoption_report
from moeen.db.security.identity import acting_as_operator
from tests import backups, servers, states
from tests.strange import law

HERE = servers.PROJECT / "tests" / "strange"
CASES = tomllib.loads((HERE / "cases.toml").read_text(encoding="utf-8"))
PLACES = [place for place in states.PLACES if place not in ("supabase", "embedded-16")]
#: What is not for a database together with the others: it cannot be made there, or is asked about before they are.
ALONE = {
    "builtins_hidden", "columns_used_up", "doctors_policy", "empty_integer_keys", "enum_column",
    "event_trigger_by_rows", "event_trigger_refuses", "forced_row_security", "identity_in_part", "identity_of_another",
    "invalid_index", "lossless_types", "no_longer_true", "rights_withheld", "session_unfit", "template_policy",
    "update_triggers", "values_that_do_not_fit", "views_of_others", "views_that_cannot_be_read",
}  # fmt: skip


def cases(outcome):
    """The cases that come to this."""
    return [case for case, words in CASES.items() if words["comes_to"] == outcome]


@pytest.fixture(autouse=True)
def operator():
    """Migrating is an operator's work."""
    with acting_as_operator():
        yield


@contextmanager
def triggers_off(database):
    """Those that stand: the older audit trigger of the state full fails at each change, for want of a public id."""
    with database.connect() as owner:
        standing = owner.execute(
            "SELECT format('ALTER TABLE %s %%s TRIGGER %I', c.oid::regclass, t.tgname) FROM pg_trigger AS t"
            " JOIN pg_class AS c ON c.oid = t.tgrelid WHERE c.relkind = 'r' AND NOT t.tgisinternal"
        ).fetchall()
        for (switch,) in standing:
            owner.execute(switch % "DISABLE")
        yield
        for (switch,) in standing:
            owner.execute(switch % "ENABLE")


@pytest.fixture
def strange(new_database):
    """(place, *cases, state="core") -> a database in this state with the cases' things in it."""
    made = []

    def make(place, *cases, state="core"):
        database = states.database(new_database, state, place=place)
        made.append(database)
        for case in cases:
            text = (HERE / f"{case}.sql").read_text(encoding="utf-8")
            administrator = CASES[case].get("as") == "admin"
            with database.admin() if administrator else database.connect() as connection, triggers_off(database):
                try:
                    connection.execute(text)
                except psycopg.errors.UniqueViolation:
                    assert case == "invalid_index"  # that is how it comes to be
        return database

    yield make
    for database in made:
        new_database.drop(database)


def migrate(database, **words):
    """What the run ends with: nothing, or what it was refused with."""
    refused = None
    try:
        call_command("migrate", database=database.alias, verbosity=0, no_backup="test", **words)
    except MoeenError as error:
        refused = error
    assert refused is None or refused.exit_code == FINDINGS
    return str(refused or "")


def test_cases__files_and_outcomes__are_the_same():
    assert sorted(path.stem for path in HERE.glob("*.sql")) == sorted(CASES)


def keeps_the_law(database):
    """It is migrated, and what is the clinic's own stands as it stood and is no finding."""
    before = law.own(database)
    assert migrate(database) == ""
    assert sorted(before - law.own(database)) == []
    found = schema.validate(connections[database.alias], advice=True)
    assert law.told(found.unexpected) == []


def is_refused(database, *cases):
    """It is not migrated, each case is named, and nothing is changed."""
    before = law.everything(database)
    said = migrate(database)
    assert law.everything(database) == before
    assert [name for case in cases for name in CASES[case]["names"] if name not in said] == [], said
    assert [name for case in cases for name in CASES[case].get("never", []) if name in said] == [], said


def comes_to_what_it_must(database, case):
    if CASES[case]["comes_to"] == "migrated":
        keeps_the_law(database)
        return
    is_refused(database, case)
    if "with" in CASES[case]:
        assert migrate(database, **CASES[case]["with"]) == ""


@pytest.mark.parametrize("place", PLACES)
def test_migrate__things_of_the_clinics_own_together__stand_afterwards_and_are_no_finding(strange, place):
    keeps_the_law(strange(place, *(case for case in cases("migrated") if case not in ALONE)))


@pytest.mark.parametrize("place", PLACES)
def test_migrate__much_that_cannot_be_carried_over__is_all_named_and_nothing_is_changed(strange, place):
    together = [case for case in cases("refused") if case not in ALONE]
    is_refused(strange(place, *together), *together)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=pytest.mark.long if place % 4 else pytest.mark.slow)
        for place, case in enumerate(sorted(ALONE))
    ],
)
def test_migrate__what_stands_alone__keeps_the_law(strange, case):
    comes_to_what_it_must(strange("here", case), case)


@pytest.mark.long
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("case", "state"),
    [(case, state) for case, words in CASES.items() for state in ("core", "full") if words.get("only", state) == state],
)
def test_migrate__each_case__keeps_the_law(strange, case, state, place):
    comes_to_what_it_must(strange(place, case, state=state), case)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["views", "template_policy"])
def test_adoption_and_plan__of_such_a_database__say_what_migrate_does(strange, case, manage):
    database = strange("here", case)
    refused = CASES[case]["comes_to"] == "refused"
    report = adoption_report.report(connections[database.alias])
    assert report.refused == refused
    planned = manage("migrate", "--plan", DATABASE_URL=database.url)
    assert planned.returncode == (FINDINGS if refused else 0), planned.stderr
    said = report.pretty()
    assert [name for name in CASES[case].get("names", []) if name not in said or name not in planned.stderr] == []


def test_migrate__triggers_that_fire_and_change_the_session__do_not_lead_it_astray(strange):
    database = strange("here")
    with database.connect() as owner:
        owner.execute(
            """
            CREATE SCHEMA clinic_s; CREATE TABLE clinic_s.users (x int); CREATE TABLE clinic_s.migration_runs (x int);
            CREATE FUNCTION clinic_path() RETURNS trigger LANGUAGE plpgsql AS
                $$BEGIN SET search_path = clinic_s; SET statement_timeout = 1; RETURN NEW; END$$;
            CREATE TRIGGER clinic_path BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION clinic_path();
            """
        )
    assert migrate(database, fire_triggers=True, no_rehearsal="a twin has no rows") == ""


@pytest.mark.parametrize("place", PLACES)
def test_migrate__columns_by_whose_collation_case_is_nothing__are_read_as_ours_will_hold_them(strange, place):
    database = strange(place)
    with database.connect() as owner:
        if owner.execute("SELECT FROM pg_collation WHERE collname = 'und-x-icu'").fetchone() is None:
            pytest.skip("this server was built without ICU")
        owner.execute(
            """
            CREATE COLLATION clinic_any (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
            ALTER TABLE patients ALTER COLUMN date_of_birth TYPE text COLLATE clinic_any;
            ALTER TABLE doctors ADD COLUMN public_id varchar(255) COLLATE clinic_any;
            UPDATE doctors SET public_id = 'DOC_' || id WHERE id = (SELECT id FROM doctors LIMIT 1);
            ALTER TABLE users ALTER COLUMN role TYPE varchar(50) COLLATE clinic_any;
            UPDATE users SET role = 'User' WHERE id = (SELECT id FROM users WHERE role = 'user' LIMIT 1);
            """
        )
    before = law.everything(database)
    said = migrate(database)
    assert "users.role: values not allowed" in said
    assert "doctors.public_id: values not allowed" in said
    assert law.everything(database) == before
    with database.connect() as owner:
        owner.execute("UPDATE users SET role = 'user' WHERE role = 'user'; UPDATE doctors SET public_id = NULL")
    keeps_the_law(database)


@pytest.mark.parametrize(
    "what",
    [
        "INDEX clinic_seen ON doctors (clinic_seen(id::text), created_at)",
        "MATERIALIZED VIEW clinic_seen AS SELECT created_at, clinic_seen(phone) FROM doctors",
    ],
)
def test_migrate__what_is_made_anew_finds_a_table_by_the_path__is_refused(strange, what):
    """PostgreSQL 17 and newer make it without one, whatever the session's is."""
    database = strange("here")
    function = "FUNCTION clinic_seen(text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN {}; END'"
    with database.connect() as owner:
        owner.execute(f"CREATE {function.format(1)}; CREATE {what}")
        owner.execute(f"CREATE OR REPLACE {function.format('(SELECT count(*) FROM users)')}")
    before = law.everything(database)
    assert 'relation "users" does not exist' in migrate(database)
    assert law.everything(database) == before


def test_plan__an_event_trigger_that_refuses__is_named_by_its_function_without_what_follows_from_it(strange, manage):
    database = strange("here")
    with database.admin() as admin:
        admin.execute(
            """
            CREATE FUNCTION clinic_ask() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN
                IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'public.patients') THEN
                    RAISE 'ask first'; END IF; END$$;
            CREATE EVENT TRIGGER clinic_ask ON ddl_command_end WHEN TAG IN ('ALTER TABLE')
                EXECUTE FUNCTION clinic_ask();
            """
        )
    planned = manage("migrate", "--plan", DATABASE_URL=database.url)
    assert planned.returncode == FINDINGS, planned.stderr
    assert "ask first (says function clinic_ask())" in planned.stderr
    assert 'ALTER EVENT TRIGGER "clinic_ask" DISABLE' in planned.stderr
    assert "does not exist" not in planned.stderr


#: What a hosted project's clinics lay over the platform's table of those who sign in.
OVER_THE_PLATFORM = """
    ALTER TABLE users ADD CONSTRAINT clinic_signs_in FOREIGN KEY (id) REFERENCES auth.users (id) ON DELETE CASCADE;
    CREATE VIEW clinic_emails AS SELECT u.id, a.email FROM users u JOIN auth.users a USING (id);
    CREATE FUNCTION clinic_new_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
        AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER clinic_on_user AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION clinic_new_user();
"""


@pytest.mark.slow
def test_migrate__hosted_project_over_the_platforms_table__backed_up_and_stands(strange, manage, tmp_path):
    database = strange("supabase")
    with database.admin() as connection:
        connection.execute("INSERT INTO auth.users (id) SELECT id FROM public.users ON CONFLICT DO NOTHING")
        connection.execute("GRANT ALL ON auth.users TO postgres")
    with database.connect() as connection:
        connection.execute(OVER_THE_PLATFORM)
    before = law.own(database)
    connections[database.alias].close()
    done = manage("migrate", **backups.environment(database, tmp_path / "backups"))
    assert done.returncode == 0, done.stderr
    assert sorted(before - law.own(database)) == []
    assert law.told(schema.validate(connections[database.alias], advice=True).unexpected) == []
    done = manage("verify_backup", "latest", **backups.environment(database, tmp_path / "backups"))
    assert (done.returncode, "constraint public.users clinic_signs_in" in done.stderr) == (0, True), done.stderr
