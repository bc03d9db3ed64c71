"""SIGKILL at any moment of a migration, then the same command again: same catalog, same rows."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from django.db import connections

from moeen.db import catalog, schema
from tests import servers, states
from tests.states import snapshots

COMMAND = [sys.executable, "manage.py", "migrate", "--verbosity", "0", "--no-backup", "test", "--no-rehearsal", "test"]


def run(database, *, kill_after=None):
    """The command's exit code; None when it was killed before it ended."""
    environment = {**os.environ, "DATABASE_URL": database.url}
    process = subprocess.Popen(COMMAND, cwd=servers.PROJECT, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        process.communicate(timeout=kill_after or 120)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return None
    return process.returncode


@pytest.fixture(scope="module")
def unbroken(new_database):
    """State -> what a run that nobody disturbs ends in, and how long it takes."""
    found = {}

    def make(state):
        if state not in found:
            database = states.database(new_database, state)
            started = time.monotonic()
            assert run(database) == 0
            seconds = time.monotonic() - started
            with database.connect() as connection:
                after = snapshots.rows(connection)
            with states.database(new_database, state).connect() as connection:
                before = snapshots.rows(connection)
            kept = {name: {key: after[name][key] for key in rows} for name, rows in before.items()}
            found[state] = catalog.read(connections[database.alias]), kept, seconds
        return found[state]

    return make


def check(new_database, unbroken, state, moments):
    expected, rows, seconds = unbroken(state)
    chance = random.Random(f"{state} {moments}")
    killed = 0
    for moment in range(moments):
        database = states.database(new_database, state)
        # Python's own start takes the first part; a second blow falls on the resumed run of every third.
        for _ in range(2 if moment % 3 == 0 else 1):
            killed += run(database, kill_after=chance.uniform(0.25, seconds)) is None
        assert run(database) == 0, f"moment {moment}"
        assert schema.compare(expected, catalog.read(connections[database.alias])) == [], f"moment {moment}"
        with database.connect() as connection:
            assert snapshots.changes(rows, snapshots.rows(connection, rows)) == [], f"moment {moment}"
        new_database.drop(database)
    assert killed > moments // 2


@pytest.mark.parametrize("state", ["core", pytest.param("full", marks=pytest.mark.slow)])
def test_migrate__killed_at_random_moments__ends_the_same(new_database, unbroken, state):
    check(new_database, unbroken, state, 3)


@pytest.mark.long
@pytest.mark.parametrize("state", ["core", "full"])
def test_migrate__killed_at_fifty_random_moments__ends_the_same(new_database, unbroken, state):
    check(new_database, unbroken, state, 50)
