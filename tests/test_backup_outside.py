"""What leans on a hosted platform's own tables is backed up, restored with them or without, and what is not is told."""

from dataclasses import replace

import pytest
from django.db import connections

from moeen.db.backups import restore, verify
from moeen.db.errors import MoeenError
from moeen.db.kinds import Kind
from moeen.db.schema import restorable
from tests import backups

PLATFORM = """
    CREATE SCHEMA auth;
    CREATE TYPE auth.level AS ENUM ('aal1', 'aal2');
    CREATE TABLE auth.users (id uuid PRIMARY KEY, email varchar(255), level auth.level, password text);
    CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS 'SELECT NULL::uuid';
    GRANT USAGE ON SCHEMA auth TO moeen; GRANT SELECT, REFERENCES, TRIGGER ON auth.users TO moeen;
"""
PEOPLE = "INSERT INTO auth.users VALUES ('00000000-0000-0000-0000-000000000001', 'one@example.com', 'aal1', 'secret')"
CLINIC = """
    CREATE TABLE users (id uuid PRIMARY KEY, CONSTRAINT "users id fkey" FOREIGN KEY (id) REFERENCES auth.users (id));
    COMMENT ON CONSTRAINT "users id fkey" ON users IS 'who signs in';
    INSERT INTO users VALUES ('00000000-0000-0000-0000-000000000001');
    CREATE VIEW emails AS SELECT u.id, a.email FROM users u JOIN auth.users a USING (id);
    CREATE MATERIALIZED VIEW known AS SELECT email FROM auth.users;
    CREATE FUNCTION of_platform() RETURNS SETOF auth.users LANGUAGE sql STABLE
        BEGIN ATOMIC SELECT id, email, level, password FROM auth.users; END;
    ALTER TABLE users ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON users
        USING (id = (SELECT auth.uid()) AND EXISTS (SELECT FROM auth.users a WHERE a.id = users.id));
    CREATE FUNCTION handle_new_user() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION handle_new_user();
"""
KEY = "SELECT convalidated, obj_description(oid) FROM pg_constraint WHERE conname = 'users id fkey'"


def hosted(new_database, *, people=PEOPLE, clinic=""):
    """A database whose schema `auth` is another role's."""
    database = new_database()
    with database.admin() as connection:
        connection.execute(PLATFORM + people)
    with database.connect() as connection:
        connection.execute(clinic)
    return database


@pytest.fixture(scope="module")
def clinic(new_database, tmp_path_factory):
    """Such a database, where its backups go, and one of them."""
    database = hosted(new_database, clinic=CLINIC)
    at = backups.place(tmp_path_factory.mktemp("outside"))
    taken = backups.take(database, at)
    assert taken.left_out == ("auth",)
    yield database, at, taken
    new_database.drop(database)


def put_back(clinic, name, **how):
    database, at, taken = clinic
    done = restore.put_back(at, taken.id, restore.target_named(connections[database.alias], name), **how)
    return done, replace(database, name=name)


def test_round_trip__columns_of_a_platforms_types__come_back_with_their_rows(new_database, tmp_path):
    database = hosted(new_database)
    with database.admin() as connection:
        connection.execute(
            """
            CREATE TYPE auth."odd; 'type" AS ENUM ('it''s', '"b"; --', 'ج');
            CREATE DOMAIN auth.slug AS varchar(20) CHECK (VALUE <> '');
            CREATE FUNCTION auth.of(auth.level, auth.slug) RETURNS auth.level LANGUAGE sql IMMUTABLE AS 'SELECT $1';
            """
        )
    with database.connect() as connection:
        connection.execute(
            """
            CREATE TABLE visits (
                n int, level auth.level NOT NULL DEFAULT 'aal1', odd auth."odd; 'type"[], slug auth.slug);
            INSERT INTO visits VALUES (1, 'aal2', ARRAY['it''s', '"b"; --']::auth."odd; 'type"[], 'x');
            CREATE INDEX visits_high ON visits (n) WHERE level = 'aal2';
            ALTER TABLE visits ADD CHECK (auth.of(level, slug) IS DISTINCT FROM 'aal1');
            """
        )
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    assert verify.prove(at, taken.id).findings == ()
    done, restored = put_back((database, at, taken), "of_types")
    try:
        assert done.findings == ()
        assert any("auth.level, auth.odd; 'type, auth.slug" in note for note in done.notes)
        with restored.connect() as connection:
            assert connection.execute("SELECT n, level::text, odd::text[] FROM visits").fetchall() == [
                (1, "aal2", ["it's", '"b"; --'])
            ]
    finally:
        database.target.drop("of_types")


