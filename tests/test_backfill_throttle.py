"""A backfill waits for what cannot keep up: a real standby that lags, a real archive that does not take the WAL."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import connections

from moeen.db import backfill
from moeen.db.backfill import engine, throttle
from moeen.db.backfill.notes import Why
from tests import servers
from tests.test_backfill import Fill, value, wait_for

ROWS = 8_000
#: Far from what these tests make, but for the one limit that each is about.
QUIET = {"replica_bytes": 2**60, "replica_seconds": 1e9, "unarchived_segments": 10**6}


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """A run looks around more often than it would."""
    monkeypatch.setattr(engine, "WATCH_SECONDS", 0.2)


@pytest.fixture(scope="module")
def archive():
    """While this file exists, the archive takes WAL."""
    folder = servers.scratch("moeen-archive-")
    folder.chmod(0o755)
    return folder / "open"


@pytest.fixture(scope="module")
def database(new_database, archive):
    settings = {
        "wal_level": "replica",
        "max_wal_senders": "4",
        "hot_standby": "on",
        "archive_mode": "on",
        "archive_command": f"test -e {archive}",
    }
    made = new_database.migrated(server=servers.start(settings=tuple(settings.items())))
    with made.admin() as admin:
        admin.execute(f"GRANT pg_monitor TO {made.owner}")
    return made


@pytest.fixture
def owner(database):
    with database.connect() as connection:
        connection.execute(
            f"""
            DROP TABLE IF EXISTS things;
            TRUNCATE backfill_runs;
            CREATE TABLE things (id int PRIMARY KEY, filled text, pad text);
            ALTER TABLE things ENABLE ROW LEVEL SECURITY;
            INSERT INTO things SELECT i, NULL, repeat('x', 300) FROM generate_series(1, {ROWS}) AS i
            """
        )
        yield connection


@pytest.fixture(scope="module")
def standby(database):
    """A superuser's connection to a standby of the database's server, which holds its WAL by a slot."""
    follower = servers.follow(database.target.server, slot="follower")
    with servers.target_of(follower).connect(database.name) as connection:
        yield connection
    servers.stop(follower)


@contextmanager
def under_way(database, owner, **limits):
    """A run that has begun and is paused by a file; at the end it must come to its own.

    Yields the lines it said, and what lets it go on: a test first makes the reason to wait, however long that takes.
    """
    said, pause = [], servers.scratch("moeen-pause-") / "pause"

    def run():
        try:
            options = backfill.Options(
                batch_size=50,
                target_ms=5,
                max_rows_per_second=4000.0,
                pause_file=pause,
                limits=throttle.Limits(**QUIET | limits),
                tell=said.append,
            )
            return backfill.run(connections[database.alias], [Fill()], options)
        finally:
            if threading.current_thread() is not threading.main_thread():
                connections[database.alias].close()

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(run)
        try:
            wait_for(lambda: filled(owner) > 0, seconds=60)
            pause.touch()
            wait_for(lambda: holds(owner, Why.PAUSE_FILE), seconds=60)
            yield said, pause.unlink
        finally:
            pause.unlink(missing_ok=True)
            report = job.result(timeout=180)
    assert report.complete
    assert "going on" in said[-1]


def filled(owner):
    return value(owner, "SELECT coalesce(max(rows_filled), 0) FROM backfill_runs")


def holds(owner, why):
    """Whether the run waits for this reason."""
    return owner.execute(
        "SELECT 1 FROM backfill_runs WHERE status = 'paused' AND note LIKE %s", [f"{why} %"]
    ).fetchone()


def assert_stands_still(owner, why):
    wait_for(lambda: holds(owner, why), seconds=60)

    def unmoved():
        """The batch that was under way when the reason came up is done to its end."""
        before = filled(owner)
        owner.execute("SELECT pg_sleep(0.5)")
        return filled(owner) == before

    wait_for(unmoved, seconds=60)
    assert 0 < filled(owner) < ROWS
    assert holds(owner, why)


def write(owner, length=200_000):
    owner.execute("SELECT pg_logical_emit_message(true, 'test', repeat('x', %s))", [length])


def test_run__standby_that_replays_nothing__waits_until_it_has_caught_up(database, owner, standby):
    with under_way(database, owner, replica_bytes=100_000) as (said, go_on):
        standby.execute("SELECT pg_wal_replay_pause()")
        try:
            write(owner)
            go_on()
            assert_stands_still(owner, Why.REPLICA_SIZE)
            assert any("waiting, a replica is" in line for line in said)
        finally:
            standby.execute("SELECT pg_wal_replay_resume()")


def test_run__standby_that_is_late__waits(database, owner, standby):
    standby.execute("ALTER SYSTEM SET recovery_min_apply_delay = '2s'")
    standby.execute("SELECT pg_reload_conf()")
    with under_way(database, owner, replica_seconds=1.0) as (_, go_on):
        try:
            late = "SELECT max(replay_lag) > '1 s' FROM pg_stat_replication"
            wait_for(lambda: write(owner, 1) or value(owner, late), seconds=60)
            go_on()
            wait_for(lambda: holds(owner, Why.REPLICA_TIME), seconds=60)
        finally:
            standby.execute("ALTER SYSTEM RESET recovery_min_apply_delay")
            standby.execute("SELECT pg_reload_conf()")


def test_run__standby_that_receives_nothing__is_seen_by_its_slot_without_pg_monitor(database, owner, standby):
    wait_for(lambda: standby.execute("SELECT pid FROM pg_stat_wal_receiver").fetchone(), seconds=60)
    (receiver,) = standby.execute("SELECT pid FROM pg_stat_wal_receiver").fetchone()
    with database.admin() as admin:
        admin.execute(f"REVOKE pg_monitor FROM {database.owner}")
        try:
            with under_way(database, owner, replica_bytes=100_000) as (_, go_on):
                os.kill(receiver, signal.SIGSTOP)
                try:
                    write(owner)
                    go_on()
                    assert_stands_still(owner, Why.REPLICA_SIZE)
                finally:
                    os.kill(receiver, signal.SIGCONT)
        finally:
            admin.execute(f"GRANT pg_monitor TO {database.owner}")


@pytest.mark.parametrize("ever", [False, True], ids=["from the beginning", "from now on"])
def test_run__archive_that_takes_no_wal__waits_until_it_does(database, owner, archive, ever):
    with database.admin() as admin:

        def switch():
            admin.execute("SELECT pg_logical_emit_message(true, 'test', 'x'), pg_switch_wal()")

        def settled(column):
            return lambda: value(admin, f"SELECT {column} IS NOT NULL FROM pg_stat_archiver")

        # What the tests before this one left behind.
        archive.touch()
        switch()
        ready = "SELECT count(*) = 0 FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
        wait_for(lambda: value(admin, ready), seconds=60)
        if not ever:
            archive.unlink()
        admin.execute("SELECT pg_stat_reset_shared('archiver')")
        switch()
        wait_for(settled("last_archived_wal" if ever else "last_failed_wal"), seconds=60)
        archive.unlink(missing_ok=True)
        with under_way(database, owner, unarchived_segments=3) as (_, go_on):
            try:
                for _ in range(6):
                    switch()
                go_on()
                assert_stands_still(owner, Why.ARCHIVE)
            finally:
                archive.touch()
                switch()
