"""The law of adoption: a database with things of a clinic's own in it is migrated with them intact, or not touched."""

import tomllib

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections

from moeen.db import schema
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.migrate import adoption_report
from moeen.db.security.identity import acting_as_operator
from tests import servers, states
from tests.strange import law

HERE = servers.PROJECT / "tests" / "strange"
CASES = tomllib.loads((HERE / "cases.toml").read_text(encoding="utf-8"))
PLACES = [place for place in states.PLACES if place not in ("supabase", "embedded-16")]
#: The cases that `make test` tries on the other servers as well; `make test-strange` tries all of them there.
TELLING = {"views", "generated_column", "template_policy"}


def cases(outcome):
    """(case, place) of the cases that come to this."""
    return [
        pytest.param(case, place, marks=[pytest.mark.long] if place != "here" and case not in TELLING else [])
        for case, words in CASES.items()
        if words["comes_to"] == outcome
        for place in PLACES
    ]


@pytest.fixture(autouse=True)
def operator():
    """Migrating is an operator's work."""
    with acting_as_operator():
        yield


@pytest.fixture
def strange(new_database):
    """(place, case) -> a database in the state core with the case's things in it."""
    made = []

    def make(place, case):
        database = states.database(new_database, "core", place=place)
        made.append(database)
        text = (HERE / f"{case}.sql").read_text(encoding="utf-8")
        administrator = CASES[case].get("as") == "admin"
        with database.admin() if administrator else database.connect() as connection:
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


@pytest.mark.parametrize(("case", "place"), cases("migrated"))
def test_migrate__things_of_the_clinics_own__stand_afterwards_and_are_no_finding(strange, case, place):
    database = strange(place, case)
    before = law.own(database)
    assert migrate(database) == ""
    assert sorted(before - law.own(database)) == []
    found = schema.validate(connections[database.alias], advice=True)
    assert [finding.pretty() for finding in found.unexpected] == []


@pytest.mark.parametrize(("case", "place"), cases("refused"))
def test_migrate__what_cannot_be_carried_over__is_named_and_nothing_is_changed(strange, case, place):
    database = strange(place, case)
    before = law.everything(database)
    said = migrate(database)
    assert law.everything(database) == before
    assert [name for name in CASES[case]["names"] if name not in said] == [], said
    if "with" in CASES[case]:
        assert migrate(database, **CASES[case]["with"]) == ""


@pytest.mark.parametrize("case", ["views", "expression_index", "template_policy"])
def test_adoption_and_plan__of_such_a_database__say_what_migrate_does(strange, case, manage):
    database = strange("here", case)
    refused = CASES[case]["comes_to"] == "refused"
    report = adoption_report.report(connections[database.alias])
    assert report.refused == refused
    planned = manage("migrate", "--plan", DATABASE_URL=database.url)
    assert planned.returncode == (FINDINGS if refused else 0), planned.stderr
    said = report.pretty()
    assert [name for name in CASES[case].get("names", []) if name not in said or name not in planned.stderr] == []
