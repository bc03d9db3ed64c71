"""`make bench-live`: a *core* database is adopted while clients read and write; what do the clients feel of it?

Three ways, each on its own copy of the same database, one after the other:

ours          `migrate`, then `backfill_public_ids`
plain django  the ordinary operations for the same six tables (plain_adoption); once more when a deadlock ends it
older SQL     the older scripts' statements: ADD COLUMN ... UNIQUE, the backfill row by row in transactions of 500,
              CREATE UNIQUE INDEX. The backfill is cut short after --older-seconds; its time is extrapolated.

Before each, the clients are measured undisturbed on the same copy. Latencies in milliseconds.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from moeen.db.public_ids import generate
from tests import servers
from tests.bench.clients import Felt, Load

PROJECT = Path(__file__).resolve().parents[2]
CORE = PROJECT / "tests" / "states" / "core.sql"
LONGEST_STALL_MS = 600.0
P99_RATIO = 2.0
PREFIXES = {
    "patients": "pat_",
    "doctors": "doc_",
    "appointments": "apt_",
    "sessions": "ses_",
    "insurance_claims": "clm_",
}
# As an installation runs, not as tests do.
SETTINGS = (
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("autovacuum", "on"),
    ("shared_buffers", "256MB"),
    ("max_wal_size", "2GB"),
)
ROWS = """
INSERT INTO users (id, email, password_hash, name, role)
SELECT md5('users' || n)::uuid, 'user' || n || '@example.test', '$2b$12$' || md5('p' || n), 'User ' || n, 'user'
FROM generate_series(1, 1000) AS n;

INSERT INTO doctors (id, user_id, first_name, last_name, specialization, license_number, phone, email)
SELECT md5('doctors' || n)::uuid, md5('users' || n)::uuid, 'Doctor', 'Number ' || n, 'Neurology', 'L' || n,
       '+96650000' || n, 'doctor' || n || '@example.test'
FROM generate_series(1, 100) AS n;

INSERT INTO patients (id, first_name, last_name, email, phone, date_of_birth, gender, address, emergency_contact_name,
                      emergency_contact_phone, medical_history, allergies, created_at, updated_at)
SELECT md5('patients' || n)::uuid, 'Patient', 'Number ' || n, 'patient' || n || '@example.test',
       '+9665' || lpad(n::text, 8, '0'), date '1940-01-01' + n % 25000, (ARRAY['male', 'female'])[1 + n % 2],
       'شارع الاختبار ' || n || ', flat ' || n % 50,
       CASE WHEN n % 3 = 0 THEN 'جهة اتصال ' || n END, CASE WHEN n % 3 = 0 THEN '+9665' || lpad(n::text, 8, '1') END,
       CASE WHEN n % 4 = 0 THEN repeat('history of the patient; ', 1 + n % 12) END,
       CASE WHEN n % 5 = 0 THEN 'penicillin' END,
       timestamp '2020-01-01' + n * interval '2 minutes', timestamp '2025-01-01' + n * interval '10 seconds'
FROM generate_series(1, {rows}) AS n;

INSERT INTO appointments (id, patient_id, doctor_id, appointment_date, appointment_time, status, notes, created_at)
SELECT md5('appointments' || n)::uuid, md5('patients' || n)::uuid, md5('doctors' || 1 + n % 100)::uuid,
       date '2020-01-01' + n % 2200, time '08:00' + n % 32 * interval '15 minutes',
       (ARRAY['scheduled', 'confirmed', 'completed', 'cancelled', NULL])[1 + n % 5],
       CASE WHEN n % 3 = 0 THEN repeat('note on the visit; ', 1 + n % 6) END,
       timestamp '2020-01-01' + n * interval '2 minutes'
FROM generate_series(1, {rows}) AS n;

INSERT INTO sessions (appointment_id, patient_id, doctor_id, session_date, session_time, status, diagnosis)
SELECT md5('appointments' || n)::uuid, md5('patients' || n)::uuid, md5('doctors' || 1 + n % 100)::uuid,
       date '2020-01-01' + n % 2200, time '09:00', 'completed', 'a diagnosis of some words'
FROM generate_series(1, {rows} / 20) AS n;

