"""`make bench-fleet`: what a migrate costs a clinic that is at the newest schema, in one process and one by one.

Databases are copies of a migrated one. The fleet's run is one process with one worker, and with as many as there are
processors; beside it stands a loop of single commands over some of the same databases, each a process of its own.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests import fleets, servers


def timed(environment: dict[str, str], *words: str) -> tuple[float, str]:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "manage.py", *words], cwd=servers.PROJECT, env={**os.environ, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 3):
        sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - started, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clinics", type=int, default=200)
    parser.add_argument("--singles", type=int, default=10, help="so many are migrated by single commands")
    given = parser.parse_args()
    print(f"Load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
    try:
        with tempfile.TemporaryDirectory() as folder:
            clinics = fleets.make(Path(folder), many=given.clinics, behind=False)
            migrate = ("migrate", "--no-backup", "bench")
            loop = []
            for number in range(given.singles):
                url = (Path(folder) / f"clinic_{number:03}").read_text()
                loop.append(timed({"DATABASE_URL": url}, *migrate)[0])
            single = statistics.median(loop)
            print(f"single commands: {single:.3f} s each (median of {given.singles})")
            for workers in dict.fromkeys((1, os.cpu_count() or 1)):
                words = ("fleet", *migrate, "--json", "--side-by-side", str(workers), "--anew", "--stall-limit", "60")
                whole, out = timed(clinics.environment, *words)
                turn = statistics.median(one["seconds"] for one in json.loads(out)["clinics"])
                each = whole / given.clinics
                print(
                    f"fleet, {workers} at once: {whole:.1f} s whole, {each:.3f} s a clinic, a turn {turn:.3f} s "
                    f"(median); {single / each:.1f} times as fast as the loop"
                )
            for which in ("at first", "again"):
                seconds = json.loads(timed(clinics.environment, "fleet", "status", "--json")[1])["seconds"]
                print(f"status {which}: {seconds:.2f} s")
    finally:
        servers.stop_all()


if __name__ == "__main__":
    main()
