"""The long proofs of backups (`make test-backup`): a million rows, eighty kills, flat memory."""

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

#: Of a verification, and as many of a restore; with the backup's thirty and the archive's twenty they are a hundred.
KILLS = int(os.environ.get("MOEEN_TEST_KILLS", "25"))


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


def killed(words, environment, *, seconds, chance) -> bool:
    """Run the command, and kill it at a moment of its life; whether it still lived."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", *words], cwd=servers.PROJECT, env=environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(chance.uniform(0.1, 0.9) * seconds)
    alive = process.poll() is None
    process.kill()
    process.wait()
    return alive


def wait_until_gone(found) -> None:
    deadline = time.monotonic() + 60
    while found():
        assert time.monotonic() < deadline, found()
        time.sleep(0.1)


def test_verify__killed_at_random_moments__no_server_and_no_data_of_it_stay(new_database, tmp_path):
    database = new_database()
    backups.fill(database, rows=20_000)
    at = backups.place(tmp_path / "backups")
    taken = backups.take(database, at)
    place = servers.scratch()
    environment = {**os.environ, **backups.environment(database, at.folder), "TMPDIR": str(place)}
    words = ("verify_backup", taken.id)
    started = time.monotonic()
    subprocess.run([sys.executable, "manage.py", *words], cwd=servers.PROJECT, env=environment, check=True)
    seconds = time.monotonic() - started
    alive = 0
    for seed in range(KILLS):
        alive += killed(words, environment, seconds=seconds, chance=random.Random(seed))
        wait_until_gone(lambda: [path.name for path in place.iterdir() if path.name.startswith("moeen-verify-")])
    assert alive >= KILLS // 4
    servers_of = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert f"-D {place}" not in servers_of
    assert verify.prove(at, taken.id).ok


def test_restore__killed_at_random_moments__the_old_database_or_the_new_one(new_database, tmp_path):
    database = new_database()
    backups.fill(database, rows=20_000)
    at = backups.place(tmp_path / "backups")
    taken = backups.take(database, at)
    with database.connect() as connection:
        connection.execute("CREATE TABLE since AS SELECT 1 AS a")
    environment = {**os.environ, **backups.environment(database, at.folder)}
    words = ("restore_database", taken.id, "--to", database.name, "--replace", "--yes", "--expect", database.name)

    def beside(what):
        with database.admin() as connection:
            query = "SELECT datname FROM pg_database WHERE datname ~ %s ORDER BY datname"
            return [name for (name,) in connection.execute(query, [f"^{database.name}_{what}_"])]

    def at_work():
        with database.admin() as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'moeen restore%%' AND datname ~ %s"
            return connection.execute(query, [f"^({database.name}_restoring_.*|postgres)$"]).fetchall()

    started = time.monotonic()
    subprocess.run([sys.executable, "manage.py", *words], cwd=servers.PROJECT, env=environment, check=True)
    seconds = time.monotonic() - started
    assert len(beside("before")) == 1
    alive = 0
    for seed in range(KILLS):
        for name in beside("before"):
            database.target.drop(name)
        with database.connect() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS since AS SELECT 1 AS a")
        alive += killed(words, environment, seconds=seconds, chance=random.Random(seed))
        # What its orphans still do ends by itself.
        wait_until_gone(at_work)
        with database.connect() as connection:
            ((old,),) = connection.execute("SELECT to_regclass('since') IS NOT NULL").fetchall()
            counts = "SELECT (SELECT count(*) FROM people) + (SELECT count(*) FROM visits)"
            assert connection.execute(counts).fetchone() == (taken.rows,)
        assert old == (not beside("before")), "half of a swap"
        assert taken.id in backups.whole_ids(at)
    assert alive >= KILLS // 4
    subprocess.run([sys.executable, "manage.py", *words], cwd=servers.PROJECT, env=environment, check=True)
    assert beside("restoring") == []
    assert all(verify.prove(at, backup_id).ok for backup_id in backups.whole_ids(at)[-2:])
    for name in beside("before"):
        database.target.drop(name)


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
