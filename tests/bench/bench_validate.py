"""`make bench-validate`: validate_schema beside `pg_dump --schema-only` of the same database, whole processes.

As migrated, with a million rows, and with 500 unrelated tables in another schema. Runs alternate; medians are quoted,
and what the check itself takes, without the start of Python and Django.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests import servers

PROJECT = Path(__file__).resolve().parents[2]
STATES = {
    "as migrated": "",
    "1,000 rows": "INSERT INTO patients (first_name, last_name) SELECT n::text, 'x' FROM generate_series(1, 1000) n",
    "1,000,000 rows": "INSERT INTO patients (first_name, last_name) SELECT n::text, 'x' "
    "FROM generate_series(1001, 1000000) n; ANALYZE patients",
    "500 tables beside": "CREATE SCHEMA other; DO $$ BEGIN FOR n IN 1..500 LOOP EXECUTE format('CREATE TABLE other.t%s"
    " (id int PRIMARY KEY, a text NOT NULL DEFAULT %L, b int CHECK (b > 0))', n, 'x'); END LOOP; END $$",
}


def timed(command: list[str], url: str) -> tuple[float, str]:
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=PROJECT, env=os.environ | {"DATABASE_URL": url}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    try:
        server = servers.start()
        url = servers.target_of(server, user=server.role).url("moeen")
        manage = [sys.executable, "manage.py"]
        timed([*manage, "migrate", "--verbosity", "0"], url)
        dump, check = [str(server.bin_dir / "pg_dump"), "--schema-only", url], [*manage, "validate_schema", "--json"]
        for state, script in STATES.items():
            if script:
                with servers.target_of(server, user=server.role).connect("moeen") as connection:
                    connection.execute(script)
            took: dict[str, list[float]] = {"dump": [], "check": [], "inside": []}
            for _ in range(runs):
                took["dump"].append(timed(dump, url)[0])
                seconds, said = timed(check, url)
                took["check"].append(seconds)
                took["inside"].append(json.loads(said)["seconds"])
            floor, ours, inside = (statistics.median(took[what]) for what in ("dump", "check", "inside"))
            verdict = "met" if ours <= floor else "MISSED"
            print(
                f"{state:18} pg_dump {floor:6.3f} s   validate_schema {ours:6.3f} s, of which the check {inside:6.3f} s"
                f"   ratio {ours / floor:5.2f} (goal 1: {verdict}), the check alone {inside / floor:5.2f}",
                flush=True,
            )
    finally:
        servers.stop_all()


if __name__ == "__main__":
    main()
