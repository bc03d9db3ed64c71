"""`make bench-audit`: what the audit trail costs writers, beside none and beside the trail that is usually written.

Eight clients of pgbench update patients, each in a transaction of its own, on a server that keeps its promises (fsync);
then one statement updates many rows. Rounds alternate: without triggers, with ours, and with a trigger for each row
that keeps the whole row before and after as JSON and chains hashes under a lock.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from moeen.db.server.programs import MAJOR, bin_dir
from tests import servers

CLIENTS = 8
#: Whatever a throwaway server of the tests says otherwise.
SETTINGS = (("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on"), ("max_wal_size", "4GB"))
KEPT, BULK = 0.70, 3.5
#: A bulk update that takes longer is given up.
MOST_SECONDS = 120
USUAL = """
    CREATE TABLE usual_log (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz DEFAULT clock_timestamp(),
                            before jsonb, after jsonb, hash bytea NOT NULL);
    CREATE TABLE usual_head (hash bytea NOT NULL);
    INSERT INTO usual_head VALUES ('');
    CREATE FUNCTION usual() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        last bytea;
    BEGIN
        SELECT h.hash INTO last FROM usual_head AS h FOR UPDATE;
        last := sha256(last || convert_to(to_jsonb(OLD)::text || to_jsonb(NEW)::text, 'UTF8'));
        UPDATE usual_head SET hash = last;
        INSERT INTO usual_log (before, after, hash) VALUES (to_jsonb(OLD), to_jsonb(NEW), last);
        RETURN NULL;
    END $$;
    CREATE TRIGGER usual AFTER UPDATE ON patients FOR EACH ROW EXECUTE FUNCTION usual();
    ALTER TABLE patients DISABLE TRIGGER usual;
"""
OURS = "patients_audit_update"
#: What is measured -> what is switched on for it.
WAYS = {
    "none": f"ALTER TABLE patients DISABLE TRIGGER {OURS}, DISABLE TRIGGER usual",
    "ours": f"ALTER TABLE patients ENABLE ALWAYS TRIGGER {OURS}, DISABLE TRIGGER usual",
    "usual": f"ALTER TABLE patients DISABLE TRIGGER {OURS}, ENABLE TRIGGER usual",
}
WRITE = """\\set n random(1, {rows})
\\set phone random(1, 1000000000)
UPDATE patients SET phone = :phone WHERE email = :n || '@example.org';
"""


def measure(*, rounds, seconds, rows):
    """Prints the throughput of each way and the seconds of a bulk update: every round, medians and their ratios."""
    server = servers.start(settings=SETTINGS, shape=None)
    servers.set_up_project(server)
    target = servers.target_of(server)
    with target.connect(server.database, user=server.role) as owner, tempfile.TemporaryDirectory() as folder:
        owner.execute(
            "INSERT INTO patients (first_name, last_name, email, medical_history) "
            "SELECT 'Sara', 'Al-Ahmad', n || '@example.org', repeat('asthma, since 2019. ', 20) "
            "FROM generate_series(1, %s) AS n",
            [rows],
        )
        owner.execute(USUAL)
        script = Path(folder, "write.sql")
        script.write_text(WRITE.format(rows=rows), encoding="utf-8")
        command = [
            bin_dir(MAJOR) / "pgbench", "-h", target.host, "-p", target.port, "-U", server.role, "-n", "-M", "prepared",
            "-c", CLIENTS, "-j", "2", "-T", seconds, "-f", script, server.database,
        ]  # fmt: skip
        writers = _rounds(owner, rounds, lambda: _throughput(command))
        _print("8 writers, updates a second", writers, "{:.0f}", at_least=KEPT)
        bulk = _rounds(owner, rounds, lambda: _bulk(owner))
        _print(f"one update of {rows:,} rows, seconds", bulk, "{:.2f}", at_most=BULK)


def _rounds(owner, rounds, once):
    found = {way: [] for way in WAYS}
    for number in range(rounds + 1):
        for way, switch in WAYS.items():
            owner.execute(switch)
            owner.execute("VACUUM ANALYZE patients")
            result = once()
            if number:  # the first one warms the caches
                found[way].append(result)
    return found


def _throughput(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    return float(re.search(r"tps = ([\d.]+)", done.stdout)[1])


def _bulk(owner):
    """Seconds, or infinity: of a chain's head, each row of one statement leaves a version that the next one reads."""
    began = time.perf_counter()
    try:
        with owner.transaction():
            owner.execute(f"SET LOCAL statement_timeout = {MOST_SECONDS * 1000}")
            owner.execute("UPDATE patients SET phone = left(md5(clock_timestamp()::text), 20)")
    except psycopg.errors.QueryCanceled:
        return float("inf")
    return time.perf_counter() - began


def _print(what, found, form, *, at_least=None, at_most=None):
    middle = {way: statistics.median(values) for way, values in found.items()}
    print(what)
    for way, values in found.items():
        against = middle[way] / middle["none"]
        goal = ""
        if way == "ours":
            met = against >= at_least if at_least else against <= at_most
            goal = f" (goal {at_least or at_most}: {'met' if met else 'MISSED'})"
        each = ", ".join(form.format(value) for value in values)
        print(f"  {way:6} {form.format(middle[way]):>8}   ratio {against:.2f}{goal}   [{each}]", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=20, help="of each round of writers")
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    measure(rounds=options.rounds, seconds=options.seconds, rows=options.rows)


if __name__ == "__main__":
    try:
        main()
    finally:
        servers.stop_all()
    sys.exit(0)
