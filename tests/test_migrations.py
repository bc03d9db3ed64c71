"""The migrations: back and forth without a trace, idempotent, linear, and in step with models and SQL files."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections, migrations
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from moeen.db.converge import subject
from moeen.db.operations import RemoveTableConstraint, RunIndexFile, RunSQLFile
from moeen.db.security.identity import acting_as_operator
from tests import states
from tests.states import snapshots

OURS = ("sysadmin", "healthcare", "chatbot", "crm")
LOADER = MigrationLoader(None)
#: The names that the guide's readers look for, and what each took the place of.
NAMED = {
    "sysadmin": ["0001_users", "0002_user_preferences", "0003_system_tables", "0004_audit"],
    "healthcare": ["0001_core_tables", "0002_public_ids"],
    "chatbot": ["0001_tables", "0002_indexes"],
    "crm": ["0001_tables", "0002_indexes"],
}

#: Where migrating itself is recorded.
BOOKS = {"django_migrations", "migration_runs", "migration_steps"}


@pytest.fixture(scope="module", autouse=True)
def operator():
    """Migrating is an operator's work."""
    with acting_as_operator():
        yield


def keys_in_order(connection):
    """All migrations, Django's own included, in the order in which they run on an empty database."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes(), clean_start=True)
    return [(migration.app_label, migration.name) for migration, _ in plan]


def ours(loader=LOADER):
    return [key for key in sorted(loader.disk_migrations) if key[0] in OURS]


def before(key, keys):
    """The migration of the same app that comes before ``key``, or "zero"."""
    earlier = [name for app, name in keys[: keys.index(key)] if app == key[0]]
    return earlier[-1] if earlier else "zero"


def migrate(database, *target):
    words = {"no_backup": "test", "no_rehearsal": "test", "interactive": False}
    call_command("migrate", *target, database=database.alias, verbosity=0, **words)


def state_of(connection):
    """Schemas, and the lines that are not about tables of Django's own."""
    lines = {line for line in snapshots.lines(connection) if not re.search(r"public\.(django|auth)_", line)}
    return lines | {f"schema {name}" for name in snapshots.schemas(connection)}


def assert_same(state, expected, where):
    assert (sorted(state - expected), sorted(expected - state)) == ([], []), where


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.long)], ids=["once", "twice"])
def test_migrations__one_by_one_forward_and_back__leave_no_trace(new_database, times):
    database = states.database(new_database, "fresh")
    connection = connections[database.alias]
    keys = [key for key in keys_in_order(connection) if key[0] in OURS]
    stood = [state_of(connection)]
    assert stood[0] == {"schema public"}
    for key in keys:
        migrate(database, *key)
        stood.append(state_of(connection))
    migrate(database)
    assert_same(state_of(connection), stood[-1], "all at once")

    for position, key in reversed(list(enumerate(keys))):
        migrate(database, key[0], before(key, keys))
        assert_same(state_of(connection), stood[position], f"{key} back")
        for _ in range(times - 1):
            migrate(database, *key)
            assert_same(state_of(connection), stood[position + 1], f"{key} again")
            migrate(database, key[0], before(key, keys))
            assert_same(state_of(connection), stood[position], f"{key} back again")
    assert_same(state_of(connection), {"schema public"}, "zero")

    migrate(database)
    assert_same(state_of(connection), stood[-1], "forward again")


@pytest.fixture(scope="module", params=[pytest.param("fresh", marks=pytest.mark.long), "full"])
def migrated(request, new_database):
    database = states.database(new_database, request.param)
    migrate(database)
    return database


@pytest.mark.parametrize("key", ours(), ids=".".join)
def test_migration__run_again_where_its_objects_stand__changes_nothing(migrated, key):
    """What a later migration takes away or says anew comes back with the earlier one, and goes with the later."""
    connection = connections[migrated.alias]
    loader = MigrationLoader(connection)
    stood = snapshots.everything(connection)
    order = [each for each in keys_in_order(connection) if each[0] in OURS]
    takers = [
        later
        for later in order[order.index(key) + 1 :]
        if any(
            isinstance(o, RemoveTableConstraint | migrations.RemoveConstraint) or getattr(o, "replaces", "")
            for operation in loader.graph.nodes[later].operations
            for o in (operation, *getattr(operation, "state_operations", ()))
        )
    ]
    for each in (key, *takers):
        migration = loader.graph.nodes[each]
        with connection.schema_editor(atomic=migration.atomic) as editor:
            migration.apply(loader.project_state(each, at_end=False), editor)
    again = snapshots.everything(connection)
    assert (sorted(again["catalog"] - stood["catalog"]), sorted(stood["catalog"] - again["catalog"])) == ([], [])
    assert [part for part in stood if stood[part] != again[part]] == []


