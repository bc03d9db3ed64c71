"""Part of `make bench-backup`: what archiving costs writers, and a restore to a moment beside PostgreSQL's bare tools.

pgbench's own transactions by eight clients, on a server that keeps its promises (fsync). Rounds with and without an
archivist alternate, so that what else the machine does falls on both; an archivist's first base is made beforehand, as
it is once a day. The bare way back to the last moment is a copy of a pg_basebackup's folder, recovery with the WAL that
pg_receivewal wrote meanwhile, pg_dump of the database there and pg_restore into a new one; ours checks and compares.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from moeen.db.archiving import papers, reach
from moeen.db.server.programs import MAJOR, bin_dir
from tests import servers

PROJECT = Path(__file__).resolve().parents[2]
CLIENTS = 8
GOAL = 0.95


def measure(*, rounds, seconds, scale, settings, folder, only=None):
    """Prints the throughput of each round and the seconds of each restore, and their medians."""
    server = servers.start(settings=settings, shape=None)
    servers.set_up_project(server)
    target = servers.target_of(server)
    programs = bin_dir(MAJOR)
    login = ["-h", target.host, "-p", target.port, "-U", target.user]
    _run([programs / "pgbench", *login, "-i", "-q", "-s", str(scale), "moeen"])
    for part, what in (("writers", _writers), ("moment", _moments)):
        if only in (None, part):
            what(target, programs, rounds=rounds, seconds=seconds, login=login, folder=folder)


def _writers(target, programs, *, rounds, seconds, login, folder):
    command = [programs / "pgbench", *login, "-n", "-M", "prepared", "-c", CLIENTS, "-j", "2", "-T", seconds, "moeen"]

    def throughput():
        """Each round begins with no dead rows, and with every page still to be written whole into the WAL."""
        with target.connect("moeen") as connection:
            connection.execute("VACUUM pgbench_branches, pgbench_tellers")
            connection.execute("CHECKPOINT")
        return _throughput(command)

    without, archived = [], []
    for _ in range(rounds + 1):
        without.append(throughput())
        with _running([sys.executable, "manage.py", "archive", "run"], **_words(target, folder)):
            _wait_until_reached(Path(folder, "archive"), datetime.now(UTC))
            archived.append(throughput())
            _wait_until_reached(Path(folder, "archive"), datetime.now(UTC))
    # The first one warms the caches.
    without, archived = without[1:], archived[1:]
    ratio = _middle(archived) / _middle(without)
    print(
        f"archive {CLIENTS} writers without {_middle(without):.0f} a second, with {_middle(archived):.0f}   "
        f"ratio {ratio:.2f} (goal {GOAL}: {'met' if ratio >= GOAL else 'MISSED'})  {_all(without)} {_all(archived)}"
    )


def _moments(target, programs, *, rounds, seconds, login, folder):
    base, wal = Path(folder, "base"), Path(folder, "wal")
    wal.mkdir()
    words = _words(target, folder, archive="another")
    with _running([sys.executable, "manage.py", "archive", "run"], **words):
        _wait_until_reached(Path(folder, "another"), datetime.now(UTC))
        with _running([programs / "pg_receivewal", *login, "-D", wal]):
            time.sleep(2)
            _run([programs / "pg_basebackup", *login, "-D", base, "--wal-method=none", "--checkpoint=fast"])
            _run([programs / "pgbench", *login, "-n", "-c", CLIENTS, "-T", seconds, "moeen"])
            with target.connect() as connection:
                connection.execute("SELECT pg_switch_wal()")
            _wait_until_reached(Path(folder, "another"), datetime.now(UTC))
    facts = target.server.data_dir.stat()
    for path in (wal, *wal.iterdir()):
        os.chown(path, facts.st_uid, facts.st_gid)
    ours, bare, recovery = [], [], []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        to = ("--at", "latest", "--to", target.url("ours"), "--of", "moeen")
        _run([sys.executable, "manage.py", "restore_database", *to], **words)
        ours.append(time.perf_counter() - started)
        up, took = _bare(target, programs, login, folder)
        recovery.append(up)
        bare.append(took)
        for name in ("ours", "bare"):
            target.drop(name)
    ours, bare, recovery = ours[1:], bare[1:], recovery[1:]
    sizes = [sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) / 1e6 for place in (base, wal)]
    print(
        f"moment  base {sizes[0]:.0f} MB, WAL {sizes[1]:.0f} MB: a bare server of it {_middle(recovery):.2f} s, "
        f"with pg_dump and pg_restore {_middle(bare):.2f} s; ours {_middle(ours):.2f} s   "
        f"ratio {_middle(ours) / _middle(bare):.2f}  {_all(bare)} {_all(ours)}"
    )


def _bare(target, programs, login, folder):
    """Seconds until a server of the last moment runs, and until its database stands in the target."""
    started = time.perf_counter()
    copy = servers.scratch() / "data"
    shutil.copytree(f"{folder}/base", copy)
    (copy / "recovery.signal").touch()
    facts = target.server.data_dir.stat()
    for path in (copy, *copy.rglob("*")):
        os.chown(path, facts.st_uid, facts.st_gid)
    settings = (("restore_command", f'cp "{folder}/wal/%f" "%p"'), ("recovery_target_timeline", "current"))
    server = servers.throwaway(data_dir=copy, settings=settings)
    server.ensure_running()
    up = time.perf_counter() - started
    there = servers.target_of(server)
    dump, jobs = f"{folder}/dump", ["--jobs", str(min(4, os.cpu_count() or 1))]
    _run([programs / "pg_dump", "-h", there.host, "-p", there.port, "-U", there.user, "-Fc", "-f", dump, "moeen"])
    target.create("bare", owner=target.user)
    _run([programs / "pg_restore", *login, *jobs, "--exit-on-error", "-d", "bare", dump])
    servers.stop(server)
    shutil.rmtree(copy.parent)
    return up, time.perf_counter() - started


def _throughput(command):
    said = _run(command)
    return float(re.search(r"tps = ([\d.]+)", said)[1])


def _words(target, folder, *, archive="archive"):
    return {
        "DATABASE_URL": target.url("moeen"), "ARCHIVE_DATABASE_URL": target.url("postgres"), "ARCHIVE": "true",
        "ARCHIVE_DIR": f"{folder}/{archive}", "ARCHIVE_STATE": f"{folder}/{archive}-state", "LOG_DIR": f"{folder}/logs",
        "BACKUP_DIR": f"{folder}/backups", "BACKUP_RECIPIENTS": "", "BACKUP_STORAGE": "",
    }  # fmt: skip


def _wait_until_reached(folder, moment):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        spans = [span for archive in papers.archives(folder) for span in reach.spans(archive)]
        if spans and spans[-1].until > moment:
            return
        time.sleep(0.5)
    sys.exit("The archive does not reach on.")


@contextmanager
def _running(command, **environment):
    process = subprocess.Popen([str(part) for part in command], cwd=PROJECT, env=os.environ | environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def _run(command, **environment):
    done = subprocess.run(
        [str(part) for part in command], cwd=PROJECT, env=os.environ | environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{command} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _middle(values):
    return statistics.median(values)


def _all(values):
    return "[" + ", ".join(f"{value:.4g}" for value in values) + "]"
