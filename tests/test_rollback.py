"""The way back is told before it is gone: what the plan, docs/rollback.md and the SQL to run by hand say, is so."""

import io
import json
import re
import subprocess
from datetime import date
from itertools import pairwise

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.migrations.loader import MigrationLoader

from moeen.db import registry
from moeen.db.security.identity import acting_as_operator
from moeen.db.server import programs
from sysadmin.management import demo_clinic
from tests import servers
from tests.states import snapshots

PAGE = (servers.PROJECT / "docs" / "rollback.md").read_text(encoding="utf-8")
#: `APP MIGRATION` -> what the page says is lost, where it holds rows.
TOLD = {
    target: set(re.findall(r"`([\w.]+)`", lost))
    for target, lost in re.findall(r"^\| `migrate (\w+ \w+)` \| (.*) \|$", PAGE, flags=re.M)
}


@pytest.fixture(scope="module")
def clinic(new_database):
    """With a row in nearly every table."""
    made = new_database.migrated()
    with acting_as_operator():
        demo_clinic.seed(connections[made.alias], seed=1, today=date(2026, 11, 26), password="")
    connections[made.alias].close()
    yield made
    new_database.drop(made)


@pytest.fixture
def copy(clinic, new_database):
    made = new_database(template=clinic.name)
    yield made
    new_database.drop(made)


def standing(database):
    """Table of ours -> (whether it holds rows, its columns); one of schema public by its name alone."""
    with database.connect(options="-c row_security=off") as owner:
        tables = owner.execute(
            """SELECT concat(nullif(n.nspname, 'public') || '.', c.relname), c.oid::regclass::text,
                      (SELECT array_agg(attname::text) FROM pg_attribute
                       WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)
               FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
               WHERE n.nspname IN ('public', 'app') AND c.relkind = 'r'"""
        ).fetchall()
        return {
            name: (owner.execute(f"SELECT EXISTS (SELECT FROM {table})").fetchone()[0], set(columns))
            for name, table, columns in tables
        }


def migrate(database, *words, **options):
    """What it prints."""
    out = io.StringIO()
    with acting_as_operator():
        call_command("migrate", *words, database=database.alias, stdout=out, no_rehearsal="test", interactive=False,
                     **options)  # fmt: skip
    connections[database.alias].close()
    return out.getvalue()


#: The tables that no model tells of, in the words of the apps.
UNMODELLED = {table for tables in registry.facts().tables_of_files.values() for table in tables}


def test_facts__tables_that_sql_files_make__are_all_that_no_model_tells_of(clinic):
    assert {name for name in standing(clinic) if "." in name} == UNMODELLED
    assert len(UNMODELLED) > 2


@pytest.mark.parametrize("target", [*TOLD, "sysadmin zero"])
def test_way_back__plan_and_page__name_exactly_what_is_gone(copy, target):
    with copy.connect(options="-c row_security=off") as owner:
        owner.execute("INSERT INTO app.audit_suspensions VALUES (gen_random_uuid(), 'patients', 'test')")
    plan = json.loads(migrate(copy, *target.split(), plan=True, json=True))
    told = {re.match(r"(?:table|column) ([\w.]+)", loss)[1] for loss in plan["losses"]}
    before = standing(copy)
    migrate(copy, *target.split(), verbosity=0, no_backup="test")
    after = standing(copy)
    gone = {name for name, (holds, _) in before.items() if holds and name not in after}
    for name, (holds, columns) in before.items():
        if holds and name in after:
            gone |= {f"{name}.{column}" for column in columns - after[name][1]}
    assert told == gone
    assert TOLD.get(target, told) == told
    assert target != "sysadmin zero" or len(told & UNMODELLED) > 1


def test_by_hand__sql_of_the_way_back__leaves_what_migrate_leaves(clinic, copy, new_database, manage):
    """The newest migrations of each app that nothing builds upon, as docs/rollback.md says."""
    graph = MigrationLoader(None).graph
    other = new_database(template=clinic.name)
    with copy.connect() as owner:
        before = snapshots.lines(owner)
    # Some take nothing back, so it is the newest two.
    names = {app: sorted(name for label, name in graph.node_map if label == app)[:-4:-1] for app in ("crm", "chatbot")}
    for app, newest, previous in ((app, *pair) for app, three in names.items() for pair in pairwise(three)):
        script = manage("sqlmigrate", app, newest, "--backwards", DATABASE_URL=copy.url).stdout
        words = [programs.bin_dir(programs.MAJOR) / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", copy.url]
        done = subprocess.run(words, input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        migrate(copy, app, previous, fake=True, verbosity=0, no_backup="test")
        migrate(other, app, previous, verbosity=0, no_backup="test")
    with copy.connect() as one, other.connect() as two:
        assert snapshots.lines(one) == snapshots.lines(two) != before
    migrate(copy, verbosity=0, no_backup="test")
    with copy.connect() as owner:
        assert snapshots.lines(owner) == before
    new_database.drop(other)
