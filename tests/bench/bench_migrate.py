"""`make bench-migrate`: our migrate beside plain Django's of the same models, whole processes, in one run.

Fresh: an empty database each time. No-op: the same database once more. The runs alternate; medians are quoted.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests import servers

PROJECT = Path(__file__).resolve().parents[2]
FUNCTIONS = PROJECT / "sysadmin" / "sql" / "0001_functions.sql"
GOALS = {"fresh": 1.5, "no-op": 1.3}
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
    runs = parser.parse_args().runs
    plain, ours = ["-m", "tests.bench.plain"], ["manage.py"]
    seconds: dict[tuple[str, str], list[float]] = {}
    try:
        target = servers.target_of(servers.start(settings=DURABLE))
        owner = target.server.role
        with tempfile.TemporaryDirectory() as folder:
            url = target.url("moeen", user=owner)
            timed([*plain, "makemigrations", "--verbosity", "0"], BENCH_PLAIN=folder, DATABASE_URL=url)
            for run in range(runs + 1):
                for who, command in (("plain", plain), ("ours", ours)):
                    name = f"bench_{who}_{run}"
                    target.create(name, owner=owner)
                    if who == "plain":  # its tables have the same defaults, so the functions must stand
                        with target.connect(name, user=owner) as connection:
                            connection.execute(FUNCTIONS.read_text(encoding="utf-8"))
                    environment = {"BENCH_PLAIN": folder, "DATABASE_URL": target.url(name, user=owner)}
                    for kind in GOALS:
                        took = timed([*command, "migrate"], **environment)
                        if run:  # the first warms the disk's cache and Python's
                            seconds.setdefault((kind, who), []).append(took)
                    target.drop(name)
    finally:
        servers.stop_all()
    for kind, goal in GOALS.items():
        floor, our = (statistics.median(seconds[kind, who]) for who in ("plain", "ours"))
        verdict = "met" if our / floor <= goal else "MISSED"
        print(f"{kind:6} plain {floor:6.3f} s   ours {our:6.3f} s   ratio {our / floor:4.2f} (goal {goal}: {verdict})")


if __name__ == "__main__":
    main()
