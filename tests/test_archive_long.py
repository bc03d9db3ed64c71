"""The long proofs of archiving (`make test-archive`): crashes under load, increments, other versions, pgBackRest."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from moeen.db.archiving import bases, reach, receiver, recovery
from moeen.db.archiving.archivist import PROMISED_SECONDS
from moeen.db.backups import keys, tools
from tests import servers
from tests.test_archive import archive_of, keeper_of, kill, reaches, running, wait_for

pytestmark = pytest.mark.long

WRITERS = 8
KILLS = int(os.environ.get("MOEEN_TEST_KILLS", "20"))


class Writer(threading.Thread):
    """Commits one row after the other, and notes when each was acknowledged, until the server is gone."""

    def __init__(self, target, number, first):
        super().__init__()
        self.target, self.number, self.next = target, number, first
        self.acknowledged: list[tuple[int, datetime]] = []

    def run(self):
        with suppress(psycopg.Error), self.target.connect("moeen", user="moeen") as connection:
            while True:
                connection.execute("INSERT INTO notes VALUES (%s, %s, repeat('x', 500))", [self.number, self.next])
                self.acknowledged.append((self.next, datetime.now(UTC)))
                self.next += 1
                # All of it is replayed after each kill.
                time.sleep(0.01)


def archivist_process(target, folder):
    words = {"ARCHIVE": "true", "ARCHIVE_DIR": str(folder / "archive"), "ARCHIVE_STATE": str(folder / "own")}
    words |= {"DATABASE_URL": target.url("moeen", user="moeen"), "ARCHIVE_DATABASE_URL": target.url("postgres")}
    command = [sys.executable, "manage.py", "archive", "run"]
    return subprocess.Popen(command, cwd=servers.PROJECT, env=os.environ | words, stdin=subprocess.DEVNULL)


def brought_back(archive):
    """Number and writer of all rows that the latest moment has."""
    wanted = recovery.moment(archive, None)
    with recovery.recovered(wanted) as (_, superuser), superuser.to("moeen").connect(application="test") as connection:
        return wanted.until, set(connection.execute("SELECT writer, n FROM notes").fetchall())


def test_crash__server_and_archivist_killed_under_writers__every_commit_older_than_the_promise_is_there(tmp_path):
    server = servers.start(shape=None, settings=(("synchronous_commit", "on"), ("full_page_writes", "on")))
    target = servers.target_of(server)
    chance = random.Random(14)
    with target.connect("moeen", user="moeen") as connection:
        connection.execute("CREATE TABLE notes (writer int, n int, words text, PRIMARY KEY (writer, n))")
    process = archivist_process(target, tmp_path)
    writers = [Writer(target, number, 0) for number in range(WRITERS)]
    lost, behind, commits = 0, [], []
    try:
        wait_for(lambda: (tmp_path / "archive").exists() and reaches(tmp_path, datetime(2000, 1, 1, tzinfo=UTC)))
        for _ in range(KILLS):
            for writer in writers:
                writer.start()
            begun = datetime.now(UTC)
            time.sleep(chance.uniform(3, 20))
            # As a machine's end does it; only what lies in the archive is left. Sometimes the archivist goes first.
            if chance.random() < 0.5:
                process.kill()
                time.sleep(chance.uniform(0, 2))
            killed = datetime.now(UTC)
            kill(target)
            process.kill()
            process.wait()
            for writer in writers:
                writer.join()
            commits += [((writer.number, n), at) for writer in writers for n, at in writer.acknowledged]
            until, there = brought_back(archive_of(tmp_path))
            assert killed - until < timedelta(seconds=PROMISED_SECONDS), f"{killed - until} behind"
            missing = [(row, at) for row, at in commits if row not in there]
            assert [(row, at) for row, at in missing if at < until] == []
            behind.append((killed - until).total_seconds())
            lost += len(missing)
            print(f"{killed - until} behind, {len(commits)} commits", flush=True)
            assert any(at > begun for _, at in commits)
            server.ensure_running()
            process = archivist_process(target, tmp_path)
            last = datetime.now(UTC)
            wait_for(lambda last=last: reaches(tmp_path, last))
            # What the archive had not got yet, the server has: nothing that was acknowledged is lost to it.
            with target.connect("moeen") as connection:
                rows = set(connection.execute("SELECT writer, n FROM notes").fetchall())
            assert [row for row, _ in commits if row not in rows] == []
            writers = [Writer(target, number, max((n for w, n in rows if w == number), default=-1) + 1)
                       for number in range(WRITERS)]  # fmt: skip
        print(f"{KILLS} kills, {len(commits)} commits; at most {max(behind):.1f} s behind, {lost} commits within that")
    finally:
        process.kill()
        process.wait()
        servers.stop(server)


def test_increments__from_17_on__put_together_for_a_moment(tmp_path):
    server = servers.start(shape=None, settings=(("summarize_wal", "on"),))
    target = servers.target_of(server)
    keeper = keeper_of(target, tmp_path)
    thread = running(keeper)
    try:
        with target.connect("moeen", user="moeen") as connection:
            connection.execute("CREATE TABLE notes AS SELECT n, repeat('x', 500) FROM generate_series(1, 50000) AS n")
            wait_for(lambda: (tmp_path / "archive").exists() and reaches(tmp_path, datetime(2000, 1, 1, tzinfo=UTC)))
            archive = archive_of(tmp_path)
            (whole,) = archive.all_bases()
            for _ in range(2):
                connection.execute("UPDATE notes SET n = -n WHERE n % 5000 = 0")
                parent = archive.all_bases()[-1]
                made = bases.take(
                    keeper.login, archive, tools.find(18, tls=False), signer=keys.signer(), recipients=[],
                    lists=keeper.own / "lists", parent=parent, at_once=True,
                )  # fmt: skip
                assert made.parent == parent.id
                assert made.bytes < whole.bytes / 3
            connection.execute("INSERT INTO notes VALUES (0)")
            now = datetime.now(UTC)
            wait_for(lambda: reaches(tmp_path, now))
            expected = connection.execute("SELECT count(*), sum(n) FROM notes").fetchone()
        assert reach.spans(archive)[-1].since == whole.at
        wanted = recovery.moment(archive, None)
        assert wanted.base.id == made.id
        with recovery.recovered(wanted) as (_, superuser), superuser.to("moeen").connect(application="t") as connection:
            assert connection.execute("SELECT count(*), sum(n) FROM notes").fetchone() == expected
    finally:
        keeper.stop()
        thread.join()
        servers.stop(server)


def test_recover__every_version__latest(server_versions, tmp_path):
    target = servers.target_of(server_versions)
    keeper = keeper_of(target, tmp_path)
    with target.connect() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS notes (n int)")
    thread = running(keeper)
    try:
        wait_for(lambda: (tmp_path / "archive").exists() and reaches(tmp_path, datetime(2000, 1, 1, tzinfo=UTC)))
        with target.connect() as connection:
            connection.execute("INSERT INTO notes VALUES (7)")
        now = datetime.now(UTC)
        wait_for(lambda: reaches(tmp_path, now))
        wanted = recovery.moment(archive_of(tmp_path), None)
        with recovery.recovered(wanted) as (_, superuser), superuser.connect(application="test") as connection:
            assert connection.execute("SELECT DISTINCT n FROM notes").fetchall() == [(7,)]
    finally:
        keeper.stop()
        thread.join()
        with target.connect() as connection:
            receiver.release(connection, keeper.slot)


def test_restored__killed__nothing_in_the_clear_stays(tmp_path):
    """Whoever brings back a moment holds data in the clear; it goes with them, however they end."""
    server = servers.start(shape=None)
    target = servers.target_of(server)
    keeper = keeper_of(target, tmp_path)
    thread = running(keeper)
    try:
        wait_for(lambda: (tmp_path / "archive").exists() and reaches(tmp_path, datetime(2000, 1, 1, tzinfo=UTC)))
        (tmp_path / "tmp").mkdir(mode=0o755)
        words = {"DATABASE_URL": target.url("moeen", user="moeen"), "ARCHIVE_DIR": str(tmp_path / "archive"),
                 "TMPDIR": str(tmp_path / "tmp")}  # fmt: skip
        tmp_path.chmod(0o755)
        for seconds in (1.5, 3, 4.5, 6):
            command = [sys.executable, "manage.py", "restore_database", "--at", "latest", "--to", "moeen_then"]
            process = subprocess.Popen(command, cwd=servers.PROJECT, env=os.environ | words, stderr=subprocess.DEVNULL)
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
            process.wait()
            wait_for(lambda: not list((tmp_path / "tmp").glob("moeen-moment-*")), seconds=15)
            target.drop("moeen_then")
    finally:
        keeper.stop()
        thread.join()
        servers.stop(server)


@pytest.mark.skipif(not shutil.which("pgbackrest"), reason="pgbackrest is not installed (apt-get install pgbackrest)")
def test_pgbackrest__as_the_guide_says__a_moment_comes_back(tmp_path):
    """Beside our archive: the lines of docs/archive.md, on a server of its own."""
    folder = servers.scratch()
    repository, data = folder / "repository", folder / "data"
    server = servers.throwaway(
        data_dir=data,
        settings=(
            ("archive_mode", "on"),
            ("archive_command", f"pgbackrest --config={folder}/pgbackrest.conf --stanza=moeen archive-push %p"),
            ("archive_timeout", "60"),
        ),
        bin_dir=max(servers.versions().items(), key=lambda item: item[0].startswith("system"))[1],
    )
    (folder / "pgbackrest.conf").write_text("")
    server.ensure_running()
    facts = data.stat()
    target = servers.target_of(server)
    for each in (repository, folder / "log", folder / "lock"):
        each.mkdir()
        os.chown(each, facts.st_uid, facts.st_gid)
    (folder / "pgbackrest.conf").write_text(
        f"[global]\nrepo1-path={repository}\nrepo1-retention-full=2\nlog-path={folder}/log\nlock-path={folder}/lock\n"
        f"start-fast=y\n[moeen]\npg1-path={data}\npg1-port={target.port}\npg1-socket-path={target.host}\n"
        f"pg1-user={target.user}\n"
    )

    def pgbackrest(*words):
        who = {"user": facts.st_uid, "group": facts.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        command = ["pgbackrest", f"--config={folder}/pgbackrest.conf", "--stanza=moeen", *words]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **who)
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        pgbackrest("stanza-create")
        pgbackrest("--type=full", "backup")
        with target.connect() as connection:
            connection.execute("CREATE TABLE notes (n int)")
            connection.execute("INSERT INTO notes VALUES (1)")
            connection.execute("SELECT pg_sleep(1.1)")  # pgBackRest tells the end of a backup in whole seconds
            ((moment,),) = connection.execute("SELECT clock_timestamp()").fetchall()
            connection.execute("SELECT pg_sleep(0.2)")
            connection.execute("INSERT INTO notes VALUES (2)")
            connection.execute("SELECT pg_switch_wal()")
        server.stop()
        pgbackrest(
            "--type=time", f"--target={moment.isoformat(sep=' ')}", "--target-action=promote", "--delta", "restore"
        )
        server.ensure_running()
        with servers.target_of(server).connect() as connection:
            assert connection.execute("SELECT n FROM notes").fetchall() == [(1,)]
    finally:
        servers.stop(server)
