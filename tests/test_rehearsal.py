"""A run is tried on a twin of the database first; where it would stop there, the database is not touched."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections, transaction

from moeen.db import catalog
from moeen.db.actions import Lock, strongest
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.kinds import Kind
from moeen.db.migrate import adoption_report, likeness, rehearsal, runner, twin
from moeen.db.migrate.watch import Watch
from moeen.db.security.identity import acting_as_operator
from tests import servers, states
from tests.measuring import SETUP, Truth, truth, truth_alone
from tests.states import snapshots

#: What a clinic may have that a run meets only half-way: names of ours, taken by something else.
TAKEN = "CREATE TABLE appointments_public_id_key (id int); CREATE SEQUENCE patients_public_id_key"
PLACES = [place for place in states.PLACES if place != "embedded-16"]


@pytest.fixture(scope="module", autouse=True)
def operator():
    """Migrating is an operator's work."""
    with acting_as_operator():
        yield


@contextlib.contextmanager
def apart(monkeypatch):
    """`twins()`: the folders of the twins made meanwhile, in a place where nobody else's are.

    Meanwhile only: a server that other tests share must not come to stand there.
    """
    place = Path(tempfile.mkdtemp(prefix="t"))  # short, for the length of a socket's path is limited
    place.chmod(0o711)  # whoever runs the server for root passes through
    with monkeypatch.context() as patch:
        patch.setenv("TMPDIR", str(place))
        patch.setattr(tempfile, "tempdir", str(place))
        yield lambda: set(place.glob("moeen-twin-*"))
    shutil.rmtree(place)


def alike(connection, schemas):
    """The catalog; of what holds an expression, which a dump may word otherwise, no more than that it stands."""
    lines = snapshots.lines(connection, schemas=schemas)
    worded = ("policy ", "constraint ", "relation ", "rule ")
    return {" ".join(line.split()[:3]) if line.startswith(worded) else line for line in lines}


@pytest.mark.parametrize("place", PLACES)
def test_twin__of_a_database_with_rows__has_its_schema_and_no_row(new_database, monkeypatch, place):
    database = states.database(new_database, "full", place=place)
    with database.connect() as connection:
        names = sorted(snapshots.schemas(connection))
        expected, before = alike(connection, names), snapshots.everything(connection)
        with apart(monkeypatch) as twins:
            with twin.standing(connections[database.alias]) as made:
                assert twins()
                assert made.lacking == ()
                assert sorted(snapshots.schemas(made.connection)) == names
                assert alike(made.connection, names) == expected
                with made.connection.cursor() as cursor:
                    for table in snapshots.tables(made.connection):
                        cursor.execute(f'SELECT count(*) FROM public."{table}"')
                        assert cursor.fetchone() == (0,), table
                    cursor.execute("SELECT current_user, current_setting('TimeZone')")
                    role, _ = cursor.fetchone()
                    assert role == database.owner
                    cursor.execute("SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname <> %s", [role])
                    assert [name.partition("_")[0] for (name,) in cursor.fetchall()] == ["scratch"]
                assert set(snapshots.roles(made.connection)) >= set(snapshots.roles(connection))
            assert not twins()
        assert snapshots.everything(connection) == before


def test_twin__its_process_is_killed__goes_as_well(new_database, monkeypatch):
    database = states.database(new_database, "core")
    script = """
        import time
        from django.db import connection
        from moeen.db.migrate import twin
        from moeen.db.security.identity import acting_as_operator
        with acting_as_operator(), twin.standing(connection):
            print("stands", flush=True)
            time.sleep(60)
    """
    with apart(monkeypatch) as twins:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "shell", "--no-imports", "-c", textwrap.dedent(script)],
            cwd=servers.PROJECT,
            env={**os.environ, "DATABASE_URL": database.url},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "stands\n"
        assert twins()
        process.kill()
        process.wait()
        process.stdout.close()
        deadline = time.monotonic() + 10
        while twins() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not twins()


@pytest.fixture(scope="module")
def obstructed(new_database):
    database = states.database(new_database, "core")
    with database.connect() as connection:
        connection.execute(TAKEN)
    return database


def test_migrate__run_that_would_stop_half_way__is_refused_whole_and_changes_nothing(obstructed):
    with obstructed.connect() as connection:
        before = snapshots.everything(connection)
        with pytest.raises(rehearsal.RehearsalFailed) as caught:
            call_command("migrate", database=obstructed.alias, verbosity=0, no_backup="test")
        assert snapshots.everything(connection) == before
    assert caught.value.exit_code == FINDINGS
    # One look gives the whole list, not only what comes first.
    taken = {finding.table for finding in caught.value.findings if "_public_id_key" in finding.found}
    assert taken >= {"appointments", "patients"}, caught.value


