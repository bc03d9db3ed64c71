"""Backups: round trips, refusals, damage, failures in the middle. The long proofs are in test_backup_long.py."""

import errno
import hashlib
import json
import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from argparse import ArgumentTypeError
from pathlib import Path

import psycopg
import pyrage
import pytest
from django.db import connections

from moeen.db.backups import (
    before_migration,
    dump,
    encryption,
    manifest,
    origin,
    pg_restore,
    program_errors,
    restore,
    retention,
    store,
    tools,
    trust,
    verify,
)
from moeen.db.backups.content import read_content
from moeen.db.backups.login import Login
from moeen.db.errors import MoeenError
from moeen.db.explain import explain
from moeen.db.kinds import Kind
from moeen.db.server import places, programs
from sysadmin.management import arguments
from tests import backups, servers, states


@pytest.fixture(scope="module")
def filled(new_database):
    database = new_database()
    backups.fill(database)
    return database


@pytest.fixture(scope="module")
def kept(filled, tmp_path_factory):
    """A store with one backup of `filled`, for tests that only read it."""
    at = backups.place(tmp_path_factory.mktemp("kept"))
    return at, backups.take(filled, at)


@pytest.fixture(scope="module")
def keypair(tmp_path_factory):
    identity = pyrage.x25519.Identity.generate()
    path = tmp_path_factory.mktemp("key") / "key.txt"
    path.write_text(f"# a comment\n{identity}\n")
    return str(identity.to_public()), path


# -- round trips -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["custom", "directory", "encrypted"])
def test_round_trip__every_kind_of_column_and_object__no_finding(filled, tmp_path, keypair, form):
    at = backups.place(tmp_path)
    options = {"custom": {"jobs": 1}, "directory": {"jobs": 2}, "encrypted": {"recipients": [keypair[0]]}}[form]
    taken = backups.take(filled, at, **options)
    report = verify.prove(at, taken.id, identity=keypair[1])
    assert report.findings == ()
    assert report.checked["rows"] == taken.rows == 401
    for kind in ("policy", "grant", "constraint", "index", "trigger", "view", "function", "sequence values", "digests"):
        assert report.checked[kind] > 0, kind
    assert at.verification(taken.id).ok
    assert (at.manifest(taken.id).format == "directory") == (form == "directory")


def test_round_trip__other_version__no_finding(server_versions, new_database, tmp_path):
    database = new_database(server=server_versions)
    backups.fill(database, rows=20)
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    assert at.manifest(taken.id).major == programs.major_of(server_versions.bin_dir)
    report = verify.prove(at, taken.id)
    assert report.findings == ()
    new_database.drop(database)


def test_round_trip__hosted_platform__its_schemas_left_out_and_stood_in_for(new_database, tmp_path):
    database = new_database()
    with database.admin() as connection:
        connection.execute("CREATE SCHEMA auth")
        connection.execute("CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS 'SELECT NULL::uuid'")
        connection.execute("CREATE TABLE auth.users (secret text)")
        connection.execute("GRANT USAGE ON SCHEMA auth TO moeen")
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (id uuid); ALTER TABLE t ENABLE ROW LEVEL SECURITY")
        connection.execute("CREATE POLICY own ON t USING (id = (SELECT auth.uid()))")
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    assert taken.left_out == ("auth",)
    report = verify.prove(at, taken.id)
    assert report.findings == ()
    assert report.checked["policy"] == 1


