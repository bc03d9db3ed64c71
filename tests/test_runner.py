"""The runner around migrate: one at a time, short locks, a plan, checks, a ledger."""

import dataclasses
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections, migrations, models
from django.db.migrations.loader import MigrationLoader

from moeen.db import catalog, lint, operations, schema, sql_files
from moeen.db.actions import Lock
from moeen.db.converge import declared, locks
from moeen.db.errors import MoeenError
from moeen.db.history import edits, files, ledger
from moeen.db.history.own_apps import own_apps
from moeen.db.migrate import invariants, plan, refusals, runner
from moeen.db.migrate.outline import outline
from moeen.db.migrate.states import State
from moeen.db.migrate.watch import Seen, Touched
from tests import servers, states

NO_BACKUP = {"no_backup": "test", "no_rehearsal": "test", "verbosity": 0}


@pytest.fixture(scope="module")
def migrated(new_database):
    """A fresh database at the newest schema, for reading and for copies."""
    return new_database.migrated()


@pytest.fixture
def copy(new_database, migrated):
    connections[migrated.alias].close()  # a template must not be in use
    database = states.copy(new_database, migrated)
    yield database
    new_database.drop(database)


def differences(expected, database):
    return schema.compare(catalog.read(connections[expected.alias]), catalog.read(connections[database.alias]))