@pytest.mark.long
def test_migration__stopped_between_its_work_and_its_record__is_taken_up_again(new_database):
    database = states.database(new_database, "full")
    connection = connections[database.alias]
    for key in [key for key in keys_in_order(connection) if key[0] in OURS]:
        migrate(database, *key)
        stood = snapshots.everything(connection)
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE (app, name) = (%s, %s)", key)
        migrate(database, *key)
        again = snapshots.everything(connection)
        for part in (stood, again):
            for table in BOOKS & part["rows"].keys():
                del part["rows"][table]
        assert [part for part in stood if stood[part] != again[part]] == [], key


def test_migrations__models__are_in_step(manage):
    result = manage("makemigrations", "--check", "--dry-run")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("app", OURS)
def test_migrations__of_an_app__are_linear_and_named_for_the_guide(app):
    names = [name for label, name in ours() if label == app]
    assert names == sorted(names)
    assert len({name[:4] for name in names}) == len(names)
    assert names[: len(NAMED[app])] == NAMED[app]
    for earlier, later in pairwise(names):
        same_app = [key for key in LOADER.disk_migrations[app, later].dependencies if key[0] == app]
        assert same_app == [(app, earlier)]


@pytest.mark.parametrize("key", ours(), ids=".".join)
def test_migration__every_operation__is_reversible(key):
    migration = LOADER.disk_migrations[key]
    assert [operation.describe() for operation in migration.operations if not operation.reversible] == []
    assert migration.operations
    assert migration.__class__.__module__.startswith(key[0])


@pytest.mark.parametrize("app", OURS)
def test_sql_files__of_an_app__have_a_way_back_and_one_migration_of_their_number(app):
    folder = Path(apps.get_app_config(app).path) / "sql"
    forward = {path.stem for path in folder.glob("*.sql") if not path.stem.endswith(".reverse")}
    reverse = {path.stem.removesuffix(".reverse") for path in folder.glob("*.reverse.sql")}
    assert forward == reverse
    assert {path.suffix for path in folder.iterdir()} == {".sql"}
    used = [
        (name, operation.name)
        for label, name in ours()
        for operation in LOADER.disk_migrations[label, name].operations
        if isinstance(operation, RunSQLFile) and operation.app_label == app
    ]
    assert sorted(file for _, file in used) == sorted(forward)
    assert [(name, file) for name, file in used if name[:4] != file[:4]] == []
    for stem in forward:
        assert re.fullmatch(r"\d{4}_[a-z_]+", stem)
        assert (folder / f"{stem}.sql").read_text(encoding="utf-8").strip()
        assert (folder / f"{stem}.reverse.sql").read_text(encoding="utf-8").strip()


@pytest.mark.parametrize("app", OURS)
def test_index_files__of_an_app__say_what_its_models_say(migrated, app):
    """Made beside each other on a copy of the table, PostgreSQL tells both in the same words."""
    connection = connections[migrated.alias]
    compared = 0
    for key in [key for key in ours() if key[0] == app]:
        for operation in LOADER.disk_migrations[key].operations:
            if isinstance(operation, RunIndexFile):
                after = LOADER.project_state(key)
                with connection.schema_editor(collect_sql=True, atomic=False) as editor:
                    shapes = list(operation.shapes(app, editor, after, after))
                for by_models, by_file in shapes:
                    one, other = (subject.make_pattern(connection, want) for want in (by_models, by_file))
                    assert one.indexes == other.indexes
                    compared += len(other.indexes)
    assert compared


def test_migrations__to_zero_beside_a_platforms_auth__leave_it_alone(new_database):
    database = states.database(new_database, "fresh", place="supabase")
    connection = connections[database.alias]
    foreign = ("auth", "extensions")
    stood = snapshots.lines(connection, schemas=foreign)
    migrate(database)
    assert snapshots.lines(connection, schemas=foreign) == stood
    for app in reversed(OURS):
        migrate(database, app, "zero")
    assert snapshots.lines(connection, schemas=foreign) == stood
    assert "app" not in snapshots.schemas(connection)


@pytest.mark.slow
def test_migrations__to_zero_after_an_older_auth__leave_it_alone(new_database):
    database = states.database(new_database, "full")
    connection = connections[database.alias]
    stood = snapshots.lines(connection, schemas=("auth",))
    migrate(database)
    assert snapshots.lines(connection, schemas=("auth",)) == stood
    for app in reversed(OURS):
        migrate(database, app, "zero")
    assert snapshots.lines(connection, schemas=("auth",)) == stood
