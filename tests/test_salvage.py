"""What cannot be restored: named by validate_schema and by a verification, and everything else brought back."""

import io
import json
import os
import re
from dataclasses import replace

import pytest
from django.db import connections

from moeen.db.backups import restore, verify
from moeen.db.errors import MoeenError
from moeen.db.kinds import Kind
from moeen.db.schema import restorable
from sysadmin.management.commands import migrate
from sysadmin.management.progress import Display
from tests import backups, forgeries

#: Each table with ten rows, and something on it that a restore fails at; `plain` and `later` are as they should be.
TABLES = """
    CREATE TABLE plain (id int PRIMARY KEY); INSERT INTO plain SELECT generate_series(1, 10);
    CREATE TABLE later (id int); INSERT INTO later SELECT generate_series(1, 10);

    CREATE FUNCTION upper_of(x text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper(x)';
    CREATE FUNCTION path_less(x text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = public
        AS 'SELECT upper_of(x)';
    CREATE TABLE indexed (x text); INSERT INTO indexed SELECT 'Fatimah' || n FROM generate_series(1, 10) n;
    CREATE INDEX indexed_idx ON indexed (path_less(x));
    CREATE TABLE checked (x text CONSTRAINT checked_x CHECK (path_less(x) > ''));
    COMMENT ON CONSTRAINT checked_x ON checked IS 'never empty';
    INSERT INTO checked SELECT 'Fatimah' || n FROM generate_series(1, 10) n;
    ALTER FUNCTION path_less(text) RESET search_path;

    CREATE FUNCTION stands(n int) RETURNS boolean LANGUAGE sql SET search_path = '' AS
        'SELECT EXISTS (SELECT FROM public.later WHERE id = n)';
    CREATE TABLE first (n int CONSTRAINT first_n CHECK (stands(n))); INSERT INTO first SELECT generate_series(1, 10);

    CREATE TABLE keyed (n int CONSTRAINT keyed_n REFERENCES plain); INSERT INTO keyed SELECT generate_series(1, 10);
"""
LOST = {"index public.indexed_idx", "constraint public.checked checked_x", "constraint public.keyed keyed_n"}


@pytest.fixture(scope="module")
def broken(new_database):
    database = new_database()
    with database.connect() as connection:
        connection.execute(TABLES)
    with database.admin() as admin:
        admin.execute("SET session_replication_role = replica; UPDATE keyed SET n = 7000 WHERE n = 10")
    return database


@pytest.fixture(scope="module")
def taken(broken, tmp_path_factory):
    at = backups.place(tmp_path_factory.mktemp("broken"))
    return at, backups.take(broken, at).id


def target(database):
    return restore.target_named(connections[database.alias], f"{database.name}_saved")


def test_live__what_a_restore_fails_at__is_found_beforehand(broken):
    findings, _ = restorable.findings(connections[broken.alias])
    assert {(f.object, f.kind) for f in findings} == {
        ("indexed.indexed_idx", Kind.NAME_LOST_ON_RESTORE),
        ("checked.checked_x", Kind.NAME_LOST_ON_RESTORE),
        ("first.first_n", Kind.ROWS_READ_ON_RESTORE),
        ("keyed.keyed_n", Kind.ORPHANS_UNDER_KEY),
    }


@pytest.mark.parametrize("jobs", [1, 3])
def test_verify__what_cannot_be_restored__all_of_it_with_cause_and_mending(taken, jobs):
    report = verify.prove(*taken, jobs=jobs)
    found = {f.object: f for f in report.findings}
    # Several jobs may have loaded what the check of `first` reads.
    lucky = {"rows of public.first"} if jobs > 1 else set()
    assert set(found) | lucky == LOST | {"rows of public.first", "rows of public.checked"}
    assert {f.kind for f in report.findings} == {Kind.RESTORE}
    assert "finds names by the search path" in found["index public.indexed_idx"].found
    assert "validate_schema" in found["constraint public.checked checked_x"].fix.pretty()
    assert found["constraint public.keyed keyed_n"].found.startswith("rows refer to none of the table that it names")
    assert "Fatimah" not in "".join(f.pretty() for f in report.findings)