@pytest.mark.slow
def test_plan__of_a_run_that_would_stop__says_so_as_migrate_does(obstructed, manage):
    done = manage("migrate", "--plan", DATABASE_URL=obstructed.url)
    assert done.returncode == FINDINGS
    assert "healthcare.0001_core_tables" in done.stdout
    assert "ALTER TABLE" not in done.stdout  # one page
    assert "appointments" in done.stderr
    assert "appointments_public_id_key" in done.stderr
    report = adoption_report.report(connections[obstructed.alias])
    assert report.refused
    assert {table.table for table in report.tables if table.refused} >= {"appointments", "patients"}


def test_plan_and_run__of_a_database_of_ours__keep_the_verdict_for_the_page_of_operations(new_database, manage):
    database = new_database.migrated()
    kept = "SELECT ok, report FROM operator_reports WHERE kind = 'rehearsal'"
    call_command("migrate", "crm", "0008_id_checks", database=database.alias, verbosity=0, no_backup="test")
    with database.connect() as connection:
        connection.execute("DELETE FROM operator_reports")
        assert manage("migrate", "--plan", DATABASE_URL=database.url).returncode == 0
        ok, report = connection.execute(kept).fetchone()
    new_database.drop(database)
    assert ok
    assert report["migrations"][0] == "crm.0009_search"
    assert report["obstacles"] == []
    assert "nothing is in the way" in report["says"]


def test_migrate__rehearsal_left_out__takes_the_reason_and_runs(new_database):
    database = states.database(new_database, "core")
    call_command("migrate", database=database.alias, verbosity=0, no_backup="test", no_rehearsal="tried by hand")
    with database.connect() as connection:
        (decisions,) = connection.execute("SELECT decisions FROM migration_runs").fetchone()
    assert decisions == "no rehearsal: tried by hand"


def test_migrate__no_twin_can_be_made__is_refused_with_the_way_round(new_database, monkeypatch):
    def nothing(major):
        raise MoeenError("No PostgreSQL that could run a throwaway server was found.", next_step="Install it.")

    database = states.database(new_database, "core")
    monkeypatch.setattr(twin.tools, "find_server", nothing)
    with database.connect() as connection:
        before = snapshots.everything(connection)
        with pytest.raises(rehearsal.CannotRehearse) as caught:
            call_command("migrate", database=database.alias, verbosity=0, no_backup="test")
        assert snapshots.everything(connection) == before
    assert caught.value.exit_code == FINDINGS
    assert "--no-rehearsal" in caught.value.next_step


def test_migrate__through_a_pooler_in_transaction_mode__is_refused(new_database, manage):
    database = states.database(new_database, "core")
    with database.connect() as connection:
        before = snapshots.everything(connection)
        with servers.pooler(database.target, database.name, database.owner) as url:
            done = manage("migrate", DATABASE_URL=url)
        assert done.returncode == FINDINGS, done.stderr
        assert "pooler" in done.stderr
        assert snapshots.everything(connection) == before


def test_migrate__nothing_pending_or_nothing_there__rehearses_nothing(new_database, monkeypatch):
    def rehearse(*args, **kwargs):
        raise AssertionError("there is nothing to rehearse")

    monkeypatch.setattr(runner.rehearsal, "rehearse", rehearse)
    fresh = states.database(new_database, "fresh")
    for _ in range(2):
        call_command("migrate", database=fresh.alias, verbosity=0, no_backup="test")


@pytest.mark.slow
def test_plan__that_goes_through__says_it_was_rehearsed(new_database, manage):
    database = states.database(new_database, "core")
    done = manage("migrate", "--plan", "--verbose", DATABASE_URL=database.url)
    assert done.returncode == 0, done.stderr
    assert "nothing is in the way" in done.stdout
    assert 'ALTER TABLE "patients"' in done.stdout
    assert json.loads(manage("migrate", "--plan", "--json", DATABASE_URL=database.url).stdout)["refusal"] is None


def test_rehearsal__object_that_the_twin_has_not__is_an_obstacle_unless_its_extension_is_missing_here():
    lacking = [likeness.Lacking("type", "clinic.mood", "no reason"), likeness.Lacking("type", "g", "x", "postgis")]
    (found,) = rehearsal._lacking(lacking)
    assert (found.object, found.kind) == ("type clinic.mood", Kind.TWIN)


