"""`validate_schema --adoption`: what migrate will do to an older database, told before anything is changed."""

import json

import pytest
from django.db import connections

from moeen.db import surveying
from tests import states
from tests.states import snapshots


@pytest.mark.parametrize("state", ["core", "full"])
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


@pytest.mark.parametrize("state", ["foreign_integer_keys", "foreign_columns"])
def test_adoption__foreign_database__lists_every_refusal(new_database, manage, state):
    database = states.database(new_database, state)
    said = manage("validate_schema", "--adoption", DATABASE_URL=database.url)
    assert said.returncode == 3, said.stderr
    assert "refuse " in said.stdout
    assert "migrate will refuse" in said.stdout


def test_adoption__empty_database__has_nothing_to_adopt(new_database):
    database = states.database(new_database, "fresh")
    survey = surveying.survey(connections[database.alias])
    assert (survey.refused, survey.tables, survey.others) == (False, (), ())
    assert "users" in survey.new_tables
