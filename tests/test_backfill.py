"""Backfills: dry runs, runs, resumption, bad rows, traffic, throttling, and the catalog that is left."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections

from moeen.db import backfill, catalog, public_ids, schema, version
from moeen.db.backfill import engine, throttle
from moeen.db.backfill.notes import Why
from moeen.db.backfill.pace import Limit, Pace
from moeen.db.errors import MoeenError
from moeen.db.security import signing
from tests import servers, states
from tests.states import snapshots

ROWS = 6_000
MISSING = "SELECT count(*) FROM patients WHERE public_id IS NULL"


@pytest.fixture(scope="session")
def adopted(new_database):
    """A database of state core with many patients, migrated, without ids; to be copied, never used."""
    database = states.database(new_database, "core")
    with database.connect() as connection:
        connection.execute(
            """
            INSERT INTO patients (id, first_name, last_name, email, phone)
            SELECT md5('more' || i)::uuid, 'Noor', 'Hadi ' || i, 'p' || i || '@example.test', repeat('5', 40)
            FROM generate_series(1, %s) AS i
            """,
            [ROWS],
        )
    call_command("migrate", database=database.alias, verbosity=0, no_backup="test", no_rehearsal="test")
    connections[database.alias].close()
    return database


@pytest.fixture
def database(new_database, adopted):
    made = states.copy(new_database, adopted)
    yield made
    new_database.drop(made)


@pytest.fixture
def sql(database):
    with database.connect() as connection:
        yield connection


def value(connection, query, *params):
    return connection.execute(query, params or None).fetchone()[0]


def run(database, *, tables=("patients",), **options):
    return run_items(database, backfill.public_id_backfills(tables), options)


def run_items(database, items, options):
    try:
        return backfill.run(connections[database.alias], items, backfill.Options(**options))
    finally:
        if threading.current_thread() is not threading.main_thread():
            connections[database.alias].close()


def command(database, *words):
    """(exit code, stdout, stderr)"""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("backfill_public_ids", *words, database=database.alias, stdout=out, stderr=err)
    except SystemExit as end:
        return end.code, out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


class Fill(backfill.Backfill):
    """A backfill of the tests' own table."""

    name = "test"
    table = "things"
    missing = "filled IS NULL"
    assignment = "filled = 'done'"


def run_things(database, **options):
    return run_items(database, [Fill()], options).tables[0]


# --- dry run -----------------------------------------------------------------------------------------------------