def test_round_trip__index_that_was_never_finished__no_finding(new_database, tmp_path):
    """CREATE INDEX CONCURRENTLY leaves one where it fails, and has one while it works; pg_dump writes none."""
    database = new_database()
    with database.connect() as connection:
        connection.execute("CREATE TABLE notes AS SELECT 1 AS n FROM generate_series(1, 2)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("CREATE UNIQUE INDEX CONCURRENTLY notes_n ON notes (n)")
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    assert verify.prove(at, taken.id, live=connections[database.alias]).findings == ()


def test_round_trip__partitions_by_an_enums_hash_and_a_trigger_off_in_one__no_finding(new_database, tmp_path):
    """The rows lie in other partitions elsewhere. Several jobs would switch the trigger off before it is made."""
    database = new_database()
    with database.connect() as connection:
        connection.execute(
            """
            CREATE SCHEMA a;
            CREATE TYPE a.mood AS ENUM ('calm', 'ok', 'سعيد');
            CREATE TABLE a."Felt; --" (feeling a.mood, n int) PARTITION BY HASH (feeling);
            CREATE TABLE a.felt_0 PARTITION OF a."Felt; --" FOR VALUES WITH (MODULUS 2, REMAINDER 0);
            CREATE TABLE a.felt_1 PARTITION OF a."Felt; --" FOR VALUES WITH (MODULUS 2, REMAINDER 1)
                PARTITION BY LIST (n);
            CREATE TABLE a.felt_1_all PARTITION OF a.felt_1 DEFAULT;
            INSERT INTO a."Felt; --" SELECT f, n FROM generate_series(1, 30) n, unnest(enum_range(NULL::a.mood)) f;
            CREATE FUNCTION a.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
            CREATE TABLE a.kept (n int) PARTITION BY LIST (n);
            CREATE TABLE a.kept_1 PARTITION OF a.kept DEFAULT;
            CREATE TRIGGER touch BEFORE UPDATE ON a.kept FOR EACH ROW EXECUTE FUNCTION a.touch();
            ALTER TABLE a.kept_1 DISABLE TRIGGER touch;
            """
        )
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    report = verify.prove(at, taken.id, jobs=2, live=connections[database.alias])
    assert report.findings == ()
    assert report.checked["rows"] == 90
    done = restore.put_back(at, taken.id, restore.target_named(connections[database.alias], "felt"), jobs=2)
    database.target.drop("felt")
    assert (done.findings, done.rows) == ((), 90)


@pytest.mark.parametrize(("place", "state"), [("here", "fresh"), ("here", "full"), ("supabase", "core")])
def test_round_trip__every_start_state__no_finding(new_database, tmp_path, place, state):
    database = states.database(new_database, state, place=place)
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    assert ("auth" in taken.left_out) == (place == "supabase")
    assert verify.prove(at, taken.id).findings == ()
    new_database.drop(database)


@pytest.mark.parametrize("storage", ["memory"])
def test_round_trip__storage_that_is_no_folder__no_finding(filled, settings, storage):
    settings.STORAGES = settings.STORAGES | {"far": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    at = store.of("far")
    assert at.folder is None
    taken = backups.take(filled, at)
    assert at.ids() == [taken.id]
    assert verify.prove(at, taken.id).findings == ()
    assert at.verification(taken.id).ok
    at.delete(taken.id)
    assert at.ids() == []


def test_store__several_made_in_one_second__their_ids_keep_the_order(tmp_path):
    at = backups.place(tmp_path)
    made = []
    for _ in range(20):
        with at.making() as (backup_id, _staging):
            made.append(backup_id)
    assert (at.ids(), len({backup_id[:16] for backup_id in made}) <= 2) == (made, True)


def test_storage__fails_before_the_manifest__no_backup(filled, settings):
    settings.STORAGES = settings.STORAGES | {"far": {"BACKEND": "tests.test_backup.Failing"}}
    at = store.of("far")
    with pytest.raises(OSError, match="manifest"):
        backups.take(filled, at)
    assert at.ids() == []
    assert at.storage.listdir("")[0] != []


def test_storage__manifest_deleted__listed_as_damaged(filled, settings):
    settings.STORAGES = settings.STORAGES | {"far": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    at = store.of("far")
    taken = backups.take(filled, at)
    at.storage.delete(f"{taken.id}/manifest.json")
    (entry,) = retention.entries(at)
    assert (entry.id, entry.damage) == (taken.id, "manifest.json: it is missing")
    report = verify.prove(at, origin.chosen(at, "latest", target=origin.Origin("any")))
    assert [(finding.object, finding.kind) for finding in report.findings] == [("manifest.json", Kind.FILE_DAMAGED)]


def Failing():  # noqa: N802 - stands for a storage's class
    from django.core.files.storage import InMemoryStorage

    class Storage(InMemoryStorage):
        def _save(self, name, content):
            if name.endswith("manifest.json"):
                raise OSError("no manifest today")
            return super()._save(name, content)

    return Storage()


def test_encrypted__files_on_disk__hold_no_plain_text(filled, tmp_path, keypair):
    at = backups.place(tmp_path)
    taken = backups.take(filled, at, recipients=[keypair[0]])
    names = {path.name for path in backups.paths(at, taken.id)}
    assert names == {"manifest.json", "dump.custom.age", "content.json.age"}
    for path in backups.paths(at, taken.id):
        assert b"PGDMP" not in path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (key,) = encryption.identities(keypair[1])
    assert pyrage.decrypt((at.folder / taken.id / "dump.custom.age").read_bytes(), [key]).startswith(b"PGDMP")
    with pytest.raises(MoeenError, match="None of the identities"):
        verify.prove(at, taken.id, identity=_other_key(tmp_path))
    with pytest.raises(MoeenError, match="no identity was given"):
        verify.prove(at, taken.id)


def _other_key(folder):
    path = folder / "other.txt"
    path.write_text(str(pyrage.x25519.Identity.generate()))
    return path


def test_encrypt_to__malformed__refused_without_showing_a_secret(filled, tmp_path):
    secret = str(pyrage.x25519.Identity.generate())
    with pytest.raises(MoeenError) as caught:
        backups.take(filled, backups.place(tmp_path), recipients=[secret])
    assert caught.value.exit_code == 2
    assert secret[15:30] not in str(caught.value)
    with pytest.raises(MoeenError, match="no age recipient"):
        encryption.recipients(["age1nonsense"])


# -- a verification that can fail --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "kind", "named"),
    [
        ("UPDATE people SET note = 'other' WHERE id = 7", Kind.DIGEST, "public.people"),
        ("UPDATE people SET amount = amount::numeric(12, 3) WHERE id = 1", None, None),
        ("UPDATE people SET raw = '{\"a\": 1, \"a\": 2}' WHERE id = 8", Kind.DIGEST, "public.people"),
        ("UPDATE people SET ratio = ratio + 1e-9 WHERE id = 9", Kind.DIGEST, "public.people"),
        ("UPDATE people SET feeling = 'ok' WHERE id = 9", Kind.DIGEST, "public.people"),
        ("SELECT lo_from_bytea(0, 'x')", Kind.LARGE_OBJECTS, "large objects"),
        ("DELETE FROM visits WHERE id = 3", Kind.ROWS, "public.visits"),
        ("DROP POLICY staff_read ON people", Kind.INVENTORY, "policy public.people staff_read"),
        ("ALTER POLICY staff_read ON people USING (true)", Kind.INVENTORY, "policy public.people staff_read"),
        ("REVOKE SELECT ON people FROM backup_staff", Kind.INVENTORY_GRANT, "relation public.people to backup_staff"),
        ("GRANT DELETE ON visits TO backup_staff", Kind.INVENTORY_GRANT, "relation public.visits to backup_staff"),
        ("GRANT EXECUTE ON FUNCTION app.twice(integer) TO PUBLIC", Kind.INVENTORY_GRANT,
         "function app.twice(x integer) to PUBLIC"),
        ("DROP INDEX visits_v_idx", Kind.INVENTORY, "index public.visits_v_idx"),
        ("ALTER TABLE people DROP CONSTRAINT people_status_check", Kind.INVENTORY,
         "constraint public.people people_status_check"),
        ("ALTER TABLE people DISABLE ROW LEVEL SECURITY", Kind.INVENTORY, "table public.people"),
        ("ALTER TABLE people DISABLE TRIGGER people_touch", Kind.INVENTORY, "trigger public.people people_touch"),
        ("ALTER TABLE visits ALTER v SET NOT NULL", Kind.INVENTORY, "column public.visits.v"),
        ("SELECT nextval('visits_id_seq')", Kind.SEQUENCE_VALUE, "public.visits_id_seq"),
        ("CREATE OR REPLACE FUNCTION app.twice(x integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 0'",
         Kind.INVENTORY, "function app.twice(x integer)"),
    ],
)  # fmt: skip
def test_against_live__one_thing_changed__exactly_that_is_found(filled, kept, change, kind, named):
    at, taken = kept
    content = verify.content_of(at.folder / taken.id, at.manifest(taken.id), [])
    with filled.connect() as connection:
        dump.digests.prepare(connection)
        connection.execute("BEGIN")
        if "nextval" in change:
            connection.execute("CREATE TEMP TABLE IF NOT EXISTS keep AS SELECT last_value FROM public.visits_id_seq")
        connection.execute("SET LOCAL search_path = public")
        connection.execute(change)
        connection.execute("SET LOCAL search_path = ''")
        now = read_content(connection, dump.inventory.scope(connection))
        if "nextval" in change:
            connection.execute("SELECT setval('public.visits_id_seq', (SELECT last_value FROM keep))")
        connection.execute("ROLLBACK")
    rights = pg_restore.Rights(owners=True, superuser=True)
    found = verify.compare.compare(content, now, rights=rights, majors=(18, 18))
    if kind is None:
        assert found == []
    else:
        assert [(finding.kind, finding.object) for finding in found] == [(kind, named)]


def test_verify__resealed_after_damage_to_the_dump__found_by_the_restore(kept, tmp_path):
    at = backups.copy(kept[0], kept[1].id, tmp_path)
    root = tmp_path / kept[1].id
    data = (root / "dump.custom").read_bytes()
    (root / "dump.custom").write_bytes(data[: len(data) * 2 // 3])
    backups.seal(at, kept[1].id)
    report = verify.prove(at, kept[1].id)
    assert [(finding.object, finding.kind) for finding in report.findings] == [("dump.custom", Kind.RESTORE)]
    assert not at.verification(kept[1].id).ok


def test_verify__dump_of_other_rows_under_this_content__found_by_digest_and_count(new_database, kept, tmp_path):
    other = new_database()
    backups.fill(other, rows=199)
    second = backups.place(tmp_path / "second")
    taken = backups.take(other, second)
    at = backups.copy(kept[0], kept[1].id, tmp_path)
    root = tmp_path / kept[1].id
    (root / "dump.custom").write_bytes((tmp_path / "second" / taken.id / "dump.custom").read_bytes())
    backups.seal(at, kept[1].id)
    found = {(finding.object, finding.kind) for finding in verify.prove(at, kept[1].id).findings}
    assert ("public.people", Kind.ROWS) in found
    assert ("public.visits", Kind.ROWS) in found


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda dump: dump.unlink(), Kind.FILE_MISSING),
        (lambda dump: dump.write_bytes(dump.read_bytes() + b"x"), Kind.FILE_SIZE),
        (lambda dump: dump.write_bytes(bytes(reversed(dump.read_bytes()))), Kind.FILE_CHECKSUM),
        (lambda dump: dump.with_name("other").write_bytes(b"x"), Kind.FILE_UNEXPECTED),
    ],
)
def test_damage__one_sort__is_told_by_its_kind(kept, tmp_path, change, kind):
    at = backups.copy(kept[0], kept[1].id, tmp_path)
    change(tmp_path / kept[1].id / "dump.custom")
    assert [finding.kind for finding in verify.prove(at, kept[1].id).findings] == [kind]


def test_damage__200_random_ones__each_noticed_and_the_file_named(filled, kept, tmp_path):
    directory = backups.place(tmp_path / "directory")
    sources = [kept, (directory, backups.take(filled, directory, jobs=2))]
    for seed in range(200):
        chance = random.Random(seed)
        source, taken = sources[seed % 2]
        at = backups.copy(source, taken.id, tmp_path / str(seed))
        before = {path: path.read_bytes() for path in backups.paths(at, taken.id)}
        kind, names = backups.damage(at, taken.id, chance)
        if {path: path.read_bytes() for path in backups.paths(at, taken.id)} == before:
            continue  # two equal files were swapped
        report = verify.prove(at, taken.id)
        assert not report.ok, (seed, kind, names)
        assert {finding.object for finding in report.findings} & names, (seed, kind, names, report.findings)


# -- refusals ----------------------------------------------------------------------------------------------------


def test_take__role_under_row_security__refused_naming_the_table(new_database, tmp_path):
    database = new_database()
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
        connection.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    at = backups.place(tmp_path)
    assert backups.take(database, at).rows == 1  # the owner sees all
    with database.connect() as connection:
        connection.execute("ALTER TABLE t FORCE ROW LEVEL SECURITY")
    with pytest.raises(MoeenError, match=r"public\.t") as caught:
        backups.take(database, at)
    assert caught.value.exit_code == 3
    assert len(at.ids()) == 1


def test_take__another_one_running__refused_and_older_ones_stay(filled, tmp_path):
    at = backups.place(tmp_path)
    first = backups.take(filled, at)
    with filled.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", dump.LOCK)
        with pytest.raises(MoeenError, match="Another backup") as caught:
            backups.take(filled, at)
    assert caught.value.exit_code == 3
    assert backups.whole_ids(at) == [first.id]


def test_take__two_processes_at_once__one_or_both_end_well_and_nothing_is_half(filled, tmp_path):
    variables = {**os.environ, **backups.environment(filled, tmp_path / "backups")}
    both = [
        subprocess.Popen([sys.executable, "manage.py", "backup_database", "--json"], cwd=servers.PROJECT, env=variables,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]  # fmt: skip
    ends = [(process.communicate()[1], process.returncode) for process in both]
    assert {code for _, code in ends} <= {0, 3}
    assert any(code == 0 for _, code in ends)
    assert all("Another backup" in said for said, code in ends if code == 3)
    assert len(backups.whole_ids(backups.place(tmp_path / "backups"))) == sum(code == 0 for _, code in ends)


def test_tools__none_of_the_version__says_what_to_install(tmp_path):
    with pytest.raises(MoeenError) as caught:
        tools.find(29, tls=False)
    assert "postgresql-client-29" in caught.value.next_step
    (tmp_path / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 29.1'\n")
    (tmp_path / "pg_dump").chmod(0o755)
    with pytest.raises(MoeenError):  # pg_restore is missing
        tools.find(29, tls=False, folders=[tmp_path])
    (tmp_path / "pg_restore").touch()
    assert tools.find(29, tls=False, folders=[tmp_path]).version == "29.1"


def test_tools__folder_on_path_that_cannot_be_looked_into__passed_by(monkeypatch):
    """As root's own folders, which stay on PATH for whom root lends a shell. This one nobody can look into."""
    monkeypatch.setenv("PATH", f"/{'x' * 300}:{os.environ['PATH']}")
    assert tools.find(programs.MAJOR, tls=False).major == programs.MAJOR


def test_tools__without_tls__refused_or_lent_one_never_run_plain(monkeypatch):
    folder = programs.bin_dir(programs.MAJOR)
    if sys.platform.startswith("linux"):
        assert tools.find(programs.MAJOR, tls=True, folders=[folder]).preload is not None
    monkeypatch.setattr(tools, "_library_with_tls", lambda: None)
    with pytest.raises(MoeenError, match="no TLS"):
        tools.find(programs.MAJOR, tls=True, folders=[folder])
    assert tools.find(programs.MAJOR, tls=False, folders=[folder]).preload is None


@pytest.mark.parametrize("mode", ["require", "verify-full&sslrootcert=system"])
def test_take__unix_socket_and_sslmode__taken_as_migrate_does(filled, tmp_path, manage, mode):
    if not filled.target.host.startswith("/"):
        pytest.skip("the server of this session is not on a socket")
    folder = tmp_path / "backups"
    url = f"{filled.url}&sslmode={mode}"
    done = manage("backup_database", **backups.environment(filled, folder, DATABASE_URL=url))
    assert done.returncode == 0, done.stderr
    back = manage("restore_database", "latest", "--of", filled.name, "--to", f"{filled.name}_socket",
                  **backups.environment(filled, folder, DATABASE_URL=url))  # fmt: skip
    assert back.returncode == 0, back.stderr
    filled.target.drop(f"{filled.name}_socket")


def test_words__tools_without_tls__said_with_the_next_step():
    said = 'pg_dump: error: connection failed: sslmode value "require" invalid when SSL support is not compiled in'
    known = program_errors.failure("pg_dump", said, 1)
    assert "no TLS" in known.cause
    assert "postgresql-client" in known.next_step


def test_login__environment__the_password_and_nothing_of_the_callers(monkeypatch):
    monkeypatch.setenv("PGSSLMODE", "disable")
    monkeypatch.setenv("PGSERVICE", "elsewhere")
    login = Login({"host": "h", "port": "1", "user": "u", "dbname": "d", "sslmode": "require"}, "p:a\\ss", True)
    variables = login.environment(application="moeen test")
    assert variables["PGPASSWORD"] == "p:a\\ss"
    assert variables["PGSSLMODE"] == "require"
    assert "PGSERVICE" not in variables
    assert "p:a" not in repr(login)


# -- failures in the middle ----------------------------------------------------------------------------------------


def test_take__server_stops_in_the_middle__clear_error_and_older_ones_stay(new_database, tmp_path):
    server = servers.start()
    database = new_database(server=server)
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT n, md5(n::text) || md5((n + 1)::text) m FROM generate_series(1, 4e5) n"
        )
    at = backups.place(tmp_path)
    first = backups.take(database, at)
    stopper = threading.Timer(0.5, server.stop, kwargs={"mode": "immediate"})
    stopper.start()
    with pytest.raises((MoeenError, psycopg.Error, Exception)) as caught:
        backups.take(database, at)
    stopper.join()
    assert explain(caught.value) is not None
    assert backups.whole_ids(at) == [first.id]
    connections[database.alias].close()


def test_take__disk_fills_up__clear_error_and_older_ones_stay(filled, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    small = tmp_path / "small"
    small.mkdir()
    # Room for one backup and half of another.
    room = backups.take(filled, backups.place(tmp_path / "measure")).bytes * 3 // 2
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", small], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        at = backups.place(small)
        first = backups.take(filled, at)
        for options in ({}, {"recipients": [str(pyrage.x25519.Identity.generate().to_public())]}):
            with pytest.raises((MoeenError, OSError)) as caught:
                backups.take(filled, at, **options)
            known = explain(caught.value)
            assert known is not None, caught.value
            assert "full" in known.cause
            assert backups.whole_ids(at) == [first.id]
            assert [path.name for path in small.iterdir()] == [first.id]
    finally:
        subprocess.run(["umount", small], check=True)


def kill_somewhere(database, folder, *, seconds, chance):
    """Start a backup and kill it at a random moment of its life; True when it was still running."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "backup_database"], cwd=servers.PROJECT, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env={**os.environ, **backups.environment(database, folder)},
    )  # fmt: skip
    time.sleep(chance.uniform(0.2, seconds))
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return alive


def test_take__terminated__pg_dump_ended_and_nothing_left(filled, tmp_path):
    folder = tmp_path / "backups"
    # pg_stat_activity stays as it is within a transaction.
    with filled.connect() as holder, filled.connect() as watcher:
        holder.execute("BEGIN; LOCK TABLE visits IN ACCESS EXCLUSIVE MODE")
        process = subprocess.Popen(
            [sys.executable, "manage.py", "backup_database"], cwd=servers.PROJECT, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, env={**os.environ, **backups.environment(filled, folder)},
        )  # fmt: skip
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'moeen backup %%' AND datname = %s"

        def dumping(expected):
            deadline = time.monotonic() + 60
            while watcher.execute(query, [filled.name]).fetchone()[0] != expected and time.monotonic() < deadline:
                time.sleep(0.1)
            return watcher.execute(query, [filled.name]).fetchone()[0]

        assert dumping(1) == 1
        assert len(list(folder.iterdir())) == 1
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 130
        assert list(folder.iterdir()) == []
        holder.execute("ROLLBACK")
        assert dumping(0) == 0


@pytest.mark.parametrize("jobs", ["0", "33", "100000", "1" * 5000])
def test_jobs__beyond_reason__wrong_usage(jobs):
    with pytest.raises(ArgumentTypeError, match="no whole number from 1 to 32"):
        arguments.jobs(jobs)
    assert arguments.jobs("32") == 32


def test_take__more_files_than_a_manifest_names__one_file_and_several_jobs_refused(filled, tmp_path, monkeypatch):
    monkeypatch.setattr(dump, "PARALLEL_BYTES", 0)
    at = backups.place(tmp_path)
    assert at.manifest(backups.take(filled, at).id).format == "directory"
    monkeypatch.setattr(dump, "MOST_FILES", 2)
    assert at.manifest(backups.take(filled, at).id).format == "custom"
    with pytest.raises(MoeenError, match=r"more than 2 files.*Nothing was backed up") as caught:
        backups.take(filled, at, jobs=2)
    assert caught.value.exit_code == 2


def test_take__killed__never_mistaken_for_a_backup_and_swept_by_the_next(filled, tmp_path):
    folder = tmp_path / "backups"
    at = backups.place(folder)
    first = backups.take(filled, at)
    chance = random.Random(6)
    alive = sum(kill_somewhere(filled, folder, seconds=1.0, chance=chance) for _ in range(4))
    assert alive > 0
    assert first.id in backups.whole_ids(at)
    # What the killed one began may still be dumped by its orphan; its lock is gone all the same.
    backups.take(filled, at)
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_take__while_clients_write__restored_totals_keep_the_invariant(new_database, tmp_path):
    database = new_database()
    transfers(database, tmp_path, clients=8, accounts=2000)


def transfers(database, folder, *, clients, accounts, jobs=2):
    """Clients move money between accounts, each in one transaction with a line in a journal; the sum never changes."""
    with database.connect() as connection:
        connection.execute("CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL)")
        connection.execute("CREATE TABLE journal (id bigserial PRIMARY KEY, source int, target int, amount int)")
        connection.execute("INSERT INTO accounts SELECT n, 1000 FROM generate_series(1, %s) n", [accounts])
    stop = threading.Event()

    def work(seed):
        chance = random.Random(seed)
        with database.connect() as connection:
            while not stop.is_set():
                source, target = sorted(chance.sample(range(1, accounts + 1), 2))
                with connection.transaction():
                    connection.execute("UPDATE accounts SET balance = balance - 1 WHERE id = %s", [source])
                    connection.execute("UPDATE accounts SET balance = balance + 1 WHERE id = %s", [target])
                    connection.execute("INSERT INTO journal VALUES (DEFAULT, %s, %s, 1)", [source, target])

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(clients)]
    at = backups.place(folder)
    for worker in workers:
        worker.start()
    try:
        time.sleep(0.5)
        taken = backups.take(database, at, jobs=jobs)
        time.sleep(0.2)
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    report = verify.prove(at, taken.id)
    assert report.findings == ()
    target = backups.restored(at, taken, database)
    with target.connect() as connection:
        row = connection.execute(
            """
            SELECT (SELECT sum(balance) FROM accounts),
                   (SELECT sum(abs(a.balance - 1000 - coalesce(i.n, 0) + coalesce(o.n, 0))) FROM accounts a
                    LEFT JOIN (SELECT target, sum(amount) n FROM journal GROUP BY 1) i ON i.target = a.id
                    LEFT JOIN (SELECT source, sum(amount) n FROM journal GROUP BY 1) o ON o.source = a.id),
                   (SELECT count(*) FROM journal)
            """
        ).fetchone()
    assert row[:2] == (accounts * 1000, 0)
    assert row[2] > 0


# -- a verification leaves nothing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "code"), [("could not write: No space left on device", 1), ("server closed the connection", 1), ("", -9)]
)
def test_verify__stopped_by_its_machine__no_word_about_the_backup(kept, monkeypatch, tmp_path, said, code):
    """A full disk here must not have a good backup counted as a bad one, and pruned before others."""

    def stopped(*args, **options):
        raise program_errors.failure("pg_restore", said, code)

    at = backups.copy(kept[0], kept[1].id, tmp_path)
    monkeypatch.setattr(pg_restore, "restore", stopped)
    with pytest.raises(program_errors.Stopped) as caught:
        verify.prove(at, kept[1].id)
    assert caught.value.exit_code == 1
    assert at.verification(kept[1].id) == kept[0].verification(kept[1].id)


def test_verify__disk_nearly_full__ends_before_it_is_full_and_leaves_no_server(kept, monkeypatch, tmp_path):
    """A backup that unpacks to more than it tells, or a disk that the live server shares."""
    at = backups.copy(kept[0], kept[1].id, tmp_path)
    monkeypatch.setattr(places, "RESERVE_BYTES", 1 << 60)
    monkeypatch.setattr(places, "RESERVE_PART", 1)
    before = set(Path(tempfile.gettempdir()).glob("moeen-verify-*"))
    with pytest.raises(program_errors.Stopped, match="nearly full") as caught:
        verify.prove(at, kept[1].id)
    assert (caught.value.exit_code, "TMPDIR" in caught.value.next_step) == (1, True)
    assert at.verification(kept[1].id) == kept[0].verification(kept[1].id)
    assert set(Path(tempfile.gettempdir()).glob("moeen-verify-*")) <= before


def test_verify__outcome_cannot_be_kept__is_said(kept, monkeypatch):
    def full(self, name, fact):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store.Store, "record", full)
    report = verify.prove(kept[0], kept[1].id)
    assert report.ok
    assert "could not be kept beside the backup: No space left on device" in report.notes[-1]


def test_verify__killed__its_server_and_data_are_gone(filled, kept, tmp_path):
    variables = {**os.environ, **backups.environment(filled, kept[0].folder), "TMPDIR": str(tmp_path)}
    tmp_path.chmod(0o711)
    for parent in tmp_path.parents[:3]:
        if os.geteuid() == 0 and parent.stat().st_uid == 0 and str(parent) != "/tmp":
            parent.chmod(parent.stat().st_mode | 0o011)
    process = subprocess.Popen(
        [sys.executable, "manage.py", "verify_backup", kept[1].id], cwd=servers.PROJECT, env=variables,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("moeen-verify-*/data/postmaster.pid")) and time.monotonic() < deadline:
        time.sleep(0.02)
    (pid_file,) = tmp_path.glob("moeen-verify-*/data/postmaster.pid")
    process.kill()
    process.wait()
    while list(tmp_path.glob("moeen-verify-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.glob("moeen-verify-*")) == []
    assert not pid_file.exists()


# -- before a migration ---------------------------------------------------------------------------------------------


def test_before_migration__in_the_callers_transaction__a_backup_and_verified(filled, settings, tmp_path):
    settings.STORAGES = settings.STORAGES | {
        "backups": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "b"}}
    }
    settings.BACKUP_RECIPIENTS = []
    connection = connections[filled.alias]
    taken = before_migration(connection, label="before 0007", verified=True)
    at = store.of()
    assert at.manifest(taken.id).label == "before 0007"
    assert at.verification(taken.id).ok
    assert len(taken.sha256) == 64
    files = [path for path in backups.paths(at, taken.id) if path.name != "verified.json"]
    assert taken.bytes == sum(path.stat().st_size for path in files)
    connection.close()


def test_json__keys__as_promised(kept, manage, filled):
    variables = backups.environment(filled, kept[0].folder)
    done = manage("backup_database", "--json", "--label", "x", "--to", f"{kept[0].folder.parent}/other/", **variables)
    assert done.returncode == 0, done.stderr
    promised = "version id path bytes files rows fingerprint encrypted seconds"
    assert set(json.loads(done.stdout)) == set(promised.split())
    shown = manage("verify_backup", kept[1].id, "--json", **variables)
    assert shown.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    assert set(document) == {"version", "id", "ok", "checked", "findings", "notes", "seconds"}
    assert document["ok"] is True


def test_manifest__of_the_first_format__still_verifies(filled, tmp_path):
    """It had no fingerprint of the schema, and its one fingerprint was of everything in the content."""
    at = backups.place(tmp_path)
    taken = backups.take(filled, at)
    root = at.folder / taken.id
    paper = at.manifest(taken.id)
    content = json.loads((root / "content.json").read_text(encoding="utf-8"))
    del content["fingerprint"]
    (root / "content.json").write_text(json.dumps(content, ensure_ascii=False, sort_keys=True), encoding="utf-8")
    files = [manifest.file_of(root, root / file.path) for file in paper.files]
    older = manifest.Manifest(**vars(paper) | {"files": files, "fingerprint": paper.inventory, "version": 1})
    fields = json.loads(manifest.sealed(older))
    del fields["inventory"], fields["seal"], fields["system"], fields["purpose"]
    body = json.dumps(fields, indent=2, ensure_ascii=False, sort_keys=True).encode().removesuffix(b"\n}")
    seal = hashlib.sha256(body).hexdigest().encode()
    (root / "manifest.json").write_bytes(body + b',\n  "seal": "' + seal + b'"\n}\n')
    with pytest.raises(trust.Untrusted, match="is not signed"):
        verify.prove(at, taken.id)
    assert verify.prove(at, taken.id, unsigned="from before signatures").findings == ()
    assert at.manifest(taken.id).fingerprint == ""


def test_content__of_another_schema_or_fingerprint__is_told(filled, tmp_path):
    at = backups.place(tmp_path)
    taken = backups.take(filled, at)
    paper = at.manifest(taken.id)
    for changed in ({"fingerprint": "0" * 32}, {"inventory": "0" * 64}, {"rows": paper.rows + 1}):
        with pytest.raises(manifest.Damaged, match="another backup's"):
            verify.content_of(at.folder / taken.id, manifest.Manifest(**vars(paper) | changed), [])
