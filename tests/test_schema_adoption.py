"""`validate_schema --adoption`: what migrate will do to an older database, told before anything is changed."""

import json
import re

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections

from moeen.db.kinds import Kind
from moeen.db.migrate import adoption_report
from moeen.db.migrate.refusals import AdoptionRefused
from tests import states
from tests.states import snapshots

#: State -> a table of it, and what must be told besides the refusals: added, converted, dropped.
REFUSED = {
    "foreign_integer_keys": ("patients", (["public_id"], [], [])),
    "foreign_columns": ("doctors", (["public_id"], ["SET DEFAULT"], [])),
    "unmappable_core": ("users", (["public_id"], ["SET NOT NULL"], [])),
    "unmappable_full": ("users", (["CONSTRAINT"], ["TYPE timestamp"], ["DROP TRIGGER", "DROP POLICY"])),
}


@pytest.mark.parametrize("state", ["core", pytest.param("full", marks=pytest.mark.slow)])
def test_adoption__older_database__tells_what_is_added_converted_dropped_and_changes_nothing(
    new_database, manage, state
):
    database = states.database(new_database, state)
    with database.connect() as connection:
        before = snapshots.everything(connection)
        said = manage("validate_schema", "--adoption", "--json", DATABASE_URL=database.url)
        assert said.returncode == 0, said.stderr
        assert snapshots.everything(connection) == before
        counts = {t: connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("users", "patients")}
    survey = json.loads(said.stdout)
    tables = {table["table"]: table for table in survey["tables"]}
    assert {name: tables[name]["rows"] for name in counts} == counts
    assert any("public_id" in statement for statement in tables["patients"]["add"])
    if state == "full":
        assert any("TYPE timestamp with time zone" in s or "TYPE timestamptz" in s for s in tables["users"]["convert"])
        assert any(s.startswith("DROP POLICY") for t in tables.values() for s in t["drop"])
    assert "backfill_runs" in survey["new_tables"]


@pytest.mark.parametrize(
    "state",
    ["foreign_columns", *(pytest.param(one, marks=pytest.mark.slow) for one in REFUSED if one != "foreign_columns")],
)
def test_adoption__refused_database__tells_refusals_and_everything_else_and_changes_nothing(new_database, state):
    database = states.database(new_database, state)
    with database.connect() as direct:
        before = snapshots.everything(direct)
        survey = adoption_report.report(connections[database.alias])
        connections[database.alias].close()
        assert snapshots.everything(direct) == before
        tables = {table.table: table for table in survey.tables}
        for name, table in tables.items():
            assert table.rows == direct.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
    assert survey.refused
    found = [*(f for table in survey.tables for f in table.refused), *survey.others]
    told = {(f.object, f.kind) for f in found}
    with pytest.raises(AdoptionRefused) as refusal:
        call_command("migrate", database=database.alias, verbosity=0)
    assert told == {(f.object, f.kind) for f in refusal.value.findings}
    adopted, (added, converted, dropped) = REFUSED[state]
    table = tables[adopted]
    for words, statements in ((added, table.add), (converted, table.convert), (dropped, table.drop)):
        assert [word for word in words if not any(word in statement for statement in statements)] == []
    # What is refused is not said to be converted as well.
    types = {f.object for f in found if f.kind is Kind.COLUMN_TYPE}
    for table in survey.tables:
        for statement in table.convert:
            column = re.search(r'ALTER COLUMN "?(\w+)"? TYPE', statement)
            assert column is None or f"{table.table}.{column[1]}" not in types
    assert "backfill_runs" in survey.new_tables


@pytest.mark.slow
def test_adoption__refused_database__the_command_says_it_all(new_database, manage):
    database = states.database(new_database, "foreign_columns")
    said = manage("validate_schema", "--adoption", DATABASE_URL=database.url)
    assert said.returncode == 3, said.stderr
    for word in ("  refuse ", "  add ", "  convert ", " rows\n", "New tables: ", "migrate will refuse"):
        assert word in said.stdout


def test_adoption__empty_database__has_nothing_to_adopt(new_database):
    database = states.database(new_database, "fresh")
    survey = adoption_report.report(connections[database.alias])
    assert (survey.refused, survey.tables, survey.others) == (False, (), ())
    assert "users" in survey.new_tables


def test_adoption__functions_over_an_enum_that_becomes_text__are_named_with_the_columns(new_database, manage):
    database = states.database(new_database, "core")
    with database.connect() as owner:
        owner.execute(
            """
            CREATE TYPE clinic_gender AS ENUM ('male', 'female', 'other');
            ALTER TABLE patients DROP CONSTRAINT IF EXISTS patients_gender_check;
            UPDATE patients SET gender = 'male';
            ALTER TABLE patients ALTER gender TYPE clinic_gender USING gender::text::clinic_gender;
            CREATE FUNCTION clinic_men() RETURNS bigint LANGUAGE plpgsql AS
                $$ BEGIN RETURN (SELECT count(*) FROM patients WHERE gender = 'male'::clinic_gender); END $$;
            CREATE FUNCTION clinic_count(g clinic_gender) RETURNS bigint LANGUAGE sql AS
                'SELECT count(*) FROM patients WHERE gender = g';
            CREATE FUNCTION clinic_words(g clinic_gender) RETURNS text LANGUAGE sql AS 'SELECT g::text';
            CREATE FUNCTION clinic_said() RETURNS text LANGUAGE sql AS $$ SELECT 'x' -- clinic_gender $$;
            """
        )
    told = json.loads(manage("validate_schema", "--adoption", "--json", DATABASE_URL=database.url).stdout)["feeds"]
    names = [words.partition(" works with type clinic_gender, which patients.gender ")[0] for words in told]
    assert names == ["Function clinic_count(g clinic_gender)", "Function clinic_men()"]
    assert manage(
        "migrate", "--no-backup", "test", "--no-rehearsal", "test", DATABASE_URL=database.url
    ).returncode == 0  # fmt: skip
    with database.connect() as owner, pytest.raises(psycopg.errors.UndefinedFunction):
        owner.execute("SELECT clinic_men()")


def test_adoption__published_tables__report_plan_and_migrate_name_who_is_sent_them(new_database, manage):
    database = states.database(new_database, "core")
    with database.connect() as owner:
        # One that lists columns is sent no new ones.
        owner.execute("CREATE PUBLICATION clinic_mirror FOR TABLE patients, doctors")
        owner.execute("CREATE PUBLICATION clinic_ids FOR TABLE patients (id), appointments (id)")
    reported = json.loads(manage("validate_schema", "--adoption", "--json", DATABASE_URL=database.url).stdout)
    (feed,) = reported["feeds"]
    assert feed.startswith("Publication clinic_mirror sends doctors, patients, with the columns that they get")
    assert "Slots: none." in feed
    assert json.loads(manage("migrate", "--plan", "--json", DATABASE_URL=database.url).stdout)["feeds"] == [feed]
    words = ("--no-backup", "test", "--no-rehearsal", "test")
    for said in (
        manage("migrate", "--plan", DATABASE_URL=database.url),
        manage("migrate", *words, DATABASE_URL=database.url),
    ):
        assert said.returncode == 0, said.stderr
        assert feed in said.stdout + said.stderr