def test_dry_run__many_missing__says_so_ends_and_changes_nothing(database, sql):
    sql.execute("VACUUM")  # hint bits and the like are settled
    before, xid = snapshots.everything(sql), value(sql, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    code, out, _ = command(database, "--dry-run")
    # An id is given to every transaction that writes: none was.
    assert value(sql, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text") == xid
    assert snapshots.everything(sql) == before
    missing = value(sql, MISSING)
    assert code == 0
    assert f"{missing:,} missing" in out
    assert len([word for word in out.replace(",", " ").split() if word.startswith("pat_")]) == 3
    assert "NOT NULL" in out
    assert "WAL" in out


def test_dry_run__json__has_the_agreed_form(database, sql):
    code, out, _ = command(database, "--dry-run", "--json", "--table", "patients")
    total = value(sql, "SELECT count(*) FROM patients")
    assert code == 0
    assert json.loads(out) == {
        "version": version.project_version(),
        "dry_run": True,
        "complete": False,
        "tables": [
            {
                "table": "patients",
                "prefix": "pat_",
                "rows_total": total,
                "rows_missing": total,
                "rows_filled": 0,
                "batches": 0,
                "seconds": 0.0,
            }
        ],
    }


# --- a whole run -------------------------------------------------------------------------------------------------


def test_run__all_tables__fills_every_row_and_leaves_the_catalog_of_a_fresh_database(new_database, database, sql):
    before = snapshots.rows(sql)
    code, out, _ = command(database, "--json")
    report = json.loads(out)
    assert (code, report["complete"], report["dry_run"]) == (0, True, False)
    by_table = {table["table"]: table for table in report["tables"]}
    assert by_table.keys() == {model._meta.db_table for model in public_ids.PREFIXES.values()}
    assert by_table["patients"]["rows_filled"] == by_table["patients"]["rows_missing"] >= ROWS
    for table, row in by_table.items():
        ids = [one for (one,) in sql.execute(f'SELECT public_id FROM "{table}"')]
        assert all(public_ids.parse(one, prefix=row["prefix"]).form == "cuid2" for one in ids), table
        assert len(set(ids)) == len(ids)
    after = snapshots.rows(sql)
    assert [change for change in snapshots.changes(before, after) if change[2] != "public_id"] == []

    fresh = new_database.migrated()
    wanted, found = catalog.read(connections[fresh.alias]), catalog.read(connections[database.alias])
    assert schema.compare(wanted, found) == []
    assert snapshots.lines(connections[fresh.alias]) == snapshots.lines(sql)


def test_run__again__has_nothing_to_do(database, sql):
    run(database)
    before = snapshots.digest(sql, "patients"), value(sql, "SELECT count(*) FROM backfill_runs")
    (table,) = run(database).tables
    assert (table.rows_missing, table.rows_filled, table.batches, table.rows_left) == (0, 0, 0, 0)
    assert (snapshots.digest(sql, "patients"), value(sql, "SELECT count(*) FROM backfill_runs")) == before


def test_run__no_finalize__fills_and_leaves_the_guard(database, sql):
    code, _, _ = command(database, "--no-finalize", "--table", "patients")
    assert (code, value(sql, MISSING)) == (0, 0)
    nullable = (
        "SELECT is_nullable FROM information_schema.columns WHERE (table_name, column_name) = ('patients', 'public_id')"
    )
    assert value(sql, nullable) == "YES"
    assert command(database, "--table", "patients")[0] == 0
    assert value(sql, nullable) == "NO"


def test_run__audited_table__writes_one_entry_and_keeps_updated_at(database, sql):
    moments = sql.execute("SELECT id, updated_at FROM patients ORDER BY id").fetchall()
    entries = value(sql, "SELECT count(*) FROM audit_logs")
    run(database, workers=2, batch_size=500)
    # The suspension too, as a line that comes and goes.
    assert value(sql, "SELECT count(*) FROM audit_logs") == entries + 4
    (end, _), (action, values) = sql.execute(
        "SELECT action, new_values FROM audit_logs WHERE table_name = 'patients' ORDER BY created_at DESC LIMIT 2"
    ).fetchall()
    assert (action, values["rows"], values["columns"]) == ("BACKFILL", len(moments), ["public_id"])
    assert end == "AUDIT_RESUMED"
    assert sql.execute("SELECT id, updated_at FROM patients ORDER BY id").fetchall() == moments


def test_audit__suspension_asked_for_by_a_web_role__is_not_heard(database, sql):
    """Only who owns the table, and could drop the trigger, may suspend it."""
    entries = "SELECT count(*) FROM audit_logs WHERE table_name = 'patients' AND action = 'UPDATE'"
    sql.execute("GRANT SELECT, UPDATE ON patients TO moeen_staff")
    sql.execute("SELECT app.suspend_audit(md5('x')::uuid, 'patients', 'BACKFILL', '{}')")
    signer = signing.signer_for(sql, configured=None)
    for role, counted in (("none", 0), ("moeen_staff", 1), ("moeen_admin", 2)):
        with sql.transaction():
            sql.execute(
                "SELECT set_config('app.audit_suspended', md5('x')::uuid::text, true), set_config('role', %s, true), "
                "set_config('moeen.signature', %s, true)",
                [role, signer.sign(role=role, claims="")],
            )
            sql.execute("UPDATE patients SET phone = %s WHERE id = md5('more1')::uuid", [role])
        assert value(sql, entries) == counted, role


def test_run__database_with_ids_of_every_form__keeps_them(new_database):
    database = states.database(new_database, "full")
    call_command("migrate", database=database.alias, verbosity=0, no_backup="test", no_rehearsal="test")
    with database.connect() as connection:
        before = snapshots.rows(connection)
        assert command(database)[0] == 0
        changed = snapshots.changes(before, snapshots.rows(connection))
        assert {(column, old) for _, _, column, old, _ in changed} <= {("public_id", None)}
        assert changed


# --- stops and what follows --------------------------------------------------------------------------------------


def start(database, *words):
    return subprocess.Popen(
        [sys.executable, "manage.py", "backfill_public_ids", "--table", "patients", *words],
        cwd=servers.PROJECT,
        env={**os.environ, "DATABASE_URL": database.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, *, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def has_filled(sql, rows):
    """Whether the run has filled more rows than these."""
    return value(sql, "SELECT coalesce(max(rows_filled), 0) FROM backfill_runs") > rows


def count_changes(sql):
    """Let every change of a public id be counted, by row, however it comes about."""
    sql.execute(
        """
        CREATE TABLE changes (id uuid);
        ALTER TABLE changes ENABLE ROW LEVEL SECURITY;
        CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO changes VALUES (NEW.id); RETURN NULL; END $$;
        CREATE TRIGGER zz_note AFTER UPDATE OF public_id ON patients FOR EACH ROW
            WHEN (OLD.public_id IS DISTINCT FROM NEW.public_id) EXECUTE FUNCTION note_change();
        """
    )


def kill_and_resume(database, sql, *, kills, pause, words=()):
    """Kill so many runs at moments that ``pause()`` gives, then let one finish."""
    for _ in range(kills):
        filled = value(sql, "SELECT coalesce(max(rows_filled), 0) FROM backfill_runs")
        process = start(database, "--max-rows-per-second", "4000", "--batch-size", "100", "--target-ms", "20", *words)
        wait_for(partial(has_filled, sql, filled))
        time.sleep(pause())
        process.send_signal(signal.SIGKILL)
        process.communicate()
    return run(database).tables[0]


def assert_each_changed_once(sql, total):
    assert value(sql, MISSING) == 0
    assert value(sql, "SELECT count(*) FROM changes") == value(sql, "SELECT count(DISTINCT id) FROM changes") == total
    assert value(sql, "SELECT count(DISTINCT public_id) FROM patients") == total
    # One run, however often it was killed; what it says it filled is what it filled.
    assert sql.execute("SELECT status, rows_filled FROM backfill_runs").fetchall() == [("finished", total)]
    assert value(sql, "SELECT count(*) FROM audit_logs WHERE action = 'BACKFILL'") == 1


def test_run__killed_and_resumed__skips_no_row_and_changes_none_twice(database, sql):
    total = value(sql, "SELECT count(*) FROM patients")
    count_changes(sql)
    table = kill_and_resume(database, sql, kills=3, pause=lambda: 0.15)
    assert 0 < table.rows_filled < total
    assert_each_changed_once(sql, total)


def test_run__interrupted__says_so_keeps_its_place_and_exits_130(database, sql):
    process = start(database, "--max-rows-per-second", "1000")
    wait_for(lambda: value(sql, "SELECT coalesce(max(rows_filled), 0) FROM backfill_runs") > 0)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    status, position = sql.execute("SELECT status, position FROM backfill_runs").fetchone()
    assert status == "stopped"
    assert position > 0
    assert run(database).complete


def test_run__second_at_once__is_refused_and_names_the_first(database, sql):
    process = start(database, "--max-rows-per-second", "1000")
    try:
        wait_for(lambda: value(sql, "SELECT count(*) FROM backfill_runs") > 0)
        with pytest.raises(backfill.Busy, match="pid") as error:
            run(database)
        assert error.value.exit_code == 3
    finally:
        process.kill()
        process.communicate()
    assert run(database).complete


def test_run__connections_ended_by_the_server__goes_on(database, sql):
    total = value(sql, "SELECT count(*) FROM patients")
    count_changes(sql)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(run, database, max_rows_per_second=3000.0, batch_size=200, workers=2)
        for enough in (300, 1500):
            wait_for(partial(has_filled, sql, enough))
            sql.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'moeen backfill' AND datname = current_database()"
            )
        assert job.result(timeout=60).complete
    assert_each_changed_once(sql, total)


# --- rows that refuse --------------------------------------------------------------------------------------------


def test_run__rows_that_refuse__are_isolated_listed_and_mended_later(database, sql):
    sql.execute("ALTER TABLE patients ADD CONSTRAINT odd CHECK (last_name NOT IN ('Hadi 77', 'Hadi 4321')) NOT VALID")
    code, out, err = command(database, "--table", "patients")
    assert code == 3, err
    keys = [f"id={one}" for (one,) in sql.execute("SELECT id FROM patients WHERE public_id IS NULL").fetchall()]
    assert len(keys) == 2
    assert all(key in out and "odd" in out for key in keys), out
    assert "Hadi" not in out + err
    status, failures = sql.execute("SELECT status, failures FROM backfill_runs").fetchone()
    assert (status, {failure["row"] for failure in failures}) == ("incomplete", set(keys))

    code, out, err = command(database, "--table", "patients", "--json")
    assert (code, json.loads(out)["complete"]) == (3, False)
    assert all(key in err for key in keys)
    sql.execute("ALTER TABLE patients DROP CONSTRAINT odd")
    assert command(database, "--table", "patients")[0] == 0
    assert sql.execute("SELECT status, rows_filled = rows_missing FROM backfill_runs").fetchall() == [
        ("finished", True)
    ]


def test_run__every_row_refuses__gives_up_soon(database, sql):
    sql.execute("ALTER TABLE patients ADD CONSTRAINT odd CHECK (last_name IS NULL) NOT VALID")
    (table,) = run(database, batch_size=100).tables
    assert table.rows_filled == 0
    assert table.rows_left == table.rows_missing
    assert 0 < len(table.failures) <= 200


def test_run__trigger_that_undoes_the_change__is_seen_and_not_taken_for_success(database, sql):
    sql.execute(
        """
        CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER zz_skip BEFORE UPDATE ON patients FOR EACH ROW WHEN (OLD.last_name = 'Hadi 5')
            EXECUTE FUNCTION skip();
        """
    )
    (table,) = run(database).tables
    assert table.rows_left == 1
    assert ["undo" in failure.reason for failure in table.failures] == [True]


def test_run__owner_whom_row_security_binds__fails_instead_of_seeing_nothing(database, sql):
    sql.execute("ALTER TABLE patients FORCE ROW LEVEL SECURITY")
    with pytest.raises((MoeenError, psycopg.Error), match="row-level security"):
        run(database)
    sql.execute("ALTER TABLE patients NO FORCE ROW LEVEL SECURITY")
    assert value(sql, MISSING) > 0


def test_run__disk_full__says_so_and_goes_on_when_there_is_room(database, sql):
    """PL/pgSQL raises what the server does when it cannot extend a file."""
    sql.execute(
        """
        CREATE SEQUENCE written;
        CREATE FUNCTION fill_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('written') > 3000 THEN
                RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
            END IF;
            RETURN NEW; END $$;
        CREATE TRIGGER zz_full BEFORE UPDATE ON patients FOR EACH ROW EXECUTE FUNCTION fill_disk();
        """
    )
    with pytest.raises(psycopg.errors.DiskFull):
        run(database, batch_size=500, target_ms=1)
    status, filled, note = sql.execute("SELECT status, rows_filled, note FROM backfill_runs").fetchone()
    assert (status, "full" in note) == ("failed", True)
    assert 0 < filled <= 3000
    assert value(sql, "SELECT count(*) FROM patients WHERE public_id IS NOT NULL") == filled
    sql.execute("DROP TRIGGER zz_full ON patients")
    assert run(database).complete


# --- others at work ----------------------------------------------------------------------------------------------


def test_run__traffic_meanwhile__no_error_no_lost_change(database, sql):
    stop, errors, done = threading.Event(), [], {"update": 0, "insert": 0, "delete": 0}

    def traffic(seed):
        with database.connect() as connection:
            number = 0
            while not stop.is_set():
                number += 1
                try:
                    row = (number * 7 + seed * 1000) % ROWS + 1
                    done["update"] += connection.execute(
                        "UPDATE patients SET phone = 'changed' WHERE id = md5('more' || %s)::uuid", [row]
                    ).rowcount
                    # Code of the time before public ids knows no such column, or writes NULL into it.
                    connection.execute(
                        "INSERT INTO patients (first_name, last_name, public_id) VALUES ('New', 'Row', NULL)"
                    )
                    done["insert"] += 1
                    done["delete"] += connection.execute(
                        "DELETE FROM patients WHERE id = md5('more' || %s)::uuid", [(row + 3000) % ROWS + 1]
                    ).rowcount
                except psycopg.Error as error:
                    errors.append(error)

    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(traffic, seed) for seed in range(2)]
        options = {"batch_size": 100, "target_ms": 20, "max_rows_per_second": 4000.0}
        # Not finalized: after that, such a NULL is refused, as in a fresh database.
        (table,) = run(database, workers=2, finalize=False, **options).tables
        stop.set()
        for job in jobs:
            job.result()
    assert errors == []
    assert all(done.values())
    assert (table.rows_left, table.failures) == (0, ())
    assert value(sql, MISSING) == 0
    assert value(sql, "SELECT count(DISTINCT public_id) - count(*) FROM patients") == 0
    assert value(sql, "SELECT count(*) FROM patients WHERE phone = 'changed'") > 0


def test_run__row_locked_by_another_session__others_are_filled_and_it_is_waited_for(database, sql):
    with ThreadPoolExecutor(1) as pool:
        with database.connect() as other, other.transaction():
            other.execute("SELECT FROM patients WHERE id = md5('more9')::uuid FOR UPDATE")
            job = pool.submit(run, database)
            wait_for(lambda: value(sql, MISSING) == 1, seconds=40)
            assert not job.done()
        assert job.result(timeout=60).complete


def test_run__row_that_moved_past_the_bound__is_found_by_the_last_sweep(database, sql):
    """Without the guard's trigger an UPDATE carries the NULL on to a page that the first sweep never visits."""
    sql.execute(
        "CREATE TABLE things (id int PRIMARY KEY, filled text, pad text); ALTER TABLE things ENABLE ROW LEVEL SECURITY;"
        "INSERT INTO things SELECT i, NULL, repeat('x', 300) FROM generate_series(1, 2000) AS i"
    )
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(run_things, database, max_rows_per_second=1000.0, batch_size=50, target_ms=10)
        wait_for(lambda: value(sql, "SELECT count(*) FROM things WHERE filled IS NOT NULL") > 0)
        sql.execute("UPDATE things SET pad = pad || 'y' WHERE id > 1950 AND filled IS NULL")
        table = job.result(timeout=60)
    assert table.rows_left == 0
    assert value(sql, "SELECT sweep FROM backfill_runs") > 1


# --- tables of every kind ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "shown"), [("PRIMARY KEY (a, b)", "a=3, b=2"), ("PRIMARY KEY (t)", "at ("), ("CHECK (true)", "at (")]
)
def test_run__table_with_this_key__is_filled_and_names_a_bad_row(database, sql, key, shown):
    sql.execute(
        f"CREATE TABLE things (a int, b bigint, t text, filled text, {key});"
        "ALTER TABLE things ENABLE ROW LEVEL SECURITY;"
        "INSERT INTO things SELECT i / 5, i % 5, 'Noor ' || i FROM generate_series(0, 99) AS i;"
        "ALTER TABLE things ADD CONSTRAINT odd CHECK (t <> 'Noor 17' OR filled IS NULL)"
    )
    table = run_things(database)
    assert (table.rows_filled, table.rows_left) == (99, 1)
    assert [failure.row.startswith(shown) for failure in table.failures] == [True]


def test_run__empty_table__is_done_at_once(database, sql):
    sql.execute("CREATE TABLE things (id int, filled text); ALTER TABLE things ENABLE ROW LEVEL SECURITY")
    table = run_things(database)
    assert (table.rows_total, table.rows_left, table.batches) == (0, 0, 0)


def test_tables__unknown_name__is_wrong_usage(database):
    with pytest.raises(MoeenError, match="nothing_here") as error:
        command(database, "--table", "nothing_here")
    assert error.value.exit_code == 2


@pytest.mark.parametrize("words", [["--batch-size", "0"], ["--workers", "-1"], ["--target-ms", "x"], ["--bogus"]])
def test_command__wrong_option__exits_2(manage, words):
    assert manage("backfill_public_ids", *words).returncode == 2


def test_docs__the_backfill_in_ten_lines__works(database, sql):
    text = (servers.PROJECT / "docs" / "backfills.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    sql.execute("UPDATE patients SET phone = '+966 50-1' WHERE id = md5('more1')::uuid")
    expected = value(sql, "SELECT count(*) FROM patients WHERE phone ~ '[^0-9+]'")
    names = {"connection": connections[database.alias]}
    exec(code, names)
    assert (names["report"].complete, names["report"].tables[0].rows_filled) == (True, expected)
    assert value(sql, "SELECT phone FROM patients WHERE id = md5('more1')::uuid") == "+966501"


# --- pace --------------------------------------------------------------------------------------------------------


def test_pause_file__present__holds_the_run_until_it_is_gone(database, sql, tmp_path):
    file = tmp_path / "pause"
    file.touch()
    said = []
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(run, database, pause_file=file, tell=said.append)
        try:
            wait_for(lambda: sql.execute("SELECT 1 FROM backfill_runs WHERE status = 'paused'").fetchone())
            time.sleep(1.2)
            assert value(sql, "SELECT count(*) FROM patients WHERE public_id IS NOT NULL") == 0
        finally:
            file.unlink()
        assert job.result(timeout=60).complete
    assert any("waiting" in line and str(file) in line for line in said)


def test_pause__asked_for_by_an_operator__holds_the_run_until_taken_back(database, sql):
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(run, database, max_rows_per_second=1500.0, batch_size=50)
        wait_for(lambda: value(sql, "SELECT coalesce(max(rows_filled), 0) FROM backfill_runs") > 0)
        sql.execute("UPDATE backfill_runs SET pause_requested = true")
        try:
            wait_for(lambda: sql.execute("SELECT 1 FROM backfill_runs WHERE status = 'paused'").fetchone())
            time.sleep(0.5)
            filled = value(sql, "SELECT rows_filled FROM backfill_runs")
            time.sleep(1.0)
            assert value(sql, "SELECT rows_filled FROM backfill_runs") == filled
        finally:
            sql.execute("UPDATE backfill_runs SET pause_requested = false")
        assert job.result(timeout=60).complete


CANCEL = "INSERT INTO operator_requests (kind, subject) VALUES ('cancel_backfill', 'patients')"
ANSWER = "SELECT outcome FROM operator_requests"


@pytest.mark.parametrize("paused", ["by file", "by an operator", "no"])
def test_cancel__asked_for__ends_the_run_which_goes_on_when_it_is_called_again(database, sql, tmp_path, paused):
    file = tmp_path / "pause"
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(run, database, max_rows_per_second=1500.0, batch_size=50, pause_file=file)
        wait_for(lambda: has_filled(sql, 0))
        if paused == "by file":
            file.touch()
        sql.execute("UPDATE backfill_runs SET pause_requested = %s", [paused == "by an operator"])
        if paused != "no":
            wait_for(lambda: sql.execute("SELECT 1 FROM backfill_runs WHERE status = 'paused'").fetchone())
        sql.execute(CANCEL)
        with pytest.raises(engine.Cancelled, match="cancelled the backfill of patients") as caught:
            job.result(timeout=60)
    assert caught.value.exit_code == 3
    assert value(sql, ANSWER) == "done"
    assert sql.execute("SELECT status, note FROM backfill_runs").fetchone() == ("stopped", Why.CANCELLED)
    assert 0 < value(sql, MISSING) < ROWS
    sql.execute("UPDATE backfill_runs SET pause_requested = false")
    assert run(database).complete


def test_cancel__its_connection_was_lost_while_a_file_made_it_wait__ends_the_run(database, sql, tmp_path):
    file = tmp_path / "pause"
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(run, database, max_rows_per_second=1500.0, batch_size=50, pause_file=file)
        wait_for(lambda: has_filled(sql, 0))
        file.touch()
        wait_for(lambda: sql.execute("SELECT 1 FROM backfill_runs WHERE status = 'paused'").fetchone())
        sql.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'moeen backfill'")
        sql.execute(CANCEL)
        try:
            wait_for(lambda: value(sql, ANSWER) == "done")
        finally:
            file.unlink()
        with pytest.raises(engine.Cancelled):
            job.result(timeout=60)
    assert run(database).complete


def test_run__the_migration_of_requests_is_pending__needs_none(database, sql):
    sql.execute("ALTER TABLE operator_requests RENAME TO away")
    try:
        assert run(database).complete
    finally:
        sql.execute("ALTER TABLE away RENAME TO operator_requests")


def test_cancel__asked_for_while_nobody_was_at_work__does_not_end_the_next_run(database, sql):
    sql.execute(CANCEL)
    assert run(database).complete
    assert value(sql, ANSWER) == "failed"


def test_limit__rows_per_second__is_kept(database):
    started = time.monotonic()
    (table,) = run(database, max_rows_per_second=3000.0, workers=2, finalize=False).tables
    assert time.monotonic() - started > (table.rows_filled - 2 * 3000) / 3000
    assert table.seconds > 1.0


def test_pace__batches_too_slow_or_too_fast__aims_at_the_target():
    pace = Pace(rows=1000, density=10.0, target_seconds=0.5, rows_per_second=None)
    assert pace.pages == 100
    for _ in range(30):
        pace.took(pace.pages, pace.pages * 0.002)  # 2 ms a page
    assert 230 <= pace.pages <= 260
    pace.took(pace.pages, 100.0)
    assert pace.pages < 100
    for _ in range(100):
        pace.took(pace.pages, 1e-9)
    assert pace.pages == 5000  # 50,000 rows


def test_pace__others_at_work__batches_are_short_and_grow_again_afterwards():
    pace = Pace(rows=1000, density=10.0, target_seconds=0.5, rows_per_second=None)

    def settle():
        for _ in range(30):
            pace.took(pace.pages, pace.pages * 0.002)  # 2 ms a page
        return pace.pages

    assert settle() > 200
    pace.live = True
    assert settle() <= 12  # 20 ms
    pace.live = False
    assert settle() > 200
    short = Pace(rows=1000, density=10.0, target_seconds=0.005, rows_per_second=None)
    short.live = True
    for _ in range(30):
        short.took(short.pages, short.pages * 0.002)
    assert short.pages <= 4  # what was asked for is less than that


def test_throttle__use__grows_by_what_others_do_and_not_by_the_run(database, sql):
    # The server's sessions report what they did at most once a second; this makes them do so at once.
    flush = "SELECT pg_stat_force_next_flush()" if sql.info.server_version >= 150000 else "SELECT pg_sleep(1)"

    def use():
        sql.execute(flush)
        sql.execute("SELECT 1")
        return throttle.use(sql, "patients")

    before = use()
    run(database, batch_size=100, target_ms=10, finalize=False)
    assert use() == before
    sql.execute("SET enable_seqscan = off")
    sql.execute("SELECT FROM patients WHERE id = md5('more1')::uuid")
    assert use() == before + 1
    sql.execute("INSERT INTO patients (first_name, last_name) VALUES ('New', 'Row')")
    assert use() > before + 1


def test_run__table_in_use__is_noticed_and_forgotten(database, sql, monkeypatch):
    monkeypatch.setattr(engine, "LIVE_MEMORY_SECONDS", 1.5)
    monkeypatch.setattr(engine, "WATCH_SECONDS", 0.2)
    seen, stop = [], threading.Event()
    monkeypatch.setattr(Pace, "live", property(lambda pace: False, lambda pace, live: seen.append(live)), raising=False)

    def clients():
        with database.connect() as connection:
            connection.execute("SET enable_seqscan = off")
            while not stop.wait(0.05):
                connection.execute("SELECT FROM patients WHERE id = md5('more1')::uuid")

    with ThreadPoolExecutor(2) as pool:
        job = pool.submit(run, database, max_rows_per_second=600.0, batch_size=20, finalize=False)
        wait_for(lambda: seen and not seen[-1])
        client = pool.submit(clients)
        try:
            wait_for(lambda: seen[-1])
        finally:
            stop.set()
            client.result()
        wait_for(lambda: not seen[-1])
        assert not job.done()
        assert job.result(timeout=60).complete


def test_limit__spent__makes_the_next_one_wait():
    limit = Limit(1000.0)
    limit.spent(200)
    started = time.monotonic()
    limit.wait(threading.Event())
    assert 0.15 < time.monotonic() - started < 0.5


def test_throttle__lock_wait_dead_rows_archive__say_why(database, sql):
    limits = throttle.Limits(lock_wait_seconds=0.2)
    with database.connect() as holder, database.connect() as waiter, ThreadPoolExecutor(1) as pool:
        with holder.transaction():
            holder.execute("SELECT FROM patients WHERE id = md5('more1')::uuid FOR UPDATE")
            assert throttle.reason(sql, "patients", ROWS, [holder.info.backend_pid], limits) is None
            job = pool.submit(waiter.execute, "UPDATE patients SET phone = '1' WHERE id = md5('more1')::uuid")
            ours = [holder.info.backend_pid]
            wait_for(lambda: throttle.reason(sql, "patients", ROWS, ours, limits))
            assert throttle.reason(sql, "patients", ROWS, ours, limits).why is Why.LOCKS
            # Somebody else's lock is no reason.
            assert throttle.reason(sql, "patients", ROWS, [sql.info.backend_pid], limits) is None
        job.result(timeout=20)
    dead = throttle.Limits(dead_rows=-1e9)
    sql.execute("SELECT pg_stat_force_next_flush()" if sql.info.server_version >= 150000 else "SELECT 1")
    assert throttle.reason(sql, "patients", ROWS, [], dead).why is Why.DEAD_ROWS


@pytest.mark.parametrize(
    ("archived", "current", "queue"),
    [
        (None, "000000010000000000000005", 0),
        ("000000010000000000000004", "000000010000000000000005", 0),
        ("000000010000000000000004", "000000010000000000000045", 64),
        ("0000000100000000000000FF", "000000010000000100000002", 2),
        ("000000010000000000000009.partial", "00000001000000000000000B", 1),
    ],
)
def test_throttle__archive__counts_the_segments_between(archived, current, queue):
    assert throttle.unarchived(archived, current, 16 * 1024 * 1024) == queue


# --- reminting ---------------------------------------------------------------------------------------------------


def test_remint__dated_ids__get_new_ones_and_the_old_still_resolve(new_database):
    database = states.database(new_database, "full")
    call_command("migrate", database=database.alias, verbosity=0, no_backup="test", no_rehearsal="test")
    with database.connect() as sql:
        dated = dict(sql.execute("SELECT public_id, id FROM patients WHERE public_id ~ '^pat_[0-9]{8}_'").fetchall())
        others = sql.execute(
            "SELECT id, public_id FROM patients WHERE public_id !~ '^pat_[0-9]{8}_' ORDER BY 1"
        ).fetchall()
        assert dated
        assert others
        out = io.StringIO()
        before = snapshots.everything(sql)
        call_command("remint_public_ids", form="dated", dry_run=True, json=True, database=database.alias, stdout=out)
        found = {table["table"]: table["rows_missing"] for table in json.loads(out.getvalue())["tables"]}
        assert found["patients"] == len(dated)
        assert snapshots.everything(sql) == before
        err = io.StringIO()
        kept = set(sql.execute("SELECT id, public_id FROM audit_logs").fetchall())
        call_command("remint_public_ids", form="dated", database=database.alias, stdout=out, stderr=err)
        assert "audit_logs is append-only" in err.getvalue()
        assert kept <= set(sql.execute("SELECT id, public_id FROM audit_logs").fetchall())
        assert any(public_ids.parse(one).form == "dated" for _, one in kept if one)
        patients = public_ids.PREFIXES["pat_"].objects.using(database.alias)
        for old, row in dated.items():
            found = patients.get_by_public_id(old)
            assert found.pk == row
            assert public_ids.parse(found.public_id).form == "cuid2"
            assert public_ids.look_up(old, using=database.alias) == found
            assert patients.get_by_public_id(found.public_id) == found
        assert (
            sql.execute("SELECT id, public_id FROM patients WHERE id <> ALL (%s) AND public_id IS NOT NULL ORDER BY 1",
                        [list(dated.values())]).fetchall() == others
        )  # fmt: skip
        with pytest.raises(patients.model.DoesNotExist):
            patients.get_by_public_id("pat_20991231_999999")


def test_remint__audit_log_named__is_refused_with_the_reason_before_anything_changes(database, sql):
    before = snapshots.everything(sql)
    with pytest.raises(MoeenError, match="append-only") as error:
        call_command("remint_public_ids", form="dated", table=["patients", "audit_logs"], database=database.alias)
    assert (error.value.exit_code, error.value.next_step) == (2, "Leave it out.")
    assert snapshots.everything(sql) == before