INSERT INTO insurance_claims (patient_id, appointment_id, claim_number, claim_amount, status)
SELECT md5('patients' || n)::uuid, md5('appointments' || n)::uuid, 'C' || n, 100 + n % 900, 'pending'
FROM generate_series(1, {rows} / 20) AS n;
"""


@dataclass
class Way:
    """One way of adopting, and what it cost."""

    name: str
    adopt: Callable[["Bench", str], float]
    before: Felt = None
    during: Felt = None
    seconds: float = 0.0
    measured: float = 0.0
    gave_up: bool = False

    @property
    def ratio(self) -> float:
        return self.during.percentile(0.99) / (self.before.percentile(0.99) or 1)

    def row(self) -> list[str]:
        wall = f"{self.seconds:.0f} s" if self.seconds == self.measured else f"~{self.seconds:.0f} s"
        wall = f"{wall}, not done" if self.gave_up else wall
        before, during = self.before.percentile(0.99), self.during.percentile(0.99)
        return [
            self.name,
            f"{self.during.failed:,}",
            f"{self.during.longest:,.0f}",
            f"{during:,.1f}",
            f"{before:,.1f}",
            f"{self.ratio:,.1f}",
            wall,
            f"{len(self.during.milliseconds):,}",
        ]


HEADER = ["way", "errors", "longest stall", "p99", "p99 undisturbed", "ratio", "wall time", "statements"]


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        bin_dir = Path(options.bin_dir) if options.bin_dir else None
        self.target = servers.target_of(servers.start(bin_dir=bin_dir, settings=SETTINGS))
        self.owner = self.target.server.role
        self.logs = servers.scratch("moeen-bench-")
        self.phases: list[tuple[str, float, float]] = []
        self.gave_up = False

    def prepare(self) -> None:
        tell(f"Filling a core database: {self.options.rows:,} patients, as many appointments ...")
        self.target.create("original", owner=self.owner)
        with self.target.connect("original", user=self.owner) as connection:
            connection.execute(CORE.read_text(encoding="utf-8"))
            connection.execute(ROWS.replace("{rows}", str(self.options.rows)))
            connection.execute("VACUUM (ANALYZE, FREEZE)")
            (size,) = connection.execute("SELECT pg_size_pretty(pg_database_size(current_database()))").fetchone()
        tell(f"{size}")

    def measure(self, way: Way) -> None:
        name, options = f"bench_{way.name.replace(' ', '_').lower()}", self.options
        with self.target.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER {self.owner} TEMPLATE original STRATEGY FILE_COPY")
            connection.execute("CHECKPOINT")
        url = self.target.url(name, user=self.owner)
        tell(f"{way.name}: undisturbed for {options.undisturbed:.0f} s ...")
        load = Load(url, clients=options.clients, rate=options.rate, rows=options.rows)
        try:
            with load:
                time.sleep(2)  # caches fill
                begun = time.monotonic()
                time.sleep(options.undisturbed)
                tell(f"{way.name}: adopting ...")
                self.phases, self.gave_up = [], False
                start = time.monotonic()
                with Watch(url) as watch:
                    extrapolated = way.adopt(self, url)
                end = time.monotonic()
                time.sleep(1)
            way.before, way.during = load.felt(begun, start), load.felt(start, end)
            way.gave_up = self.gave_up
            way.measured, way.seconds = end - start, end - start + extrapolated
        finally:
            self.target.drop(name)
        tell(f"{way.name}: {' | '.join(way.row()[1:])}; the longest: {way.during.slowest}")
        for phase, *stretch in self.phases:
            felt = load.felt(*stretch)
            middle, high = felt.percentile(0.5), felt.percentile(0.99)
            tell(f"    {phase}: p50 {middle:.1f}, p99 {high:.1f}, longest {felt.longest:.0f} ({felt.slowest})")
        for (event, behind), count in watch.seen.most_common(6):
            tell(f"    waited {count / 10:.1f} s in all for {event}{' behind ' + behind if behind else ''}")
        for error, count in sorted(way.during.errors.items()):
            tell(f"    {count:,} x {error}")
        if options.samples:
            with Path(options.samples).open("a", encoding="utf-8") as file:
                for due, milliseconds, error, kind in load.samples:
                    file.write(f"{way.name},{due - start:.3f},{milliseconds:.2f},{kind},{error}\n")

    def run(self, url: str, *command: str, tries: int = 1) -> None:
        """Run a process; ``tries`` more than one: again when PostgreSQL ended it to resolve a deadlock."""
        environment = os.environ | {"DATABASE_URL": url, "SUPABASE_PROJECT_REF": " ", "LOG_DIR": str(self.logs)}
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, *command], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
        )
        self.phases.append((command[1], started, time.monotonic()))
        tell(f"    {' '.join(command[:2])}: {time.monotonic() - started:.1f} s")
        if done.returncode and "deadlock detected" in done.stderr and tries > 1:
            tell("    rolled back: deadlock with a client; once more")
            self.run(url, *command, tries=tries - 1)
        elif done.returncode and "deadlock detected" in done.stderr:
            self.gave_up = True
        elif done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        retries = [line for line in done.stderr.splitlines() if "waiting for a lock" in line]
        for line in retries:
            tell(f"    {line}")


class Watch:
    """Looks ten times a second at what clients wait for that have waited for 100 ms, and behind which statement."""

    QUERY = """
        SELECT coalesce(a.wait_event_type || ' ' || a.wait_event, 'the processor'),
               coalesce((SELECT left(regexp_replace(b.query, '\\s+', ' ', 'g'), 70) FROM pg_stat_activity AS b
                         WHERE b.pid = (pg_blocking_pids(a.pid))[1]), '')
        FROM pg_stat_activity AS a
        WHERE a.datname = current_database() AND a.application_name = 'client' AND a.state = 'active'
          AND clock_timestamp() - a.query_start > interval '100 ms'
    """

    def __init__(self, url: str) -> None:
        self.seen: Counter[tuple[str, str]] = Counter()
        self._url, self._stop = url, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._stop.set()
        self._thread.join(timeout=30)

    def _look(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._stop.wait(0.1):
                self.seen.update(connection.execute(self.QUERY).fetchall())


def ours(bench: Bench, url: str) -> float:
    bench.run(url, "manage.py", "migrate", "--no-backup", "bench")
    bench.run(url, "manage.py", "backfill_public_ids", *bench.options.backfill.split())
    with psycopg.connect(url) as connection:
        for table in PREFIXES:
            (empty,) = connection.execute(f"SELECT count(*) FROM {table} WHERE public_id IS NULL").fetchone()
            if empty:
                raise SystemExit(f"{empty} rows of {table} have no public id: the adoption is not finished.")
    return 0.0


def plain_django(bench: Bench, url: str) -> float:
    bench.run(url, "-m", "tests.bench.plain_adoption", tries=2)
    return 0.0


def older_sql(bench: Bench, url: str) -> float:
    """The statements of 001 to 003; the seconds that the rest of the row-by-row backfill would have taken."""
    left = filled = 0
    with psycopg.connect(url, autocommit=True) as connection:
        for table in PREFIXES:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS public_id varchar(255)")
        deadline = time.monotonic() + bench.options.older_seconds
        started = time.monotonic()
        for table, prefix in PREFIXES.items():
            share = deadline if table != "patients" else started + bench.options.older_seconds / 2
            while time.monotonic() < share:
                query = f"SELECT id FROM {table} WHERE public_id IS NULL LIMIT 500"
                with connection.transaction():
                    ids = [key for (key,) in connection.execute(query)]
                    for key in ids:
                        connection.execute(f"UPDATE {table} SET public_id = %s WHERE id = %s", [generate(prefix), key])
                filled += len(ids)
                if len(ids) < 500:
                    break
            query = f"SELECT count(*) FROM {table} WHERE public_id IS NULL"
            left += connection.execute(query).fetchone()[0]
        spent = time.monotonic() - started
        for table in PREFIXES:
            connection.execute(f"CREATE UNIQUE INDEX {table}_public_id_unique ON {table} (public_id)")
            connection.execute(f"CREATE INDEX IF NOT EXISTS idx_{table}_public_id ON {table} (public_id)")
    tell(f"    row by row: {filled:,} rows in {spent:.0f} s, {left:,} left")
    return spent / max(filled, 1) * left


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def table(rows: list[list[str]]) -> str:
    """The rows as a Markdown table."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


