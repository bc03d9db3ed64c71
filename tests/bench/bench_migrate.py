"""`make bench-migrate`: our migrate beside plain Django's of the same models, whole processes, in one run.

Fresh: an empty database each time. No-op: the same database once more. Adoption: an older database, rehearsed and not;
as many seconds as the rehearsal takes. The runs alternate; medians are quoted.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from moeen.db.statements import split
from tests import servers, states

PROJECT = Path(__file__).resolve().parents[2]
FUNCTIONS = PROJECT / "sysadmin" / "sql" / "0001_functions.sql"
#: Holds the one that indexes of names call.
SEARCH = PROJECT / "sysadmin" / "sql" / "0031_search.sql"
GOALS = {"fresh": 1.5, "no-op": 1.3}
#: Seconds that a rehearsal may add.
REHEARSAL = 10
OLDER = ("core", "full")
# As an installation runs, not as tests do.
DURABLE = (("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on"))


def timed(command: list[str], **environment: str) -> float:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *command],
        cwd=PROJECT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--only", choices=("migrate", "adoption"))
    options = parser.parse_args()
    try:
        target = servers.target_of(servers.start(settings=DURABLE))
        if options.only != "adoption":
            _beside_plain(target, options.runs)
        if options.only != "migrate":
            _adoptions(target, options.runs)
    finally:
        servers.stop_all()


def _beside_plain(target: servers.Target, runs: int) -> None:
    plain, ours = ["-m", "tests.bench.plain"], ["manage.py"]
    seconds: dict[tuple[str, str], list[float]] = {}
    owner = target.server.role
    with tempfile.TemporaryDirectory() as folder:
        url = target.url("moeen", user=owner)
        timed([*plain, "makemigrations", "--verbosity", "0"], BENCH_PLAIN=folder, DATABASE_URL=url)
        for run in range(runs + 1):
            for who, command in (("plain", plain), ("ours", ours)):
                name = f"bench_{who}_{run}"
                target.create(name, owner=owner)
                if who == "plain":  # its tables have the same defaults and indexes, so the functions must stand
                    with target.connect(name, user=owner) as connection:
                        connection.execute(FUNCTIONS.read_text(encoding="utf-8"))
                        for statement in split(SEARCH.read_text(encoding="utf-8")):
                            if statement.matches(r"^CREATE OR REPLACE FUNCTION app\.search_words"):
                                connection.execute(statement.text)
                environment = {"BENCH_PLAIN": folder, "DATABASE_URL": target.url(name, user=owner)}
                for kind in GOALS:
                    took = timed([*command, "migrate"], **environment)
                    if run:  # the first warms the disk's cache and Python's
                        seconds.setdefault((kind, who), []).append(took)
                target.drop(name)
    for kind, goal in GOALS.items():
        floor, our = (statistics.median(seconds[kind, who]) for who in ("plain", "ours"))
        verdict = "met" if our / floor <= goal else "MISSED"
        print(f"{kind:6} plain {floor:6.3f} s   ours {our:6.3f} s   ratio {our / floor:4.2f} (goal {goal}: {verdict})")


def _adoptions(target: servers.Target, runs: int) -> None:
    owner = target.server.role
    ways = {"rehearsed": (), "not rehearsed": ("--no-rehearsal", "bench")}
    for state in OLDER:
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for run in range(runs + 1):
            for way, arguments in ways.items():
                name = f"bench_{state}_{run}"
                target.create(name, owner=owner)
                with target.connect(name, user=owner) as connection:
                    states.load(connection, state)
                url = target.url(name, user=owner)
                took = timed(["manage.py", "migrate", "--no-backup", "bench", *arguments], DATABASE_URL=url)
                if run:
                    seconds[way].append(took)
                target.drop(name)
        with_it, without = (statistics.median(seconds[way]) for way in ways)
        verdict = "met" if with_it - without <= REHEARSAL else "MISSED"
        print(
            f"adoption of {state:4} not rehearsed {without:6.3f} s   rehearsed {with_it:6.3f} s   "
            f"more {with_it - without:5.2f} s (goal {REHEARSAL}: {verdict})"
        )


if __name__ == "__main__":
    main()