def test_restore__without_salvage__fails_names_the_way_and_leaves_nothing(broken, taken):
    with pytest.raises(MoeenError, match=r"pg_restore failed: .*\n.*restore_database --salvage"):
        restore.put_back(*taken, target(broken))
    assert not target(broken).exists


def test_salvage__every_row_is_back_and_the_bill_names_the_rest(broken, taken):
    saved = replace(broken, name=f"{broken.name}_saved")
    done = restore.put_back(*taken, target(broken), salvaging=True, jobs=1)
    assert {loss.object: (loss.restored, loss.expected) for loss in done.bill} == dict.fromkeys(LOST, (10, 10))
    assert (done.rows, done.tables, done.findings) == (60, 6, ())
    assert any(note.startswith("rows of public.first: a check of the table fails") for note in done.notes)
    with saved.connect() as connection:
        query = "SELECT conname, convalidated FROM pg_constraint WHERE contype IN ('c', 'f') AND conrelid >= 16384"
        checks = dict(connection.execute(query).fetchall())
        assert checks == {"first_n": True, "checked_x": False, "keyed_n": False}
        row = connection.execute(
            "SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conname = 'checked_x'"
        ).fetchone()
        assert row == ("never empty",)
        # What the bill says makes it whole.
        mend = next(loss.mend for loss in done.bill if loss.object == "index public.indexed_idx")
        connection.execute("ALTER FUNCTION path_less(text) SET search_path = public")
        connection.execute(mend.partition("then here: ")[2])
        connection.execute("ALTER TABLE checked VALIDATE CONSTRAINT checked_x")
    broken.target.drop(saved.name)


def test_migrate__its_backup_cannot_be_restored_whole__says_what_and_a_verified_one_is_refused(
    broken, settings, tmp_path
):
    options = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = settings.STORAGES | {"backups": options}
    said = io.StringIO()
    command = migrate.Command(stderr=said)
    command.display = Display(command.stderr)
    assert command._back_up(connections[broken.alias], verified=False) in os.listdir(tmp_path)
    lines = [line for line in said.getvalue().splitlines() if "could not bring back" in line]
    assert (len(lines), any("keyed.keyed_n: orphans" in line for line in lines)) == (4, True)
    with pytest.raises(MoeenError, match="did not pass its verification"):
        command._back_up(connections[broken.alias], verified=True)


def test_salvage__something_stands_there__never_over_it(broken, taken):
    with pytest.raises(MoeenError, match="never takes the place") as caught:
        restore.put_back(*taken, restore.target_named(connections[broken.alias], broken.name), salvaging=True)
    assert caught.value.exit_code == 3


def test_salvage_command__bill_exit_code_and_log(broken, taken, manage):
    variables = backups.environment(broken, taken[0].folder)
    words = ("restore_database", taken[1], "--to", f"{broken.name}_saved", "--salvage")
    done = manage(*words, "--json", **variables)
    assert done.returncode == 3, done.stderr
    document = json.loads(done.stdout)
    assert document["ok"] is False
    assert {entry["object"] for entry in document["bill"]} == LOST
    log = (taken[0].folder.parent / "logs" / "backup.log").read_text(encoding="utf-8").splitlines()
    record, ended = map(json.loads, log[-2:])
    assert (record["message"], {entry["object"] for entry in record["bill"]}) == ("salvage", LOST)
    assert (ended["command"], ended["exit_code"]) == ("restore_database", 3)
    again = manage(*words, **variables)
    assert (again.returncode, "stands" in again.stderr) == (3, True)
    assert manage(*words, "--replace", **variables).returncode == 2
    broken.target.drop(f"{broken.name}_saved")
    shown = manage(*words, **variables)
    assert shown.returncode == 3
    assert re.search(r"^constraint public.keyed keyed_n +10 +10 +rows refer to none", shown.stdout, re.M)
    assert "THINGS NOT AS THEY WERE" in shown.stdout
    broken.target.drop(f"{broken.name}_saved")