WAYS = {"ours": ours, "plain Django": plain_django, "older SQL": older_sql}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="patients, and as many appointments")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=float, default=25.0, help="transactions a second of each client")
    parser.add_argument("--undisturbed", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--older-seconds", type=float, default=60.0, help="bound of the older scripts' backfill")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--backfill", default="", help='options for backfill_public_ids, such as "--target-ms 100"')
    parser.add_argument(
        "--samples", default="", metavar="FILE", help="write every statement: way, second, ms, kind, error"
    )
    parser.add_argument("--bin-dir", default="", help="PostgreSQL programs other than the embedded ones")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the server must not stay behind
    started, ways = time.monotonic(), [Way(name, WAYS[name]) for name in options.ways]
    try:
        bench = Bench(options)
        bench.prepare()
        for way in ways:
            bench.measure(way)
    finally:
        servers.stop_all()
    print(table([HEADER, *(way.row() for way in ways)]))
    print(
        f"\nLatencies in ms. {options.rows:,} patients, {options.rows:,} appointments; {options.clients} clients,"
        f" {options.rate:.0f} transactions a second each; {time.monotonic() - started:.0f} s in all."
    )
    missed = False
    for way in ways:
        if way.name == "ours":
            goals = {
                "0 errors": way.during.failed == 0,
                f"longest stall < {LONGEST_STALL_MS:.0f} ms": way.during.longest < LONGEST_STALL_MS,
                f"p99 within {P99_RATIO:.0f} times": way.ratio <= P99_RATIO,
            }
            missed = not all(goals.values())
            print("Goals: " + ", ".join(f"{goal} {'met' if met else 'MISSED'}" for goal, met in goals.items()))
    return 3 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
