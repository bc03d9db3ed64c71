"""The long proofs of backups (`make test-backup`): a million rows, thirty kills, flat memory."""

import os
import random
import subprocess
import sys
import time

import pyrage
import pytest

from moeen.db.backups import verify
from tests import backups, servers
from tests.test_backup import kill_somewhere, transfers

pytestmark = pytest.mark.long


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_round_trip__a_million_rows_of_every_kind_and_10_mb_text__no_finding(
    server_versions, new_database, tmp_path, encrypted
):
    database = new_database(server=server_versions)
    backups.fill(database, rows=500_000, long_text=10_000_000)
    identity = pyrage.x25519.Identity.generate()
    key = tmp_path / "key"
    key.write_text(str(identity))
    at = backups.place(tmp_path / "backups")
    taken = backups.take(database, at, recipients=[str(identity.to_public())] if encrypted else [])
    report = verify.prove(at, taken.id, identity=key)
    assert report.findings == ()
    assert report.checked["rows"] == 1_000_001
    new_database.drop(database)


def test_take__killed_at_30_random_moments__older_ones_intact_and_none_half(new_database, tmp_path):
    database = new_database()
    backups.fill(database, rows=30_000)
    folder = tmp_path / "backups"
    at = backups.place(folder)
    first = backups.take(database, at)
    assert verify.prove(at, first.id).ok
    started = time.monotonic()
    command = [sys.executable, "manage.py", "backup_database", "--verbosity", "0"]
    environment = {**os.environ, **backups.environment(database, folder)}
    subprocess.run(command, cwd=servers.PROJECT, env=environment, capture_output=True, check=True)
    seconds = time.monotonic() - started
    alive = 0
    for seed in range(30):
        alive += kill_somewhere(database, folder, seconds=seconds, chance=random.Random(seed))
        assert first.id in backups.whole_ids(at)
    assert alive >= 15
    for backup_id in at.ids()[1:]:
        assert verify.prove(at, backup_id).ok
    last = backups.take(database, at)
    assert verify.prove(at, last.id).ok
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_take__while_clients_write__invariant_every_time(new_database, tmp_path):
    for number in range(3):
        transfers(new_database(), tmp_path / str(number), clients=8, accounts=50_000, jobs=1 + number)


def test_take__five_times_the_rows__no_more_memory(new_database, tmp_path):
    peaks = []
    for rows in (100_000, 500_000):
        database = new_database()
        backups.fill(database, rows=rows)
        peaks.append(_peak(["backup_database"], database, tmp_path / str(rows)))
        peaks.append(_peak(["verify_backup", "latest"], database, tmp_path / str(rows)))
        new_database.drop(database)
    small_backup, small_verify, big_backup, big_verify = peaks
    assert big_backup < small_backup * 1.15, peaks
    assert big_verify < small_verify * 1.15, peaks


def _peak(words, database, folder):
    """The most memory, in kB, that the command's process held (its children aside)."""
    code = (
        "import resource, sys; from moeen.cli import main; code = main(['manage.py', *sys.argv[1:]]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=servers.PROJECT, capture_output=True, text=True,
                          env={**os.environ, **backups.environment(database, folder)}, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])
