"""`make bench-backfill`: public ids for a million patients, beside a bare UPDATE and the older script's loop.

floor      one UPDATE of the whole table with a unique value of the same width, its triggers switched off
ours 1, 2  `backfill_public_ids` with one and with two workers, a process of its own, triggers as they stand
loop       row by row in transactions of 500, as the older script did, which looked for the next 500 from the start of
           the table each time; measured for some seconds in the middle of its way, and extrapolated

Each run has a fresh copy of the same adopted database (checks and unique index in place) on a server with the settings
of an installation. The runs alternate; medians are quoted. At the end clients read and write, first undisturbed, then
while one worker fills.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from moeen.db.public_ids import generate
from tests import servers
from tests.bench.bench_live import CORE, PROJECT, ROWS, SETTINGS, table, tell
from tests.bench.clients import Load

GOALS = {"ours 1": 1.25, "ours 2": 1.0}
LOOP_RATIO, P99_RATIO, MEMORY_MB = 10.0, 2.0, 100.0
FLOOR = "UPDATE patients SET public_id = 'pat_a' || substr(md5(id::text), 1, 23) WHERE public_id IS NULL"


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.target = servers.target_of(servers.start(settings=SETTINGS))
        self.owner = self.target.server.role
        self.logs = servers.scratch("moeen-bench-")
        self.seconds: dict[str, list[float]] = {}
        self.memory: dict[str, list[tuple[float, float]]] = {}

    def prepare(self) -> None:
        tell(f"Filling and adopting a core database: {self.options.rows:,} patients, as many appointments ...")
        self.target.create("original", owner=self.owner)
        with self.target.connect("original", user=self.owner) as connection:
            connection.execute(CORE.read_text(encoding="utf-8"))
            # Three in four with a history: about 300 bytes a row.
            rows = ROWS.replace("WHEN n % 4 = 0 THEN repeat", "WHEN n % 4 > 0 THEN repeat")
            connection.execute(rows.replace("{rows}", str(self.options.rows)))
        self.manage("original", "migrate", "--no-backup", "bench", "-v0")
        with self.target.connect("original", user=self.owner) as connection:
            connection.execute("VACUUM (ANALYZE)")
            query = "SELECT avg(pg_column_size(p)) FROM (SELECT p FROM patients AS p LIMIT 10000) AS p"
            tell(f"{connection.execute(query).fetchone()[0]:.0f} bytes a patient")

    def copy(self) -> str:
        name = "copy"
        self.target.drop(name)
        with self.target.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER {self.owner} TEMPLATE original STRATEGY FILE_COPY")
            connection.execute("CHECKPOINT")
        return name

    def manage(self, database: str, *words: str) -> tuple[dict, list[float]]:
        """The JSON of a command, and its resident memory in MB, five times a second."""
        environment = os.environ | {
            "DATABASE_URL": self.target.url(database, user=self.owner),
            "SUPABASE_PROJECT_REF": " ",
            "LOG_DIR": str(self.logs),
        }
        command = [sys.executable, "manage.py", *words]
        memory = []
        with subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True) as process:
            while process.poll() is None:
                time.sleep(0.2)
                memory.append(resident(process.pid))
            out = process.stdout.read()
        if process.returncode:
            raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
        return (json.loads(out) if out.startswith("{") else {}), memory

    def fill(self, database: str, workers: int) -> float:
        words = ("--table", "patients", "--workers", str(workers), "--no-finalize", "--json", "-v0")
        report, memory = self.manage(database, "backfill_public_ids", *words)
        if not report["complete"]:
            raise SystemExit("Not all rows were filled.")
        # The first second imports modules; after that it should stay as it is.
        settled = [one for one in memory[5:] if one]
        if settled:
            self.memory.setdefault(f"ours {workers}", []).append((settled[0], max(settled)))
        return report["tables"][0]["seconds"]

    def floor(self, database: str) -> float:
        with self.target.connect(database, user=self.owner) as connection:
            connection.execute("ALTER TABLE patients DISABLE TRIGGER USER")
            started = time.monotonic()
            connection.execute(FLOOR)
            return time.monotonic() - started

    def loop(self, database: str) -> float:
        filled, bound = 0, self.options.loop_seconds
        with self.target.connect(database, user=self.owner) as connection:
            connection.execute("ALTER TABLE patients DISABLE TRIGGER USER")
            half = f"(SELECT ctid FROM patients ORDER BY ctid OFFSET {self.options.rows // 2} LIMIT 1)"
            connection.execute(f"{FLOOR} AND ctid < {half}")
            started = time.monotonic()
            while (spent := time.monotonic() - started) < bound and filled < self.options.rows:
                query = "SELECT id FROM patients WHERE public_id IS NULL LIMIT 500"
                with connection.transaction():
                    for (key,) in connection.execute(query).fetchall():
                        connection.execute("UPDATE patients SET public_id = %s WHERE id = %s", [generate("pat_"), key])
                        filled += 1
        return spent / filled * self.options.rows

    def round(self) -> None:
        ways = {
            "floor": self.floor,
            "ours 1": lambda database: self.fill(database, 1),
            "ours 2": lambda database: self.fill(database, 2),
            "loop": self.loop,
        }
        for name, way in ways.items():
            seconds = way(self.copy())
            self.seconds.setdefault(name, []).append(seconds)
            tell(f"{name}: {seconds:.1f} s")

    def clients(self) -> tuple[float, float, int]:
        """99th percentiles in ms, undisturbed and during a fill, and the errors during it."""
        options, database = self.options, self.copy()
        load = Load(self.target.url(database, user=self.owner), clients=8, rate=options.rate, rows=options.rows)
        with load:
            time.sleep(3)  # caches fill
            begun = time.monotonic()
            time.sleep(options.undisturbed)
            start = time.monotonic()
            words = ("--table", "patients", "--json", "-v0", *options.backfill.split())
            self.manage(database, "backfill_public_ids", *words)
            end = time.monotonic()
        before, during = load.felt(begun, start), load.felt(start, end)
        tell(f"clients: {end - start:.1f} s, longest {during.longest:.0f} ms ({during.slowest}); {during.errors}")
        return before.percentile(0.99), during.percentile(0.99), during.failed


def resident(pid: int) -> float:
    """Resident memory in MB; 0 where the process has gone or the system does not tell."""
    try:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loop-seconds", type=float, default=10.0)
    parser.add_argument("--undisturbed", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=25.0, help="transactions a second of each client")
    parser.add_argument("--backfill", default="--target-ms 100", help="options of the fill that clients feel")
    parser.add_argument("--no-clients", action="store_true")
    options = parser.parse_args()
    felt = None
    try:
        bench = Bench(options)
        bench.prepare()
        for _ in range(options.rounds):
            bench.round()
        if not options.no_clients:
            felt = bench.clients()
    finally:
        servers.stop_all()
    middle = {name: statistics.median(found) for name, found in bench.seconds.items()}
    rows = [["way", "seconds (median)", "all runs", "rows/s", "times the floor", "memory MB, early and most"]]
    for name, seconds in middle.items():
        memory = bench.memory.get(name, [])
        shown = f"{max(one for one, _ in memory):.0f}, {max(most for _, most in memory):.0f}" if memory else "-"
        runs = ", ".join(f"{one:.1f}" for one in bench.seconds[name])
        ratio = f"{seconds / middle['floor']:.2f}"
        rows.append([name, f"{seconds:.1f}", runs, f"{options.rows / seconds:,.0f}", ratio, shown])
    print(table(rows))
    goals = {f"{name} within {goal}": middle[name] <= goal * middle["floor"] for name, goal in GOALS.items()}
    goals[f"{LOOP_RATIO:.0f} times the loop"] = middle["loop"] >= LOOP_RATIO * middle["ours 1"]
    goals[f"memory < {MEMORY_MB:.0f} MB"] = all(most < MEMORY_MB for seen in bench.memory.values() for _, most in seen)
    if felt:
        before, during, errors = felt
        print(f"\n8 clients: p99 {before:.1f} ms undisturbed, {during:.1f} ms during a fill; {errors} errors.")
        goals["no errors"] = errors == 0
        goals[f"p99 within {P99_RATIO:.0f} times"] = during <= P99_RATIO * before
    print("\nGoals: " + ", ".join(f"{goal} {'met' if met else 'MISSED'}" for goal, met in goals.items()))
    return 0 if all(goals.values()) else 3


if __name__ == "__main__":
    sys.exit(main())
