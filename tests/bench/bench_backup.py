"""`make bench-backup`: backup and verification beside bare pg_dump and pg_restore of the same format and jobs; then
archiving (see bench_archive).

A million patients and a million appointments on a throwaway server. The runs alternate; medians are quoted. Bare
pg_restore goes into a new database of a throwaway server with the verification's own settings, started beforehand.
"""

import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from moeen.db.server.programs import MAJOR, bin_dir
from tests import servers
from tests.bench import bench_archive

PROJECT = Path(__file__).resolve().parents[2]
GOALS = {"backup": 1.15, "verify": 1.4}
DURABLE = (("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on"))
FILL = """
INSERT INTO doctors (first_name, last_name) SELECT 'Omar', 'Haddad ' || n FROM generate_series(1, 200) n;
INSERT INTO patients (public_id, first_name, last_name, email, phone, date_of_birth, gender, address, medical_history)
SELECT 'pat_a' || substr(md5('p' || n), 1, 23), (ARRAY['ليلى', 'عمر', 'Nadia', 'سلمى'])[1 + n % 4], 'الأحمد ' || n,
       'patient' || n || '@example.test', '+9665' || lpad(n::text, 8, '0'), date '1940-01-01' + n % 25000,
       (ARRAY['male', 'female'])[1 + n % 2], 'شارع الملك ' || md5('a' || n),
       CASE WHEN n % 3 = 0 THEN 'History of ' || md5('h' || n) || ' and ' || md5('i' || n) || ' سجل طبي' END
FROM generate_series(1, ROWS) n;
INSERT INTO appointments (public_id, patient_id, doctor_id, appointment_date, appointment_time, status, notes)
SELECT 'apt_a' || substr(md5('p' || p.n), 1, 23), p.id, d.id, date '2024-01-01' + p.n::int % 1000,
       time '08:00' + (p.n % 40) * interval '15 min', (ARRAY['scheduled', 'confirmed', 'completed'])[1 + p.n % 3],
       CASE WHEN p.n % 2 = 0 THEN 'ملاحظة ' || md5('n' || p.n) END
FROM (SELECT id, row_number() OVER () n FROM patients) p
JOIN (SELECT id, row_number() OVER () n FROM doctors) d ON d.n = 1 + p.n % 200;
"""


def timed(command, **environment):
    started = time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command],
        cwd=PROJECT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{command} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started, done


def measure(runs, rows, jobs, folder):
    target = servers.target_of(servers.start(settings=DURABLE))
    owner = target.server.role
    url = target.url("moeen", user=owner)
    timed([sys.executable, "manage.py", "migrate", "--verbosity", "0"], DATABASE_URL=url)
    with target.connect("moeen") as connection:
        # As a bulk load: the audit trail is not what is measured.
        connection.execute("SET session_replication_role = replica")
        connection.execute(FILL.replace("ROWS", str(rows)))
        connection.execute("VACUUM ANALYZE")
    from moeen.db.backups import scratch

    bare = servers.target_of(servers.start(settings=scratch.SETTINGS))
    with bare.connect() as connection, target.connect() as source:
        query = "SELECT rolname FROM pg_roles WHERE rolname ~ '^moeen_'"
        for (name,) in {*source.execute(query).fetchall()} - {*connection.execute(query).fetchall()}:
            connection.execute(f'CREATE ROLE "{name}"')
    programs = bin_dir(MAJOR)
    shape = [f"--format={'directory' if jobs > 1 else 'custom'}", *([f"--jobs={jobs}"] if jobs > 1 else [])]
    spread = [f"--jobs={min(4, os.cpu_count() or 1)}"] if (os.cpu_count() or 1) > 1 else []
    place = f"{folder}/backups/"
    variables = {"DATABASE_URL": url, "LOG_DIR": f"{folder}/logs", "BACKUP_RECIPIENTS": "", "BACKUP_STORAGE": ""}
    seconds = {}
    for run in range(runs + 1):
        dump = f"{folder}/bare"
        steps = {
            "pg_dump": [programs / "pg_dump", *shape, "--file", dump, url],
            "backup": [sys.executable, "manage.py", "backup_database", "--jobs", jobs, "--to", place],
            "pg_restore": [programs / "pg_restore", *spread, "--exit-on-error", "-d", bare.url("restored"), dump],
            "verify": [sys.executable, "manage.py", "verify_backup", "latest", "--from", place],
        }
        bare.create("restored", owner="postgres")
        for name, command in steps.items():
            took, done = timed(command, **variables)
            if run:  # the first one warms the caches
                seconds.setdefault(name, []).append(took)
                inner = re.search(r"([\d.]+) s\)?$", done.stdout, flags=re.M)
                if inner:
                    seconds.setdefault(f"{name} itself", []).append(float(inner[1]))
        bare.drop("restored")
        for path in (Path(dump), Path(place)):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--writing-seconds", type=int, default=20, help="of each round of the archive's writers")
    parser.add_argument("--scale", type=int, default=10, help="of pgbench's tables for those")
    parser.add_argument("--only", choices=("backup", "writers", "moment"), help="one part alone")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.environ |= {"BACKUP_SIGNING_KEY": f"{folder}/backup.key", "BACKUP_PUBLIC_KEYS": ""}
            timed([sys.executable, "manage.py", "make_backup_keys"])
            if options.only in (None, "backup"):
                told(measure(options.runs, options.rows, options.jobs, folder))
            if options.only != "backup":
                # Whoever runs root's servers reads what lies in it.
                Path(folder).chmod(0o755)
                bench_archive.measure(
                    rounds=options.runs, seconds=options.writing_seconds, scale=options.scale, settings=DURABLE,
                    folder=folder, only=options.only,
                )  # fmt: skip
    finally:
        servers.stop_all()


def told(seconds):
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    for ours, floor in (("backup", "pg_dump"), ("verify", "pg_restore")):
        ratio = middle[ours] / middle[floor]
        verdict = "met" if ratio <= GOALS[ours] else "MISSED"
        print(
            f"{ours:7} {floor} {middle[floor]:6.2f} s   ours {middle[ours]:6.2f} s "
            f"(without Python's start {middle[f'{ours} itself']:.2f} s)   "
            f"ratio {ratio:4.2f} (goal {GOALS[ours]}: {verdict})"
        )
    print(f"most memory of one process: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