#: What somebody may write into a migration; not all of it tells by its form what it does.
MIGRATIONS = {
    "0001_column": "ALTER TABLE patients ADD COLUMN x text; COMMENT ON COLUMN patients.x IS 'x'",
    "0002_value_for_each_row": "ALTER TABLE patients ADD COLUMN x uuid DEFAULT gen_random_uuid()",
    "0003_type": "ALTER TABLE patients ALTER phone TYPE bigint USING phone::bigint",
    "0004_type_that_keeps": "ALTER TABLE patients ALTER phone TYPE text",
    "0005_check": "ALTER TABLE patients ADD CONSTRAINT c CHECK (id > 0) NOT VALID; "
    "ALTER TABLE patients VALIDATE CONSTRAINT c",
    "0006_index": "CREATE INDEX i ON patients (gender)",
    "0007_block": "DO $$ BEGIN IF true THEN EXECUTE 'ALTER TABLE patients SET UNLOGGED'; END IF; END $$",
    "0008_function": "SELECT refer()",
    "0009_two_tables": "ALTER TABLE clinics ADD COLUMN x int; UPDATE patients SET gone = true WHERE id = 1",
    "0010_index_online": "CREATE INDEX CONCURRENTLY i ON patients (gender)",
    "0011_no_index_online": "DROP INDEX CONCURRENTLY i",
}


def foretold(database):
    """(migration, table) -> what it does by the rehearsal; what works in a transaction is undone."""
    found = {}
    with twin.standing(connections[database.alias]) as made:
        watch = Watch(made.keeper)
        for name, script in MIGRATIONS.items():
            with watch.over(made.connection, name), made.connection.cursor() as cursor:
                if "CONCURRENTLY" in script:
                    cursor.execute(script)
                else:
                    with transaction.atomic(using=made.connection.alias):
                        cursor.execute(script)
                        transaction.set_rollback(True, using=made.connection.alias)
    for seen in watch.seen:
        assert seen.error == ""
        for one in seen.touched:
            known = found.setdefault((seen.migration, one.table), Truth())
            known.lock, known.rewrites = strongest((known.lock, one.lock)), known.rewrites or one.rewrites
    return found


@pytest.mark.parametrize("rows", [100, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_rehearsal__of_a_migration__takes_the_locks_and_writes_anew_what_the_real_run_does(new_database, rows):
    database = new_database()
    with database.connect() as connection:
        connection.execute(SETUP)
        connection.execute(
            """INSERT INTO patients SELECT n, n || '@example.org', n, 'f', now(), 1, '', '', false
               FROM generate_series(101, %s) AS n""",
            [rows],
        )
        connection.execute(
            """CREATE FUNCTION refer() RETURNS void LANGUAGE sql AS
               'ALTER TABLE patients ADD CONSTRAINT f FOREIGN KEY (clinic) REFERENCES clinics NOT VALID'"""
        )
        told, done = foretold(database), {}
        for name, script in MIGRATIONS.items():
            for table in ("patients",) if "CONCURRENTLY" in script else ("patients", "clinics"):
                look = truth_alone if "CONCURRENTLY" in script else truth
                it = look(database if look is truth_alone else connection, script, table=table)
                if it.lock:
                    done[name, table] = Truth(it.lock, it.rewrites)
    assert told == done
    assert {it.lock for it in done.values()} == set(Lock) - {Lock.NONE}
    assert {name for (name, _), it in done.items() if it.rewrites} == {
        "0002_value_for_each_row", "0003_type", "0007_block",
    }  # fmt: skip
    new_database.drop(database)


def test_watch__transactions_of_one_migration__each_is_told_what_it_did_itself(new_database):
    database = new_database()
    connection = connections[database.alias]

    def run(script, *, undone=False):
        with transaction.atomic(using=database.alias), connection.cursor() as cursor:
            cursor.execute(script)
            transaction.set_rollback(undone, using=database.alias)

    with database.admin() as keeper, database.connect() as owner:
        owner.execute("CREATE TABLE a (x int); CREATE TABLE b (x int)")
        watch = Watch(keeper)
        with watch.over(connection, "m"):
            run("ALTER TABLE a ALTER x TYPE bigint")
            run("COMMENT ON TABLE a IS 'a'")
            run("ALTER TABLE b ALTER x TYPE bigint", undone=True)
            run("COMMENT ON TABLE b IS 'b'")
            run("CREATE TABLE c (x int)")
            run("ALTER TABLE c ADD CONSTRAINT more CHECK (x > 0)")
            run("ALTER TABLE c RENAME x TO y")
            with catalog.looking():
                run("ALTER TABLE c RENAME y TO z", undone=True)
    told = [(one.table, one.lock, one.scans, one.rewrites) for seen in watch.seen for one in seen.touched]
    assert told == [
        ("a", Lock.ACCESS_EXCLUSIVE, True, True),
        ("a", Lock.SHARE_UPDATE_EXCLUSIVE, False, False),
        ("b", Lock.ACCESS_EXCLUSIVE, True, True),
        ("b", Lock.SHARE_UPDATE_EXCLUSIVE, False, False),
        ("c", Lock.ACCESS_EXCLUSIVE, True, False),
        ("c", Lock.ACCESS_EXCLUSIVE, False, False),
    ]
    new_database.drop(database)