def test_migrate__eight_runners_at_once__one_applies_and_none_fails(new_database, migrated):
    database = new_database()
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    environment = {**os.environ, "DATABASE_URL": database.url}
    runners = [
        subprocess.Popen(command, cwd=servers.PROJECT, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    outcomes = [(process.communicate(timeout=120)[1], process.returncode) for process in runners]
    assert [code for _, code in outcomes] == [0] * 8, outcomes
    with database.connect() as connection:
        assert connection.execute("SELECT array_agg(outcome) FROM migration_runs").fetchone() == (["done"],)
        twice = "SELECT app, name FROM django_migrations GROUP BY 1, 2 HAVING count(*) > 1"
        assert connection.execute(twice).fetchall() == []
    assert differences(migrated, database) == []


def test_migrate__another_runner_holds_the_lock__waits_then_names_it(copy, manage):
    with copy.connect(application_name="night shift") as connection:
        connection.execute("DELETE FROM django_migrations WHERE app = 'crm'")
        connection.execute("SELECT pg_advisory_lock(%s, %s)", (0x6D6F65, 1))
        done = manage("migrate", "--lock-wait", "0.2", DATABASE_URL=copy.url)
    assert done.returncode == 1
    assert "Another migration is running: pid" in done.stderr
    assert "night shift" in done.stderr


class Reader(threading.Thread):
    """A client at the desk: reads patients again and again, and remembers its longest wait."""

    def __init__(self, database):
        super().__init__(daemon=True)
        self.database, self.longest, self.stopped = database, 0.0, threading.Event()

    def run(self):
        with self.database.connect() as connection:
            while not self.stopped.is_set():
                started = time.monotonic()
                connection.execute("SELECT count(*) FROM patients")
                self.longest = max(self.longest, time.monotonic() - started)
                time.sleep(0.005)


def test_migrate__table_is_locked_all_the_time__gives_up_names_the_holder_and_holds_nobody(new_database, migrated):
    database = states.database(new_database, "core")
    policy = locks.Patience(lock_timeout_ms=300, tries=4, first_pause_s=0.02)
    token = locks.patience.set(policy)
    reader = Reader(database)
    try:
        with database.connect(application_name="reception") as holder:
            holder.execute("BEGIN")
            holder.execute("SELECT count(*) FROM patients")
            reader.start()
            with pytest.raises(locks.GaveUp) as gave_up:
                call_command("migrate", database=database.alias, **NO_BACKUP)
            reader.stopped.set()
            reader.join()
            holder.execute("ROLLBACK")
        assert "reception" in str(gave_up.value)
        assert "SELECT" not in gave_up.value.cause
        # One lock timeout, and what a busy machine adds.
        assert reader.longest < 0.3 + 0.3
        with database.connect() as connection:
            assert connection.execute("SELECT to_regclass('public.sessions') IS NOT NULL").fetchone() == (True,)
        call_command("migrate", database=database.alias, **NO_BACKUP)
    finally:
        locks.patience.reset(token)
    assert invariants.findings(connections[database.alias]) == []


def test_migrate__migration_fails__its_transaction_leaves_no_trace_and_a_second_run_goes_on(new_database, migrated):
    database = new_database()
    call_command("migrate", "sysadmin", "0003", database=database.alias, **NO_BACKUP)
    with database.connect() as connection:
        connection.execute("CREATE FUNCTION app.refuse_change() RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$")
        with pytest.raises(Exception, match="return type"):
            call_command("migrate", database=database.alias, **NO_BACKUP)
        trace = "SELECT to_regprocedure('app.audit_actor()') IS NULL"
        assert connection.execute(trace).fetchone() == (True,)
        connection.execute("DROP FUNCTION app.refuse_change()")
    call_command("migrate", database=database.alias, **NO_BACKUP)
    assert differences(migrated, database) == []


def test_migrate__backup_fails__nothing_is_migrated(new_database):
    database = states.database(new_database, "core")
    connection = connections[database.alias]
    before = catalog.read(connection)

    def broken(_):
        raise MoeenError("The disk of the backups is full.")

    from django.core.management.commands import migrate

    options = runner.MigrateOptions(backup=broken)
    with pytest.raises(MoeenError, match="disk of the backups"), runner.safely(migrate, options):
        migrate.Command().execute(**_options(database.alias))
    assert catalog.read(connection) == before


def _options(alias):
    names = ["app_label", "migration_name", "fake", "fake_initial", "plan", "check_unapplied", "run_syncdb", "prune"]
    base = {"verbosity": 0, "interactive": False, "skip_checks": True, "force_color": False, "no_color": False}
    return dict.fromkeys(names, False) | base | {"database": alias, "stdout": None, "stderr": None}


# --- the plan ---


def test_plan__core_database__names_locks_and_sizes_and_changes_nothing(new_database, manage):
    database = states.database(new_database, "core")
    before = catalog.read(connections[database.alias])
    done = manage("migrate", "--plan", "--json", DATABASE_URL=database.url)
    assert done.returncode == 0, done.stderr
    statements = json.loads(done.stdout)["statements"]
    retyping = next(s for s in statements if s["table"] == "patients" and '"created_at" TYPE' in s["sql"])
    assert (retyping["lock"], retyping["rewrites"], retyping["verdict"]) == ("ACCESS EXCLUSIVE", False, "short")
    assert retyping["blocks_reads"]
    assert retyping["bytes"] > 0
    assert not [s for s in statements if s["verdict"] == "blocking"]
    assert catalog.read(connections[database.alias]) == before

    filling = next(s for s in statements if "role" in s["columns"])
    with database.connect() as connection:
        (older,) = connection.execute("SELECT count(*) FROM users WHERE role = 'user'").fetchone()
    assert filling["table"] == "users"
    assert filling["changes"] >= older > 0
    fields = {field.name for field in dataclasses.fields(plan.PlannedStatement)}
    page = outline([plan.PlannedStatement(**{k: v for k, v in s.items() if k in fields} | {"lock": Lock(s["lock"])})
                    for s in statements]).pretty()  # fmt: skip
    assert f"users: {filling['changes']:,} rows, in {', '.join(filling['columns'])}" in page
    assert re.search(
        r"\n  patients \(\d+ rows, \d+ kB\): ACCESS EXCLUSIVE for an instant, read through while it is in use\n", page
    ), page
    assert (
        "How long: less than a second, beside what the new objects take.\n  An estimate by sizes: 100 MB read" in page
    )
    assert page.count("\n") < 90


def test_outline__large_tables__says_about_how_long():
    words = {"migration": "app.0001", "operation": "op", "sql": "x", "table": "t", "rows": 10**7, "lock": Lock.SHARE}
    reading = plan.PlannedStatement(**words, bytes=6000 * 1024 * 1024, scans=True)
    writing = plan.PlannedStatement(**words, bytes=3000 * 1024 * 1024, scans=True, rewrites=True)
    filling = plan.PlannedStatement(**words, bytes=0, changes=2_400_000)
    assert outline([reading, writing, filling]).seconds == 60 + 120 + 120
    assert "How long: about 5 min, beside" in outline([reading, writing, filling]).pretty()


def test_plan__nothing_pending__says_so(copy, manage):
    done = manage("migrate", "--plan", DATABASE_URL=copy.url)
    assert (done.returncode, done.stdout) == (0, "Planned operations:\n  No planned migration operations.\n")


def test_migrate__large_table_would_be_rewritten__is_refused_until_allowed(new_database, monkeypatch):
    database = states.database(new_database, "core")
    with database.connect() as connection:
        connection.execute("ALTER TABLE patients ALTER COLUMN phone TYPE text")
        connection.execute("ANALYZE patients")
    monkeypatch.setattr(plan, "THRESHOLD_ROWS", 10)
    with pytest.raises(plan.Blocking) as refused:
        call_command("migrate", database=database.alias, **NO_BACKUP)
    assert refused.value.exit_code == 3
    assert {s.table for s in refused.value.statements} == {"patients"}
    assert "--allow-blocking healthcare.0001_core_tables" in refused.value.next_step
    assert "django_migrations" not in catalog.read(connections[database.alias]).tables
    call_command("migrate", database=database.alias, allow_blocking=["healthcare.0001_core_tables"], **NO_BACKUP)


@pytest.mark.parametrize("answer", ["no", "yes"])
def test_migrate__reversing_on_a_terminal__asks_before_rows_are_lost(copy, monkeypatch, answer):
    with copy.connect() as connection:
        connection.execute("INSERT INTO crm_leads (name) VALUES ('A lead')")
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or answer)
    said = io.StringIO()
    if answer == "no":
        with pytest.raises(refusals.NotConfirmed) as refused:
            call_command("migrate", "crm", "zero", database=copy.alias, stderr=said, **NO_BACKUP)
        assert refused.value.exit_code == 3
    else:
        call_command("migrate", "crm", "zero", database=copy.alias, stderr=said, **NO_BACKUP)
    assert asked
    assert "table crm_leads" in said.getvalue()
    assert "crm_deals" not in said.getvalue()
    assert ("crm_leads" in catalog.read(connections[copy.alias]).tables) == (answer == "no")


@pytest.mark.parametrize(
    ("touched", "verdict"),
    [
        ([Touched("patients", Lock.SHARE, scans=True)], "blocking"),
        ([Touched("patients", Lock.SHARE_UPDATE_EXCLUSIVE, scans=True)], "ok"),
        ([Touched("patients", Lock.ACCESS_EXCLUSIVE)], "short"),
        ([Touched("patients", Lock.ACCESS_EXCLUSIVE, scans=True, rewrites=True)], "blocking"),
        ([Touched("users", Lock.ACCESS_EXCLUSIVE), Touched("patients", Lock.SHARE, scans=True)], "blocking"),
        ([Touched("brand_new", Lock.ACCESS_EXCLUSIVE, scans=True)], "ok"),
        ([], "ok"),
    ],
)
def test_classification__what_was_done_on_the_twin__gives_the_verdict(touched, verdict):
    sizes = {"patients": (5_000_000, 10**9), "users": (10, 8192)}
    tried = {("app.0001", "CALL rebuild()"): Seen("app.0001", "CALL rebuild()", tuple(touched))}
    (found,) = plan.classify("app.0001", "op", "CALL rebuild();", sizes, tried)
    assert found.verdict == verdict
    assert (found.table == "patients") == (verdict != "ok" or any(one.table == "patients" for one in touched))


def test_classification__not_tried_or_failed__is_told():
    sizes = {"patients": (5_000_000, 10**9)}
    (untried,) = plan.classify("app.0001", "op", "CALL rebuild()", sizes, {})
    (nothing_there,) = plan.classify("app.0001", "op", "CALL rebuild()", {}, {})
    seen = Seen("app.0001", "CALL rebuild()", error="no such column")
    (failed,) = plan.classify("app.0001", "op", "CALL rebuild()", sizes, {("app.0001", "CALL rebuild()"): seen})
    assert [untried.verdict, nothing_there.verdict, failed.verdict] == ["unknown", "ok", "fails"]


# --- what must hold after each migration ---


@pytest.mark.parametrize(
    ("break_it", "kind"),
    [
        ("ALTER TABLE patients DISABLE ROW LEVEL SECURITY", "table row security"),
        ("ALTER TABLE patients DROP CONSTRAINT patients_public_id_key", "missing constraint"),
        ("ALTER TABLE patients DROP CONSTRAINT patients_public_id_check", "missing constraint"),
        ("ALTER TABLE patients ADD CHECK (phone <> '') NOT VALID", "constraint not valid"),
        (
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'sessions_doctor_id_idx'::regclass",
            "index invalid",
        ),
    ],
)
def test_invariants__one_broken__is_found(copy, break_it, kind):
    assert invariants.findings(connections[copy.alias]) == []
    with copy.admin() as connection:
        connection.execute(break_it)
    assert [finding.kind for finding in invariants.findings(connections[copy.alias])] == [kind]


def test_states__models_that_are_asked_for__are_declared_as_among_all_models():
    state = MigrationLoader(None).project_state()
    part = State.of(state.clone())
    with connections["default"].schema_editor(collect_sql=True, atomic=False) as editor:
        for key in state.models:
            alone, among_all = (each.apps.get_model(*key) for each in (part, state))
            assert declared.compile_table(alone, editor) == declared.compile_table(among_all, editor)
    patient = "healthcare", "patient"
    assert "doctor" not in {model._meta.model_name for model in part.apps.get_model(*patient)._meta.apps.get_models()}
    after = part.clone()
    after.add_field(*patient, "extra", models.TextField(null=True), preserve_default=True)
    for changed, fields in ((part, 0), (after, 1)):
        names = [field.name for field in changed.apps.get_model(*patient)._meta.local_fields]
        assert names.count("extra") == fields


# --- the ledger ---


def test_ledger__fresh_run__every_migration_with_checksums(migrated):
    with migrated.connect() as connection:
        steps = connection.execute(
            "SELECT app, name, file_checksum, sql_checksum, outcome FROM migration_steps"
        ).fetchall()
        recorded = connection.execute("SELECT app, name FROM django_migrations").fetchall()
        (run,) = connection.execute("SELECT outcome, finished_at IS NOT NULL, error FROM migration_runs").fetchall()
    assert {step[:2] for step in steps} == set(recorded)
    assert all(len(file) == len(sql) == 64 and outcome == "applied" for _, _, file, sql, outcome in steps)
    assert run == ("done", True, "")


def test_ledger__file_edited_since__is_refused_then_accepted(copy, manage):
    with copy.connect() as connection:
        connection.execute("UPDATE migration_steps SET file_checksum = 'old' WHERE name = '0004_audit'")
    done = manage("migrate", DATABASE_URL=copy.url)
    assert done.returncode == 3
    assert "sysadmin.0004_audit" in done.stderr
    assert "--accept-changed sysadmin.0004_audit" in done.stderr
    assert manage("migrate", "--accept-changed", "sysadmin.0004_audit", DATABASE_URL=copy.url).returncode == 2
    accepted = manage("migrate", "--accept-changed", "sysadmin.0004_audit", "--reason", "typo", DATABASE_URL=copy.url)
    assert accepted.returncode == 0, accepted.stderr
    assert manage("migrate", DATABASE_URL=copy.url).returncode == 0


def test_ledger__migrated_by_the_form_that_an_edit_replaces__goes_on(copy, manage):
    edited = {
        (config.label, name): sorted(edit.replaces)
        for config in lint.project_apps()
        for name, edit in edits.read(Path(config.path) / "migrations").items()
    }
    assert ("chatbot", "0002_indexes") in edited
    with copy.connect() as connection:
        for (app, name), replaced in edited.items():
            change = "UPDATE migration_steps SET file_checksum = %s WHERE (app, name) = (%s, %s)"
            assert connection.execute(change, [replaced[0], app, name]).rowcount == 1
        last = MigrationLoader(None).graph.leaf_nodes("chatbot")[0]
        connection.execute("DELETE FROM django_migrations WHERE (app, name) = (%s, %s)", last)
    assert manage("migrate", "--no-backup", "test", DATABASE_URL=copy.url).returncode == 0
    assert files.are_unchanged(connections[copy.alias])
    done = manage("validate_schema", DATABASE_URL=copy.url)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("recorded", ["replaced", "current"])
def test_ledger__edited_further_than_edits_tell__is_refused_whichever_form_ran(copy, monkeypatch, recorded):
    """Both checksums of an edit are named: the file as it stands is excused, and nothing else in its name."""
    key = ("chatbot", "0002_indexes")
    edit = edits.read(Path(apps.get_app_config("chatbot").path) / "migrations")[key[1]]
    checksum = min(edit.replaces) if recorded == "replaced" else edit.by
    with copy.connect() as connection:
        change = "UPDATE migration_steps SET file_checksum = %s WHERE (app, name) = (%s, %s)"
        connection.execute(change, [checksum, *key])
    connection = connections[copy.alias]
    loader = MigrationLoader(connection)
    assert ledger.findings(connection, loader, labels=["chatbot"]) == []
    assert files.are_unchanged(connection)
    (operation,) = loader.disk_migrations[key].operations
    monkeypatch.setattr(operation, "texts", (operation.texts[0] + "-- a word", operation.texts[1]))
    (finding,) = ledger.findings(connection, loader, labels=["chatbot"])
    assert (finding.object, finding.found) == ("chatbot.0002_indexes", "edited")
    checksums = files._checksum
    monkeypatch.setattr(files, "_checksum", lambda path: "x" * 64 if path.stem == key[1] else checksums(path))
    assert not files.are_unchanged(connection)


@pytest.mark.slow
def test_migrate__reversing_off_a_terminal__wants_to_be_told_that_nobody_is_there(copy, manage):
    with copy.connect() as connection:
        connection.execute("INSERT INTO crm_leads (name) VALUES ('A lead')")
    planned = manage("migrate", "crm", "zero", "--plan", DATABASE_URL=copy.url)
    assert "Going back loses:\n  table crm_leads (about 1 rows)\n" in planned.stdout, planned.stdout
    refused = manage("migrate", "crm", "zero", "--no-backup", "test", DATABASE_URL=copy.url)
    assert refused.returncode == 3
    assert "table crm_leads" in refused.stderr
    assert "--no-input" in refused.stderr
    assert "crm_leads" in catalog.read(connections[copy.alias]).tables
    done = manage("migrate", "crm", "zero", "--no-backup", "test", "--no-input", DATABASE_URL=copy.url)
    assert done.returncode == 0, done.stderr


def test_plan__way_back__is_planned_and_guarded_as_the_way_forward(copy, monkeypatch, manage):
    """The reverse of an applied migration is asked of its own file, and of the states about it."""
    told = json.loads(manage("migrate", "crm", "0001", "--plan", "--json", DATABASE_URL=copy.url).stdout)
    planned = told["statements"]
    assert {s["migration"] for s in planned} >= {
        "crm.0002_indexes",
        "crm.0003_rls",
        "crm.0004_rls",
        "crm.0006_audit",
        "crm.0007_in_sight",
        "crm.0009_search",  # the way back of 0008_id_checks does nothing
    }
    assert any(s["table"] == "crm_leads" and s["lock"] == "ACCESS EXCLUSIVE" for s in planned)
    assert all(s["operation"].startswith("Reverse: ") for s in planned)
    with copy.connect() as connection:
        connection.execute("INSERT INTO crm_leads (name) SELECT 'A lead' FROM generate_series(1, 50)")
    monkeypatch.setattr(plan, "THRESHOLD_ROWS", 10)
    (file,) = MigrationLoader(None).disk_migrations["crm", "0003_rls"].operations
    rewrite = sql_files.Script("ALTER TABLE crm_leads ALTER COLUMN name TYPE text USING upper(name)")
    monkeypatch.setattr(file, "backwards", (rewrite,))
    with pytest.raises(plan.Blocking) as refused:
        call_command("migrate", "crm", "0002", database=copy.alias, interactive=False, verbosity=0, no_backup="test")
    assert {s.table for s in refused.value.statements} == {"crm_leads"}
    assert any("crm_leads, written anew" in s.pretty() for s in refused.value.statements)


def test_plan__table_never_analysed__is_counted(copy):
    with copy.connect() as connection:
        connection.execute("INSERT INTO crm_leads (name) SELECT 'A lead' FROM generate_series(1, 120000)")
        unknown = connection.execute("SELECT reltuples < 0 FROM pg_class WHERE relname = 'crm_leads'").fetchone()
    assert unknown == (True,)
    assert plan.large_tables_stand(connections[copy.alias])


def test_plan__history_changed__is_told(copy, manage):
    with copy.connect() as connection:
        connection.execute("UPDATE migration_steps SET file_checksum = 'old' WHERE name = '0004_audit'")
    done = manage("migrate", "--plan", DATABASE_URL=copy.url)
    assert done.returncode == 3
    assert "sysadmin.0004_audit" in done.stderr
    with copy.connect() as connection:
        connection.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('crm', '0999_future', now())")
    done = manage("migrate", "--plan", DATABASE_URL=copy.url)
    assert done.returncode == 3
    assert "newer version" in done.stderr


@pytest.mark.parametrize(
    "drift", ["ALTER TABLE users DISABLE ROW LEVEL SECURITY", "ALTER TABLE crm_leads DROP COLUMN notes"]
)
def test_migrate__nothing_pending_but_the_schema_drifted__fails_again_and_again(copy, manage, drift):
    with copy.connect() as connection:
        connection.execute(drift)
    for _ in range(2):
        done = manage("migrate", DATABASE_URL=copy.url)
        assert done.returncode == 3
        assert "validate_schema" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["nosuch"],
        ["crm", "9999"],
        ["--lock-wait", "-3"],
        ["--lock-wait", "soon"],
        ["--allow-blocking", "nodot"],
        ["--allow-blocking", "crm.0099_none"],
    ],
)
def test_migrate__what_is_not_there__is_wrong_usage(copy, manage, words):
    done = manage("migrate", *words, DATABASE_URL=copy.url)
    assert done.returncode == 2, done.stderr