#: What a superuser made, and a restore runs nothing of; `people` is as it should be, and `foreign_view` needs the rest.
BEYOND = """
    CREATE TABLE people (id int PRIMARY KEY); INSERT INTO people SELECT generate_series(1, 10);
    CREATE FOREIGN DATA WRAPPER clinic_wrapper; CREATE SERVER clinic_server FOREIGN DATA WRAPPER clinic_wrapper;
    CREATE USER MAPPING FOR PUBLIC SERVER clinic_server;
    CREATE FOREIGN TABLE far (id int DEFAULT 7, name text) SERVER clinic_server; COMMENT ON FOREIGN TABLE far IS 'away';
    GRANT SELECT ON far TO PUBLIC;
    CREATE VIEW foreign_view AS SELECT id FROM far;
    CREATE FUNCTION counted(int) RETURNS int LANGUAGE internal STRICT IMMUTABLE AS 'int4abs';
    CREATE CAST (text AS bytea) WITHOUT FUNCTION;
    CREATE FUNCTION quiet() RETURNS int LANGUAGE sql LEAKPROOF AS 'SELECT 1';
"""
UNMADE = {
    "foreign data wrapper clinic_wrapper", "server clinic_server", "foreign table far", "function in internal counted",
    "cast without function text as bytea", "leakproof function quiet",
}  # fmt: skip
BEYOND_LOST = {
    "foreign data wrapper clinic_wrapper", "server clinic_server",
    "user mapping USER MAPPING public SERVER clinic_server",
    "table public.far", "comment public.FOREIGN TABLE far", "acl public.TABLE far",
    "view public.foreign_view", "function public.counted(integer)", "cast CAST (text AS bytea)",
    "function public.quiet()",
}  # fmt: skip


@pytest.fixture(scope="module")
def beyond(new_database, tmp_path_factory):
    database = new_database()
    with database.admin() as admin:
        admin.execute(BEYOND)
        admin.execute(f'ALTER TABLE people OWNER TO "{database.owner}"')
    at = backups.place(tmp_path_factory.mktemp("beyond"))
    return database, at, backups.take(database, at).id


def test_beyond__what_no_restore_makes__is_found_in_the_live_database(beyond):
    findings, _ = restorable.findings(connections[beyond[0].alias])
    assert {f.object for f in findings if f.kind == Kind.MADE_BY_NO_RESTORE} == UNMADE


def test_beyond__verified__all_else_is_restored_and_each_is_named_with_its_cause(beyond):
    report = verify.prove(*beyond[1:])
    assert {f.object for f in report.findings} == BEYOND_LOST
    assert {f.kind for f in report.findings} == {Kind.RESTORE}
    assert report.checked["rows"] == 10


def test_beyond__restored_without_salvage__refused_before_anything_and_the_way_named(beyond):
    with pytest.raises(MoeenError, match=r"(?s)Nothing of it was run.*FOREIGN TABLE public far.*--salvage") as caught:
        restore.put_back(*beyond[1:], target(beyond[0]))
    assert caught.value.exit_code == 3
    assert not target(beyond[0]).exists


def test_beyond__salvaged__rows_are_back_and_the_bill_names_the_rest(beyond):
    done = restore.put_back(*beyond[1:], target(beyond[0]), salvaging=True)
    assert {loss.object for loss in done.bill} == BEYOND_LOST
    assert done.rows == 10
    beyond[0].target.drop(f"{beyond[0].name}_saved")


def test_beyond__nobody_known_has_signed_it__nothing_is_left_out(beyond, tmp_path):
    database, at, name = beyond
    copied = backups.copy(at, name, tmp_path)
    forgeries.reseal(copied.folder / name)
    assert [f.kind for f in verify.prove(copied, name, unsigned="by the test").findings] == [Kind.DUMP_CONTENTS]
    with pytest.raises(MoeenError, match="tampered"):
        restore.put_back(copied, name, target(database), salvaging=True, unsigned="by the test")