def test_verify__what_leans_on_the_platform__verified_and_what_it_is_whole_without_said(clinic):
    _, at, taken = clinic
    report = verify.prove(at, taken.id)
    assert report.findings == ()
    key, trigger = sorted(report.notes, reverse=True)
    assert "constraint public.users users id fkey: auth.users is an empty stand-in" in key
    assert "ADD CONSTRAINT" in key
    assert "trigger on_auth_user_created on auth.users" in trigger
    assert "EXECUTE FUNCTION public.handle_new_user()" in trigger


def test_restore__to_a_plain_server__all_but_the_key_and_that_is_said(clinic):
    done, back = put_back(clinic, f"{clinic[0].name}_plain")
    try:
        assert (done.findings, done.bill) == ((), ())
        assert any("stand-ins that are empty: auth.users" in note for note in done.notes)
        assert any("users id fkey" in note and "stand-in" in note for note in done.notes)
        assert any("on_auth_user_created" in note for note in done.notes)
        with back.connect() as connection:
            assert connection.execute("SELECT count(*) FROM users").fetchone() == (1,)
            assert connection.execute("SELECT * FROM emails").fetchall() == []
            assert connection.execute(KEY).fetchall() == []
            # Nobody is shut out: a new person can be written.
            connection.execute("INSERT INTO users VALUES (gen_random_uuid())")
        with back.admin() as connection:
            granted = "SELECT has_table_privilege('public', 'auth.users', 'SELECT')"
            assert connection.execute(granted).fetchone() == (False,)
    finally:
        clinic[0].target.drop(back.name)


@pytest.mark.parametrize("people", ["", PEOPLE], ids=["without its rows", "with its rows"])
def test_restore__to_another_project__the_key_holds_for_what_is_there(clinic, new_database, people):
    project = hosted(new_database, people=people)
    done, back = put_back(clinic, project.name)
    assert (done.findings, done.bill) == ((), ())
    with back.connect() as connection:
        assert connection.execute(KEY).fetchall() == [(bool(people), "who signs in")]
        assert connection.execute("SELECT count(*) FROM emails").fetchone() == (1 if people else 0,)
    told = [note for note in done.notes if "users id fkey" in note]
    assert bool(told) != bool(people)
    assert all('VALIDATE CONSTRAINT "users id fkey"' in note for note in told)
    new_database.drop(project)


def test_salvage__to_a_plain_server__the_key_is_on_no_bill(clinic):
    done, back = put_back(clinic, f"{clinic[0].name}_salvaged", salvaging=True)
    assert done.bill == ()
    clinic[0].target.drop(back.name)


def test_restore__in_place_of_a_database_with_tables_of_the_platform__refused_and_nothing_changed(clinic):
    database, at, _ = clinic
    before = at.ids()
    with pytest.raises(MoeenError, match=r"schema auth \(1\).* Nothing was changed") as caught:
        put_back(clinic, database.name, replace_existing=True, drop_old=True)
    assert caught.value.exit_code == 3
    assert at.ids() == before
    with database.admin() as connection:
        assert connection.execute("SELECT count(*) FROM auth.users").fetchone() == (1,)


def test_verify__a_type_of_the_platform_in_a_column__named_in_the_live_database_too(new_database, tmp_path):
    database = hosted(new_database, clinic=CLINIC)
    wrapper = connections[database.alias]
    assert restorable.findings(wrapper)[0] == []
    with database.admin() as connection:
        connection.execute("CREATE TYPE auth.pair AS (a int, b int)")
    with database.connect() as connection:
        connection.execute("CREATE TABLE steps (id int, pair auth.pair, level auth.level)")
    (found,) = restorable.findings(wrapper)[0]
    assert found.kind is Kind.MADE_BY_NO_RESTORE
    assert "public.steps.pair" in found.object
    assert "auth.pair" in found.found
    at = backups.place(tmp_path)
    assert not verify.prove(at, backups.take(database, at).id).ok
    wrapper.close()
    new_database.drop(database)