def test_ledger__migration_of_a_newer_version__is_refused(copy, manage):
    with copy.connect() as connection:
        connection.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('crm', '0999_future', now())")
    done = manage("migrate", DATABASE_URL=copy.url)
    assert done.returncode == 3
    assert "crm.0999_future" in done.stderr
    assert "newer version" in done.stderr


def test_ledger__killed_run__is_marked_by_the_next(copy):
    connection = connections[copy.alias]
    ledger.write(connection, ledger.Run(from_version="x"))
    assert ledger.mark_interrupted(connection) == 1
    with copy.connect() as reader:
        assert ("interrupted",) in reader.execute("SELECT outcome FROM migration_runs").fetchall()


def test_half_adopted__recorded_table_missing__is_refused(copy, manage):
    with copy.connect() as connection:
        connection.execute("DROP TABLE messages")
        connection.execute("DELETE FROM django_migrations WHERE app = 'crm'")
    done = manage("migrate", DATABASE_URL=copy.url)
    assert done.returncode == 3
    assert "half adopted" in done.stderr
    assert "messages" in done.stderr


def test_own_apps__loader__are_the_four_apps(migrated):
    labels = own_apps(MigrationLoader(connections[migrated.alias]))
    assert labels == {"sysadmin", "healthcare", "chatbot", "crm"}


class Elsewhere(operations.CreateTable):
    """An operation of ours that is defined in another module."""


class Edited(migrations.Migration):
    operations = [Elsewhere("Extra", [("id", models.AutoField(primary_key=True))])]


def test_ledger__operation_defined_elsewhere__an_edited_migration_is_noticed(copy):
    connection = connections[copy.alias]
    migration = Edited("0001_extra", "extra")
    loader = MigrationLoader(connection)
    loader.disk_migrations["extra", "0001_extra"] = migration
    loader.applied_migrations["extra", "0001_extra"] = migration
    runner.accept_changed(connection, migration, reason="as it stands")
    assert "extra" in own_apps(loader)
    assert ledger.findings(connection, loader, labels=own_apps(loader)) == []
    with copy.connect() as direct:
        direct.execute("UPDATE migration_steps SET file_checksum = 'older' WHERE app = 'extra'")
    (found,) = ledger.findings(connection, loader, labels=own_apps(loader))
    assert (found.object, found.found) == ("extra.0001_extra", "edited")
