"""Restoring: into new, empty and full databases; the rollback steps of docs/rollback.md; lists, pruning, schedule."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from django.db import OperationalError, connections

from moeen.db.backups import (
    database_settings,
    dump,
    inventory,
    keys,
    manifest,
    origin,
    program_errors,
    restore,
    retention,
    store,
    swap,
    trust,
    verify,
)
from moeen.db.backups.login import Login
from moeen.db.backups.schedule import misread, schedule
from moeen.db.catalog import normal
from moeen.db.errors import MoeenError
from moeen.db.security import signing
from tests import backups, servers
from tests.states import snapshots


@pytest.fixture(scope="module")
def filled(new_database):
    database = new_database()
    backups.fill(database, rows=50)
    return database


@pytest.fixture(scope="module")
def kept(filled, tmp_path_factory):
    at = backups.place(tmp_path_factory.mktemp("kept"))
    return at, backups.take(filled, at)


def everything(database):
    with database.connect() as connection:
        # A list of varchar literals takes another form when it is dumped and read again.
        lines = {normal.expression(line) for line in snapshots.lines(connection)}
        return lines, snapshots.tables(connection), [
            connection.execute(
                f"""SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM "{name}" t"""
            ).fetchone()
            for name in snapshots.tables(connection)
        ]  # fmt: skip


def names(database):
    with database.admin() as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall()}


# -- restore_database ----------------------------------------------------------------------------------------------


def test_restore__into_a_name_that_does_not_stand__same_catalog_and_rows(filled, kept):
    # A name that libpq would take for parameters: nothing may be connected to that stands in it.
    target = backups.restored(*kept, replace(filled, name=f"host=nowhere.invalid {filled.name}"))
    assert everything(target) == everything(filled)
    filled.target.drop(target.name)


def test_restore__into_an_empty_database_of_a_url__through_the_command(filled, kept, new_database, manage):
    empty = new_database()
    done = manage("restore_database", kept[1].id, "--to", "env:TARGET_URL", "--json", TARGET_URL=empty.url,
                  **backups.environment(filled, kept[0].folder))  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["ok"] is True
    assert document["rows"] == kept[1].rows
    assert everything(empty) == everything(filled)
    new_database.drop(empty)


def test_restore__into_a_template__refused_before_anything(filled, kept, manage):
    done = manage("restore_database", kept[1].id, "--to", "template1", **backups.environment(filled, kept[0].folder))
    assert (done.returncode, "is a template" in done.stderr) == (3, True), done.stderr


def test_restore__over_rows__refused_and_nothing_changed(filled, kept, new_database, manage):
    full = new_database()
    with full.connect() as connection:
        connection.execute("CREATE TABLE precious AS SELECT 1 AS a")
    before = everything(full)
    done = manage("restore_database", kept[1].id, "--to", full.name, "--yes",
                  **backups.environment(filled, kept[0].folder))  # fmt: skip
    assert done.returncode == 3
    assert "not empty" in done.stderr
    other = manage("restore_database", kept[1].id, "--to", full.name, "--replace", "--yes", "--expect", full.name,
                   **backups.environment(filled, kept[0].folder))  # fmt: skip
    assert other.returncode == 3
    assert f"--of {filled.name}" in other.stderr
    ours = ["restore_database", kept[1].id, "--to", full.name, "--replace", "--of", filled.name]
    for words in (["--yes"], ["--yes", "--expect", filled.name]):
        hasty = manage(*ours, *words, **backups.environment(filled, kept[0].folder))
        assert hasty.returncode == 2
        assert f"--expect {full.name}" in hasty.stderr
    asked = manage(*ours,
                   **backups.environment(filled, kept[0].folder))  # fmt: skip
    assert asked.returncode == 2
    assert "--yes" in asked.stderr
    assert f"{kept[1].rows:,} rows, replaces {full.name}, which holds 1 rows" in asked.stderr
    assert everything(full) == before
    assert len(kept[0].ids()) == 1


def test_restore__replace__backed_up_swapped_and_the_old_one_kept(filled, kept, new_database, tmp_path):
    full = new_database()
    with full.connect() as connection:
        connection.execute("CREATE TABLE precious AS SELECT 1 AS a")
    at = backups.copy(kept[0], kept[1].id, tmp_path)
    # A session that is still connected is in the way, and ended.
    idle = full.connect()
    done = _put_back(at, kept[1].id, filled, full)
    assert idle.closed or not _answers(idle)
    assert everything(full) == everything(filled)
    assert everything(replace(full, name=done.kept))[1] == ["precious"]
    assert at.manifest(done.before).rows == 1
    full.target.drop(done.kept)


@pytest.mark.parametrize("written", [False, True])
def test_restore__drop_old__only_where_its_backup_holds_all(
    filled, kept, new_database, tmp_path, monkeypatch, capsys, written
):
    full = new_database()
    with full.connect() as connection:
        connection.execute("CREATE TABLE precious AS SELECT 1 AS a")
    real_swap = swap.swap

    def late(*words):
        if written:
            with full.connect() as connection:
                connection.execute("INSERT INTO precious VALUES (2)")
        return real_swap(*words)

    monkeypatch.setattr(swap, "swap", late)
    monkeypatch.setattr(restore, "target_named", lambda server, name, real=restore.target_named: real(
        connections[filled.alias], name))  # fmt: skip
    at = backups.copy(kept[0], kept[1].id, tmp_path)
    words = [
        kept[1].id,
        "--to",
        full.name,
        "--replace",
        "--drop-old",
        "--yes",
        "--expect",
        full.name,
        "--of",
        filled.name,
        "--from",
        str(at.folder),
    ]
    standing = names(full)
    try:
        call_command("restore_database", *words)
        code = 0
    except SystemExit as ended:
        code = ended.code
    said = capsys.readouterr()
    assert everything(full) == everything(filled)
    if not written:
        assert (code, names(full)) == (0, standing)
        return
    (old,) = names(full) - standing
    assert code == 3
    assert f"now {old}" in said.err
    assert "NOT dropped" in said.err
    assert "public.precious" in said.out
    with replace(full, name=old).connect() as connection:
        assert connection.execute("SELECT count(*) FROM precious").fetchone() == (2,)
    full.target.drop(old)


def _settings(database):
    with database.connect() as connection:
        found = inventory.settings(connection).settings
    return {role: set(entries) for role, entries in found.items()}


def test_restore__settings_of_the_database__lists_and_words_as_they_were(new_database, tmp_path):
    database = new_database()
    with database.connect() as connection:
        for words in (
            """search_path = "$user", public, "Odd, ""name", app""",
            "temp_tablespaces = ''",
            "datestyle = 'ISO, DMY'",
            "work_mem = '7MB'",
        ):
            connection.execute(f'ALTER DATABASE "{database.name}" SET {words}')
        connection.execute(f'ALTER ROLE moeen IN DATABASE "{database.name}" SET search_path = app, public')
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    target = backups.restored(at, taken, database)
    assert len(_settings(database)[""]) == 4
    assert _settings(target) == _settings(database)
    database.target.drop(target.name)


def test_restore__what_a_superuser_made__left_out_by_an_ordinary_role_and_told(new_database, tmp_path):
    database = new_database()
    with database.admin() as admin:
        admin.execute(
            f"""
            CREATE TABLE theirs (a int); INSERT INTO theirs VALUES (1); GRANT SELECT ON theirs TO "{database.owner}";
            CREATE PUBLICATION sent FOR TABLE theirs; COMMENT ON PUBLICATION sent IS 'to the branch';
            CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
            CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION noted();
            """
        )
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    assert verify.prove(at, taken.id).findings == ()
    name = f"{database.name}_back"
    done = restore.put_back(at, taken.id, restore.target_named(connections[database.alias], name))
    assert done.findings == ()
    assert "Left out, as a superuser makes them: event trigger noted, publication sent." in done.notes
    database.target.drop(name)


def test_restore__database_that_is_kept_from_changes__backed_up_and_replaced_as_others(new_database, tmp_path):
    database = new_database()
    with database.connect() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS a")
    with database.admin() as admin:
        admin.execute(f'ALTER DATABASE "{database.name}" SET default_transaction_read_only = on')
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    assert verify.prove(at, taken.id).findings == ()
    target = restore.target_named(connections[database.alias], database.name)
    done = restore.put_back(at, taken.id, target, replace_existing=True)
    assert done.findings == ()
    with database.connect() as connection:
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
    database.target.drop(done.kept)


def test_restore__setting_that_only_a_superuser_may_make__is_told(new_database, tmp_path):
    database = new_database()
    with database.admin() as connection:
        connection.execute(f"""ALTER DATABASE "{database.name}" SET app.word = 'a, b'""")
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    target = restore.target_named(connections[database.alias], f"{database.name}_back")
    done = restore.put_back(at, taken.id, target)
    assert done.findings == ()
    assert done.notes == ("Setting app.word could not be made here.",)
    database.target.drop(target.database)


def test_restore__setting_that_came_out_otherwise__is_a_finding(new_database, tmp_path, monkeypatch):
    database = new_database()
    with database.connect() as connection:
        connection.execute(f'ALTER DATABASE "{database.name}" SET search_path = public, app')
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    # One element in place of two: what a restore did before it knew lists.
    read = database_settings.elements
    monkeypatch.setattr(database_settings, "elements", lambda value: [value])
    target = restore.target_named(connections[database.alias], f"{database.name}_back")
    done = restore.put_back(at, taken.id, target)
    assert [(f.object, f.kind, f.found) for f in done.findings] == [
        ("search_path", "database setting", '"public, app"')
    ]
    assert read('"public, app"') == ["public, app"]
    assert read('"$user", public') == ["$user", "public"]
    assert read('""') == [""]
    database.target.drop(target.database)


def _put_back(at, backup_id, known, full):
    target = restore.target_named(connections[known.alias], full.name)
    return restore.put_back(at, backup_id, target, replace_existing=True, of=known.name)


def _answers(connection):
    try:
        connection.execute("SELECT 1")
    except Exception:
        return False
    finally:
        connection.close()
    return True


@pytest.mark.parametrize("failure", ["pg_restore", "findings", "rename", "second rename"])
def test_restore__replace_fails__the_old_one_stands_as_it_was(
    filled, kept, new_database, tmp_path, monkeypatch, failure
):
    full = new_database()
    with full.connect() as connection:
        connection.execute("CREATE TABLE precious AS SELECT 1 AS a")
    before, standing = everything(full), names(full)
    at = backups.copy(kept[0], kept[1].id, tmp_path)
    root = tmp_path / kept[1].id
    if failure == "pg_restore":
        data = (root / "dump.custom").read_bytes()
        (root / "dump.custom").write_bytes(data[: len(data) * 2 // 3])
        _reseal(at, root)
    elif failure == "findings":
        paper = json.loads((root / "content.json").read_text())
        paper["tables"]["public.visits"]["sum"] = "1"
        (root / "content.json").write_text(json.dumps(paper))
        _reseal(at, root)
    else:
        monkeypatch.setattr(swap, "SWAP_SECONDS", 0.0)
        taken = {"restoring": f"{full.name}_fresh", "before": filled.name}
        monkeypatch.setattr(swap, "name_for", lambda name, what: taken[what])
    sessions = []
    if failure == "second rename":
        rename = swap._rename

        def then_occupied(connection, name, kept):
            rename(connection, name, kept)
            if not sessions:
                # A superuser's session, which the restoring role may not end.
                sessions.append(filled.target.connect(f"{full.name}_fresh"))

        taken["before"] = f"{full.name}_old"
        monkeypatch.setattr(swap, "_rename", then_occupied)
    with pytest.raises(Exception):  # noqa: B017, PT011 - each fails in its own way
        _put_back(at, kept[1].id, filled, full)
    for session in sessions:
        _answers(session)
    assert everything(full) == before
    if failure == "second rename":
        # Who sits in the new one cannot be ended either: it stays, for the next restore to remove.
        assert names(full) == {*standing, f"{full.name}_fresh"}
        full.target.drop(f"{full.name}_fresh")
    assert names(full) == standing


@contextmanager
def swapping(filled, kept, full, folder):
    """A restore over `full` that waits in its swap for a session it may not end; and that session."""
    backups.copy(kept[0], kept[1].id, folder)
    with full.admin() as session:
        words = [
            sys.executable,
            "manage.py",
            "restore_database",
            kept[1].id,
            "--to",
            full.name,
            "--replace",
            "--yes",
            "--expect",
            full.name,
            "--of",
            filled.name,
        ]
        process = subprocess.Popen(
            words, cwd=servers.PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **backups.environment(filled, folder)},
        )  # fmt: skip
        try:
            _wait_for(filled, "query ILIKE 'ALTER DATABASE%%RENAME%%' AND state = 'active'", process)
            yield process, session
        finally:
            process.kill()
            process.communicate()


def _wait_for(database, condition, process):
    with database.admin() as connection:
        for _ in range(600):
            assert process.poll() is None, process.communicate()
            if connection.execute(f"SELECT 1 FROM pg_stat_activity WHERE {condition}").fetchone():
                return
            time.sleep(0.05)
    raise AssertionError(condition)


@pytest.mark.skipif("servers.session_target().server is None")
def test_restore__terminated_in_the_swap__undone_and_the_old_one_open(filled, kept, new_database, tmp_path):
    full = new_database()
    with full.connect() as connection:
        connection.execute("CREATE TABLE precious AS SELECT 1 AS a")
    before, standing = everything(full), names(full)
    with swapping(filled, kept, full, tmp_path / "store") as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 130
    assert names(full) == standing
    assert everything(full) == before
    new_database.drop(full)


@pytest.mark.skipif("servers.session_target().server is None")
def test_restore__killed_in_the_swap__the_old_one_open_and_the_copy_swept_by_the_next(
    filled, kept, new_database, tmp_path
):
    full = new_database()
    with full.connect() as connection:
        connection.execute("CREATE TABLE precious AS SELECT 1 AS a")
    before, standing = everything(full), names(full)
    said = []
    with swapping(filled, kept, full, tmp_path / "store") as (process, _):
        # Asked elsewhere: who connects to the database itself waits for the swap.
        (left,) = names(filled) - standing
        assert left.startswith(f"{full.name}_restoring_")
        # While it lives, what it makes is its own.
        assert swap.sweep(_login(filled), full.name, say=said.append) == []
        process.kill()
        process.wait()
        # The server ends what it was told to do, finds nobody to answer to, and takes it back.
        _gone(filled, "query ILIKE 'ALTER DATABASE%%RENAME%%'")
        assert everything(full) == before
    assert names(full) == {*standing, left}
    assert said == []
    target = restore.target_named(connections[filled.alias], full.name)
    done = restore.put_back(kept[0], kept[1].id, target, replace_existing=True, of=filled.name, say=said.append)
    assert left not in names(full)
    assert any(left in line for line in said)
    assert everything(full) == everything(filled)
    full.target.drop(done.kept)
    kept[0].delete(done.before)
    new_database.drop(full)


def _gone(database, condition):
    with database.admin() as connection:
        for _ in range(400):
            query = f"SELECT 1 FROM pg_stat_activity WHERE {condition} AND pid <> pg_backend_pid()"
            if not connection.execute(query).fetchone():
                return
            time.sleep(0.05)
    raise AssertionError(condition)


def _login(database):
    with database.connect() as connection:
        return Login.of(connection)


def test_doctor__database_shut__says_so_and_how_it_is_opened(filled, new_database, manage, tmp_path):
    shut = new_database()
    with filled.admin() as connection:
        connection.execute(f'ALTER DATABASE "{shut.name}" ALLOW_CONNECTIONS false')
    done = manage("doctor", **backups.environment(shut, tmp_path / "store"))
    assert done.returncode != 0
    assert f"ALTER DATABASE {shut.name} ALLOW_CONNECTIONS true" in done.stdout
    new_database.drop(shut)


def _reseal(at, root):
    backups.seal(at, root.name)


def test_restore__damaged_backup__refused_before_anything(filled, kept, tmp_path):
    at = backups.copy(kept[0], kept[1].id, tmp_path)
    path = tmp_path / kept[1].id / "dump.custom"
    path.write_bytes(path.read_bytes()[:-1])
    standing = names(filled)
    with pytest.raises(MoeenError, match=r"dump\.custom") as caught:
        restore.put_back(at, kept[1].id, restore.target_named(connections[filled.alias], "never_made"))
    assert caught.value.exit_code == 3
    assert names(filled) == standing


def test_restore__to_another_owner__objects_are_his_and_compare_alike(filled, kept):
    with filled.admin() as connection:
        connection.execute("CREATE ROLE other_owner LOGIN CREATEDB")
    try:
        target = restore.target_at(filled.target.url("other_restored", user="other_owner"))
        assert not target.exists
        done = restore.put_back(kept[0], kept[1].id, target)
        assert done.findings == ()
        assert any("belong to other_owner" in note for note in done.notes)
        assert any("belongs to other_owner; the one" in note for note in done.notes)
    finally:
        with filled.admin() as connection:
            connection.execute("DROP DATABASE IF EXISTS other_restored WITH (FORCE)")
            connection.execute("DROP ROLE other_owner")


@pytest.mark.parametrize("stands", [False, True])
def test_restore__another_one_to_that_database__refused_and_nothing_changed(filled, kept, stands):
    """Both would fill the same empty database, or fail in words about something else."""
    name = filled.name if stands else "two_at_once"
    standing = names(filled)
    target = restore.target_named(connections[filled.alias], name)
    with swap.alone(backups.login(filled).to("postgres"), name), pytest.raises(MoeenError, match="Another") as caught:
        restore.put_back(kept[0], kept[1].id, target, replace_existing=True)
    assert (caught.value.exit_code, names(filled)) == (3, standing)


def test_restore__by_a_superuser__the_database_stays_its_owners(new_database, tmp_path):
    """Only who owns it may make a schema there and, from 15 on, a table in public: migrate would end at the first."""
    database = new_database()
    with database.connect() as connection:
        connection.execute("CREATE TABLE notes AS SELECT 1 AS n")
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    target = restore.target_at(database.target.url(database.name))
    done = restore.put_back(at, taken.id, target, replace_existing=True)
    try:
        assert (done.findings, done.notes) == ((), ())
        with database.connect() as connection:
            connection.execute("CREATE TABLE more (n int); CREATE SCHEMA further")
    finally:
        database.target.drop(done.kept)


def test_restore__roles_missing_and_may_not_be_created__named_with_the_statement(filled, kept):
    with filled.admin() as connection:
        connection.execute("CREATE ROLE plain_owner LOGIN CREATEDB")
        connection.execute("ALTER ROLE backup_staff RENAME TO backup_staff_away")
    try:
        target = restore.target_at(filled.target.url("roles_missing", user="plain_owner"))
        with pytest.raises(MoeenError, match="backup_staff") as caught:
            restore.put_back(kept[0], kept[1].id, target)
        assert 'CREATE ROLE "backup_staff"' in caught.value.next_step
        assert "roles_missing" not in names(filled)
    finally:
        with filled.admin() as connection:
            connection.execute("ALTER ROLE backup_staff_away RENAME TO backup_staff")
            connection.execute("DROP ROLE plain_owner")


# -- docs/rollback.md ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def migrated(new_database):
    return new_database.migrated()


def documented(heading):
    """The `manage.py` lines of one section of docs/rollback.md, as lists of words."""
    text = (servers.PROJECT / "docs" / "rollback.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, flags=re.M | re.S)
    lines = re.findall(r"^(?:\S*python\S* )?manage\.py (.*)$", section[1], flags=re.M)
    return [shlex.split(line.partition("  #")[0]) for line in lines]


def run(manage, database, folder, words, **values):
    words = [values.get(word, word) for word in words]
    done = manage(*words, **backups.environment(database, folder))
    assert done.returncode == 0, (words, done.stderr, done.stdout)
    return done


@pytest.mark.slow
@pytest.mark.parametrize("heading", ["Reverse one migration", "Reverse an app", "Leave the public_id columns out"])
def test_rollback__documented_steps__run_as_written_and_forward_again(
    migrated, manage, tmp_path, new_database, heading
):
    database = new_database(template=migrated.name) if _release(migrated) else None
    before = everything(database)[0]
    steps = documented(heading)
    assert len(steps) >= 2, "the steps, and the way forward again"
    *back, forward = steps
    for words in back:
        run(manage, database, tmp_path / "backups", words)
    with database.connect() as connection:
        lines = snapshots.lines(connection)
        tables = snapshots.tables(connection)
    assert lines != before
    if heading == "Leave the public_id columns out":
        assert "patients" in tables
        assert not any(line.startswith("column public.patients.public_id ") for line in lines)
    if heading == "Reverse an app":
        assert not any(name.startswith("crm_") for name in tables)
        assert "patients" in tables
    run(manage, database, tmp_path / "backups", forward)
    assert everything(database)[0] == before
    new_database.drop(database)


def _release(database):
    """A database that somebody is connected to is no template."""
    connections[database.alias].close()
    return True


def signs(database, key):
    """Whether what is signed with the key is let through there."""
    signature = key.sign(role="moeen_service", claims="", expiry=int(time.time()) + 60)
    with database.connect() as owner, owner.transaction(force_rollback=True):
        owner.execute("SELECT set_config('role', 'moeen_service', true), set_config('moeen.signature', %s, true)",
                      [signature])  # fmt: skip
        return owner.execute("SELECT app.is_bound()").fetchone() == (True,)


def identity_keys(database):
    with database.connect() as owner:
        return signing.keys(owner)


def test_restore__of_a_migrated_database__signs_with_the_keys_of_its_place(migrated, new_database, tmp_path):
    """A copy has a key of its own; what is put back keeps those of today, the ones of the backup where none stand."""
    _release(migrated)
    original = new_database(template=migrated.name)
    at = backups.place(tmp_path)
    taken = backups.take(original, at)
    (first,) = identity_keys(original)

    target = restore.target_named(connections[original.alias], f"{original.name}_copy")
    done = restore.put_back(at, taken.id, target)
    copy = replace(original, name=target.database)
    (own,) = identity_keys(copy)
    assert own.id in " ".join(done.notes)
    assert own.text() not in f"{done.as_dict()}"
    seen = [signs(where, key) for where in (original, copy) for key in (first, own)]
    assert seen == [True, False, False, True]

    with original.connect() as owner:
        signing.replace(owner, [newest := signing.Key.new(), older := signing.Key.new()])
    target = restore.target_named(connections[original.alias], original.name)
    kept = restore.put_back(at, taken.id, target, replace_existing=True).kept
    assert identity_keys(original) == [newest, older]
    assert not signs(original, first)

    original.target.drop(kept)
    original.target.drop(original.name)
    done = restore.put_back(at, taken.id, restore.target_named(connections[original.alias], original.name))
    assert identity_keys(original) == [first]
    assert "key of its own" not in " ".join(done.notes)
    original.target.drop(copy.name)
    new_database.drop(original)


@pytest.mark.slow
def test_rollback__restore_the_backup__run_as_written(migrated, manage, tmp_path, new_database):
    _release(migrated)
    database = new_database(template=migrated.name)
    with database.connect() as connection:
        connection.execute("INSERT INTO settings (key, value) VALUES ('kept', '1')")
    folder = tmp_path / "backups"
    run(manage, database, folder, ["backup_database"])
    before = everything(database)
    with database.connect() as connection:
        connection.execute("DELETE FROM settings WHERE key = 'kept'")
    steps = documented("Restore the backup")
    assert any("--replace" in words for words in steps)
    for words in steps:
        run(manage, database, folder, words, ID=store.Store("", None, folder).ids()[0], moeen=database.name)
    assert everything(database) == before
    for name in names(database):
        if name.startswith(f"{database.name}_before"):
            database.target.drop(name)


# -- lists, pruning, schedule -----------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def entry(days, *, hours=0, verified=None, size=1000, database="d", **more):
    at = NOW - timedelta(days=days, hours=hours)
    name = f"{at:%Y%m%dT%H%M%SZ}-{database}"
    return retention.Entry(name, at, bytes=size, verified_ok=verified, database=database, **more)


def test_prune__days_weeks_months__newest_of_each_stays():
    found = [entry(day) for day in range(400)]
    gone = {item.id for item in retention.doomed(found, daily=7, weekly=4, monthly=12)}
    left = [item for item in found if item.id not in gone]
    assert [item.id for item in left[:7]] == [item.id for item in found[:7]]
    months = {(item.created_at.year, item.created_at.month) for item in left}
    assert len(months) == 12
    weeks = {item.created_at.isocalendar()[:2] for item in found[:22]}
    assert weeks <= {item.created_at.isocalendar()[:2] for item in left}
    assert len(left) <= 7 + 4 + 12


def test_prune__another_databases_backups__are_counted_by_themselves():
    ours, copies = [entry(day) for day in range(3)], [entry(day, database="copy") for day in range(3)]
    for item in copies:
        assert item not in retention.doomed([*ours, *copies], daily=3, weekly=0, monthly=0)
    gone = retention.doomed([*copies, *ours], daily=1, weekly=0, monthly=0)
    assert {item.database for item in gone} == {"d", "copy"}
    assert {ours[0].id, copies[0].id} & {item.id for item in gone} == set()


def test_list__newest_is_another_databases__speaks_of_ours():
    found = [entry(0, verified=True, database="copy"), entry(9, verified=True)]
    (said,) = retention.warnings(found, origin.Origin("d"), max_age=timedelta(hours=26), now=NOW)
    assert "9 days old" in said
    assert retention.warnings(found[:1], origin.Origin("d"), max_age=timedelta(hours=26), now=NOW) == [
        "There is no backup of d."
    ]


def test_list__newest_is_of_a_database_of_that_name_on_another_server__speaks_of_ours():
    found = [entry(0, verified=True, system="2"), entry(9, verified=True, system="1")]
    (said,) = retention.warnings(found, origin.Origin("d", "1"), max_age=timedelta(hours=26), now=NOW)
    assert "9 days old" in said


def test_prune_and_list__dated_in_the_future__told_kept_and_the_newest_of_none():
    """Made while a clock was wrong: for a year it would be the newest, and no alarm that backups are old be given."""
    ahead, found = entry(-300, verified=True), [entry(day, verified=True) for day in range(4, 8)]
    of, hours = origin.Origin("d"), {"max_age": timedelta(hours=26), "now": NOW}
    said = retention.warnings([ahead, *found], of, **hours)
    assert [line for line in said if "dated in the future" in line and ahead.id in line]
    assert [line for line in said if "4 days old" in line]
    assert "There is no backup of d." in retention.warnings([ahead], of, **hours)
    gone = retention.doomed([ahead, *found], daily=1, weekly=0, monthly=0, now=NOW)
    assert {ahead.id, found[0].id} & {item.id for item in gone} == set()
    # A minute between two machines is none.
    near = entry(0, hours=-1 / 60, verified=True)
    assert retention.warnings([near, *found], of, **hours) == []


def test_latest__dated_in_the_future__is_not_guessed_at(filled, kept, tmp_path):
    at = backups.place(tmp_path)
    source = kept[0].folder / kept[1].id
    shutil.copytree(source, at.folder / source.name)
    target = origin.Origin(filled.name)
    assert origin.chosen(at, "latest", target=target) == source.name
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y%m%dT%H%M%SZ}-abcdef"
    (at.folder / tomorrow).mkdir()
    paper = (at.folder / source.name / "manifest.json").read_bytes()
    (at.folder / tomorrow / "manifest.json").write_bytes(paper)
    with pytest.raises(MoeenError, match="dated in the future") as refused:
        origin.chosen(at, "latest", target=target)
    assert refused.value.exit_code == 3
    assert origin.chosen(at, tomorrow, target=target) == tomorrow


def test_prune__backup_that_is_being_read__stays_and_is_told(kept, tmp_path):
    at = backups.place(tmp_path)
    source = kept[0].folder / kept[1].id
    shutil.copytree(source, at.folder / source.name)
    (found,) = retention.entries(at)
    with at.opened(found.id) as folder:
        assert retention.delete(at, [found]) == []
        assert (folder / "manifest.json").is_file()
    assert retention.delete(at, [found]) == [found]
    assert at.ids() == []


@pytest.mark.parametrize("signature", [trust.UNSIGNED, trust.WRONG])
def test_prune_and_list__backups_that_nobody_known_has_signed__stand_for_no_other(signature):
    """Whoever may put something into the store could have honest ones pruned, or keep an alarm from being given."""
    honest = [entry(day, verified=True, signature=trust.SIGNED) for day in range(3)]
    forged = [entry(day, hours=-1, verified=True, signature=signature) for day in range(3)]
    assert retention.doomed([*honest, *forged], daily=3, weekly=0, monthly=0) == []
    change = entry(40, signature=trust.SIGNED, purpose=manifest.CHANGE)
    later = entry(1, verified=True, signature=signature, migrations=frozenset({("a", "0001")}))
    assert change not in retention.doomed([honest[0], change, later], daily=1, weekly=0, monthly=0, now=NOW)
    old = entry(9, verified=True, signature=trust.SIGNED)
    hours = {"max_age": timedelta(hours=26), "now": NOW}
    assert [said for said in retention.warnings([forged[0], old], origin.Origin("d"), **hours) if "9 days old" in said]
    assert "There is no backup of d that a known key has signed." in retention.warnings(
        forged, origin.Origin("d"), **hours
    )


def test_prune__nothing_to_keep__newest_and_last_verified_stay():
    found = [entry(1), entry(2), entry(3, verified=True), entry(4, verified=True), entry(5, damage="seal")]
    gone = retention.doomed(found, daily=0, weekly=0, monthly=0)
    assert [item.id for item in gone] == [found[3].id, found[1].id]


def test_prune__failed_its_verification__does_not_stand_for_its_day():
    good, bad = entry(1, hours=1, verified=True), entry(1, verified=False)
    gone = retention.doomed([entry(0), bad, good, entry(2, verified=True)], daily=2, weekly=0, monthly=0)
    assert bad.id in {item.id for item in gone}
    assert good.id not in {item.id for item in gone}


@pytest.mark.parametrize(
    ("found", "word"),
    [
        ([], "no backup"),
        ([entry(3, verified=True)], "old"),
        ([entry(0)], "never verified"),
        ([entry(0, verified=True), entry(1, verified=False)], "did not pass"),
        ([entry(0, verified=True, size=100), entry(1, verified=True)], "100 bytes"),
        ([entry(0, verified=True), entry(1, damage="seal")], "damaged"),
    ],
)
def test_list__something_worrying__warned_of(found, word):
    (said,) = [
        w for w in retention.warnings(found, origin.Origin("d"), max_age=timedelta(hours=26), now=NOW) if word in w
    ]
    assert said.endswith(".")
    fine = [entry(0, verified=True), entry(1, verified=True)]
    assert retention.warnings(fine, origin.Origin("d"), max_age=timedelta(hours=26), now=NOW) == []


def test_list_and_prune__through_the_commands__exit_codes_and_json(filled, manage, tmp_path):
    folder = tmp_path / "backups"
    variables = backups.environment(filled, folder)
    none = manage("list_backups", **variables)
    assert (none.returncode, "no backup" in none.stderr) == (3, True)
    at = backups.place(folder)
    taken = [backups.take(filled, at, label=f"n{n}") for n in range(2)]
    shown = manage("list_backups", "--json", **variables)
    assert shown.returncode == 3
    document = json.loads(shown.stdout)
    assert [item["id"] for item in document["backups"]] == sorted((b.id for b in taken), reverse=True)
    for item in document["backups"]:
        assert {"id", "time", "bytes", "rows", "encrypted", "last_verified", "label"} <= set(item)
    assert manage("verify_backup", "latest", **variables).returncode == 0
    fine = manage("list_backups", **variables)
    assert (fine.returncode, fine.stderr) == (0, "")
    one = ("prune_backups", "--keep-daily", "1", "--keep-weekly", "0", "--keep-monthly", "0")
    dry = manage(*one, "--dry-run", **variables)
    assert dry.returncode == 0
    assert len(at.ids()) == 2
    real = manage(*one, "--json", **variables)
    assert json.loads(real.stdout)["deleted"] == [min(b.id for b in taken)]
    assert len(at.ids()) == 1
    logged = (tmp_path / "logs" / "backup.log").read_text().splitlines()
    assert {json.loads(line)["message"] for line in logged} >= {"verification", "pruned"}
    unknown = manage("verify_backup", "2019", **variables)
    assert unknown.returncode == 2


def test_list__newest_without_its_manifest__damaged_and_latest_does_not_pass_it_by(filled, kept, manage, tmp_path):
    folder = tmp_path / "store"
    at = backups.copy(kept[0], kept[1].id, folder)
    newest = backups.take(filled, at).id
    (folder / newest / manifest.NAME).unlink()
    variables = backups.environment(filled, folder)
    listed = manage("list_backups", **variables)
    assert listed.returncode == 3
    assert re.search(rf"{newest}.*DAMAGED", listed.stdout)
    assert f"{newest} is damaged" in listed.stderr
    for words in ("latest", newest):
        proof = manage("verify_backup", words, **variables)
        assert proof.returncode == 3
        assert newest in proof.stdout
        back = manage("restore_database", words, "--to", "never_made", **variables)
        assert back.returncode == 3
        assert newest in back.stderr
    assert "never_made" not in names(filled)


@pytest.mark.parametrize("filled_store", [False, True])
def test_restore__unknown_id__wrong_usage_whatever_the_store_holds(filled, kept, manage, tmp_path, filled_store):
    folder = kept[0].folder if filled_store else tmp_path / "store"
    done = manage("restore_database", "nosuch", "--to", "never_made", **backups.environment(filled, folder))
    assert (done.returncode, "is no backup" in done.stderr) == (2, True)


def test_list__label_with_a_newline__one_line_a_backup(filled, kept, manage, tmp_path):
    folder = tmp_path / "store"
    taken = backups.take(filled, backups.place(folder), label="first\nsecond\x1b[2J third")
    lines = manage("list_backups", **backups.environment(filled, folder)).stdout.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(taken.id)
    assert lines[1].endswith("first second [2J third")


def test_schedule__path_with_a_blank_and_a_percent__quoted():
    made = schedule(Path("/srv/the clinic 100%"), database="71/a b%", environment=Path("/etc/moeen env"))
    assert made.cron.count(r"--database-identity '71/a b\%'") == 6
    assert made.cron.count(". '/etc/moeen env' && ") == 6
    assert made.units["moeen-backup.service"].count('--database-identity "71/a b%%"') == 2
    assert "EnvironmentFile=/etc/moeen env\n" in made.units["moeen-backup.service"]
    assert r"cd '/srv/the clinic 100\%' && " in made.cron
    assert "WorkingDirectory=/srv/the clinic 100%%" in made.units["moeen-backup.service"]
    assert "OnCalendar=*-*-* 02:17:00" in made.units["moeen-backup.timer"]
    assert 'seal_audit_log --json --database-identity "71/a b%%"' in made.units["moeen-seal.service"]
    for line in made.cron.splitlines():
        assert not re.search(r"(?<!\\)%", line)


# -- which database --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "alike"),
    [
        ("", True),
        ("# a comment & more", True),
        ("DATABASE_URL=postgresql://u:p%40@h/d?sslmode=require", True),
        ("DATABASE_URL='postgresql://u@h/d?sslmode=require&connect_timeout=5'", True),
        ('LABEL="two words"', True),
        ("DATABASE_URL=postgresql://u@h/d?sslmode=require&connect_timeout=5", False),
        ("SECRET=a$HOME", False),
        ('SECRET="a$(id)"', False),
        ("SECRET=`id`", False),
        ("SECRET=two words", False),
        ("SECRET=a;id", False),
        ("FOLDER=~/backups", False),
        ("export SECRET=x", False),
        ("id", False),
    ],
)
def test_schedule__line_of_settings__that_a_shell_and_systemd_read_alike(tmp_path, line, alike):
    assert misread(line) == ([] if alike else [1])
    file = tmp_path / "settings"
    file.write_text(line.replace("id", "touch ran"))
    words = ["/bin/sh", "-c", 'set -a && . ./settings && printf %s "$DATABASE_URL"']
    said = subprocess.run(words, cwd=tmp_path, env={}, capture_output=True, text=True, check=False).stdout
    if alike and "DATABASE_URL" in line:
        assert said == line.partition("=")[2].strip("'")
    assert not alike or not (tmp_path / "ran").exists()


def test_chosen__latest__is_the_targets_own_and_anothers_is_asked_for(filled, new_database, tmp_path):
    other = new_database()
    at = backups.place(tmp_path)
    ours = backups.take(filled, at)
    theirs = backups.take(other, at)
    mine, its = (origin.Origin.of(backups.login(database)) for database in (filled, other))
    assert origin.chosen(at, "latest", target=mine) == ours.id
    assert origin.chosen(at, "latest", target=its) == theirs.id
    assert origin.chosen(at, "latest", target=mine, of=other.name) == theirs.id
    elsewhere = replace(mine, system="1")
    with pytest.raises(MoeenError, match=f"no backup of {filled.name}") as caught:
        origin.chosen(at, "latest", target=elsewhere)
    assert f"{ours.id} of {filled.name} of another server" in caught.value.next_step
    assert caught.value.exit_code == 3
    paper = at.manifest(ours.id)
    for target in (its, elsewhere):
        with pytest.raises(MoeenError, match="Nothing was changed"):
            origin.refuse_another(paper, target, of="")
        origin.refuse_another(paper, target, of=filled.name)
    origin.refuse_another(paper, mine, of="")
    new_database.drop(other)


def test_restore__another_databases_backup_over_rows__refused_by_the_engine_too(filled, kept, new_database):
    full = new_database()
    with full.connect() as connection:
        connection.execute("CREATE TABLE precious AS SELECT 1 AS a")
    target = restore.target_named(connections[filled.alias], full.name)
    before = everything(full), names(full), kept[0].ids()
    with pytest.raises(MoeenError, match="of another database"):
        restore.put_back(kept[0], kept[1].id, target, replace_existing=True)
    assert (everything(full), names(full), kept[0].ids()) == before
    new_database.drop(full)


def test_scheduled__other_empty_or_unmigrated_database__refused_and_nothing_made(migrated, filled, manage, tmp_path):
    folder = tmp_path / "backups"
    identity = str(origin.Origin.of(backups.login(migrated)))
    right = backups.environment(migrated, folder)
    printed = manage("print_schedule", **right)
    assert printed.stdout.count(f"--database-identity {identity}") >= 3
    assert "Warning: DATABASE_URL comes from this shell" in printed.stderr
    assert "postgresql://" not in printed.stdout
    unmigrated = backups.environment(filled, folder)
    own = str(origin.Origin.of(backups.login(filled)))
    for variables, expected, word in ((unmigrated, identity, "is expected"), (unmigrated, own, "never migrated"),
                                      (right, identity.replace("/", "1/", 1), "is expected")):  # fmt: skip
        for command in (["backup_database"], ["verify_backup", "latest"]):
            done = manage(*command, "--database-identity", expected, **variables)
            assert (done.returncode, word in done.stderr) == (3, True), done.stderr
    assert not folder.exists()
    assert manage("backup_database", "--database-identity", identity, **right).returncode == 0


def test_restore__platforms_backup_to_a_plain_server__stand_ins_made_and_said(new_database, tmp_path):
    database = new_database()
    with database.admin() as connection:
        connection.execute("CREATE SCHEMA auth; GRANT USAGE ON SCHEMA auth TO moeen")
        connection.execute("CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS 'SELECT NULL::uuid'")
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (id uuid); ALTER TABLE t ENABLE ROW LEVEL SECURITY")
        connection.execute("CREATE POLICY own ON t USING (id = (SELECT auth.uid()))")
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    done = restore.put_back(at, taken.id, restore.target_named(connections[database.alias], f"{database.name}_back"))
    assert done.findings == ()
    assert any("stand-ins" in note and "auth.uid" in note for note in done.notes), done.notes
    with replace(database, name=done.database).connect() as connection:
        assert connection.execute("SELECT auth.uid()").fetchone() == (None,)
    database.target.drop(done.database)
    new_database.drop(database)


def test_restore__other_encoding__verified_and_put_back(new_database, filled, tmp_path):
    name = "moeen_windows"
    with filled.admin() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(
            f"CREATE DATABASE {name} OWNER moeen TEMPLATE template0 ENCODING 'WIN1256' LOCALE_PROVIDER libc "
            "LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    windows = replace(filled, name=name)
    with windows.connect() as connection:
        connection.execute("CREATE TABLE patients (name text); INSERT INTO patients VALUES ('سارة')")
    at = backups.place(tmp_path)
    taken = dump.take_from(backups.login(windows), store=at, signer=keys.signer())
    assert verify.prove(at, taken.id).findings == ()
    done = restore.put_back(at, taken.id, restore.target_named(connections[filled.alias], f"{name}_back"))
    assert done.findings == ()
    with replace(filled, name=f"{name}_back").connect() as connection:
        assert connection.execute("SHOW server_encoding").fetchone() == ("WIN1256",)
        assert connection.execute("SELECT name FROM patients").fetchone() == ("سارة",)
    for made in (name, f"{name}_back"):
        filled.target.drop(made)


def test_restore__what_belongs_to_the_database__comes_back_and_is_compared(filled, tmp_path):
    name = "moeen_described"
    with filled.admin() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        provider = ("b", "C.UTF-8") if connection.info.server_version >= 170000 else ("c", "")
        locale = "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'" if provider[1] else "LOCALE_PROVIDER libc"
        made = "OWNER moeen TEMPLATE template0 CONNECTION LIMIT 17 LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"
        connection.execute(f"CREATE DATABASE {name} {made} {locale}")
        connection.execute(f"COMMENT ON DATABASE {name} IS 'عيادة'")
        connection.execute(f"GRANT CONNECT ON DATABASE {name} TO backup_staff WITH GRANT OPTION")
        connection.execute(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
    described = replace(filled, name=name)
    at = backups.place(tmp_path)
    taken = dump.take_from(backups.login(described), store=at, signer=keys.signer())
    report = verify.prove(at, taken.id)
    assert (report.findings, report.notes) == ((), ())
    back = replace(filled, name=f"{name}_back")
    assert restore.put_back(at, taken.id, restore.target_named(connections[filled.alias], back.name)).findings == ()
    with described.connect() as one, back.connect() as other:
        wanted, found = inventory.settings(one), inventory.settings(other)
    assert wanted == found
    assert (wanted.provider, wanted.locale) == provider
    assert (wanted.collate, wanted.connection_limit, wanted.comment) == ("C", 17, "عيادة")
    assert wanted.grants == {"PUBLIC": "CONNECT", "backup_staff": "CONNECT*"}
    for made in (name, back.name):
        filled.target.drop(made)


def test_database__icu_order__comes_back_and_is_told_where_there_is_none(server_versions, new_database, tmp_path):
    """The wheel's programs know no ICU; a distribution's (MOEEN_TEST_BIN_DIRS) do."""
    server = new_database(server=server_versions)
    wanted = inventory.Settings("moeen", "UTF8", "C", "C", {"PUBLIC": "CONNECT"}, {}, provider="i", locale="ar-SA")
    with server.admin() as connection:
        database_settings.create(connection, "moeen_icu", wanted, owner="moeen")
    login = backups.login(replace(server, name="moeen_icu"))
    findings, _ = database_settings.apply(login, wanted)
    with login.connect(application="test") as connection:
        has_icu = inventory.settings(connection).provider == "i"
    told = [] if has_icu else [("locale", "database setting", "icu, ar-SA, LC_COLLATE C, LC_CTYPE C")]
    assert [(f.object, f.kind, f.expected) for f in findings] == told
    if has_icu:
        at = backups.place(tmp_path)
        report = verify.prove(at, dump.take_from(login, store=at, signer=keys.signer()).id)
        assert (report.findings, report.notes) == ((), ())
    server.target.drop("moeen_icu")
    new_database.drop(server)


def test_failure__server_of_another_language__nothing_of_a_row_is_repeated():
    said = "pg_restore: error: could not execute query: FEHLER:  ungültige Eingabesyntax für Typ integer: »Fatimah«"
    cause = program_errors.failure("pg_restore", said, 1).cause
    assert cause == "pg_restore failed: could not execute query: see the server's log."
    said = 'pg_restore: error: could not execute query: ERROR:  relation "a" does not exist'
    assert 'relation "a" does not exist' in program_errors.failure("pg_restore", said, 1).cause


def test_target__database_that_is_shut__is_not_taken_for_a_missing_one(filled, new_database):
    shut, nowhere = new_database(), connections[filled.alias].copy()
    with filled.admin() as admin:
        admin.execute(f'ALTER DATABASE "{shut.name}" ALLOW_CONNECTIONS false')
    for look in (lambda: restore.target_named(connections[shut.alias], shut.name), lambda: restore.target_at(shut.url)):
        with pytest.raises((psycopg.OperationalError, OperationalError)):
            look()
    new_database.drop(shut)
    nowhere.settings_dict = {**nowhere.settings_dict, "NAME": shut.name}
    assert not restore.target_named(nowhere, shut.name).exists
    assert not restore.target_at(shut.url).exists


# -- kept for a reason -----------------------------------------------------------------------------------------------

BEFORE, AFTER = frozenset({("a", "0001")}), frozenset({("a", "0001"), ("a", "0002")})


@pytest.mark.parametrize(
    ("days", "later", "stays"),
    [
        (29, [entry(1, verified=True, migrations=AFTER)], True),
        (31, [], True),
        (31, [entry(1, migrations=AFTER)], True),
        (31, [entry(1, verified=True, migrations=BEFORE)], True),
        (31, [entry(1, verified=True, migrations=AFTER)], False),
        (31, [entry(40, verified=True, migrations=AFTER)], True),
        (31, [entry(1, verified=True, migrations=AFTER, database="other")], True),
    ],
)
def test_prune__before_a_change__30_days_and_until_the_change_is_in_a_verified_one(days, later, stays):
    change = entry(days, purpose=manifest.CHANGE, migrations=BEFORE)
    found = [entry(0, migrations=AFTER), *later, change]
    gone = retention.doomed(found, daily=1, weekly=0, monthly=0, now=NOW)
    assert (change not in gone) == stays


def test_prune__pinned_and_pre_adoption__until_unpinned():
    for purpose, pinned, stays in [(manifest.PRE_ADOPTION, None, True), (manifest.PRE_ADOPTION, False, False),
                                   (manifest.NIGHTLY, True, True), (manifest.NIGHTLY, None, False)]:  # fmt: skip
        old = entry(900, purpose=purpose, pinned=pinned)
        gone = retention.doomed([entry(0, verified=True), old], daily=1, weekly=0, monthly=0, now=NOW)
        assert (old not in gone) == stays, (purpose, pinned)


def test_take__before_a_change_of_what_was_never_migrated__is_pre_adoption(filled, migrated, tmp_path):
    at = backups.place(tmp_path)
    for database, purpose, kept_for in [
        (filled, manifest.CHANGE, manifest.PRE_ADOPTION),
        (migrated, manifest.CHANGE, manifest.CHANGE),
        (filled, manifest.NIGHTLY, manifest.NIGHTLY),
    ]:
        taken = backups.take(database, at, purpose=purpose)
        assert at.manifest(taken.id).purpose == kept_for


def test_pin_backup__through_the_commands__kept_listed_and_let_go(filled, manage, tmp_path):
    folder = tmp_path / "backups"
    variables = backups.environment(filled, folder)
    at = backups.place(folder)
    older, newer = sorted(backups.take(filled, at).id for _ in range(2))  # within a second chance says which is which
    prune = ("prune_backups", "--keep-daily", "1", "--keep-weekly", "0", "--keep-monthly", "0")
    assert manage("pin_backup", older, "--reason", "court", **variables).returncode == 0
    assert verify.intact(folder / older, at.manifest(older)) == []
    assert ", pinned" in manage("list_backups", **variables).stdout
    assert manage(*prune, **variables).returncode == 0
    assert at.ids() == [older, newer]
    assert manage("unpin_backup", older, **variables).returncode == 0
    dry = manage(*prune, "--dry-run", **variables)
    assert (older in dry.stdout, at.ids()) == (True, [older, newer])
    assert older in manage(*prune, **variables).stdout
    assert at.ids() == [newer]
    (folder / newer / manifest.PIN).write_text("x")
    assert at.pin(newer).kept
