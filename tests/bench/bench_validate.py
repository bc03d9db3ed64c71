"""`make bench-validate`: validate_schema beside `pg_dump --schema-only` of the same database, whole processes.

As migrated, with a thousand and a million rows, and with 500 unrelated tables, in a schema of their own and in
`public`, where each is a finding. Runs alternate; medians are quoted, with what the check takes without the start of
Python and Django. Beside them stands what a process costs that does nothing: that imports psycopg, or sets Django up.
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
TABLES = (
    "DO $$ BEGIN FOR n IN 1..500 LOOP EXECUTE format('CREATE TABLE {schema}.t%s"
    " (id int PRIMARY KEY, a text NOT NULL DEFAULT %L, b int CHECK (b > 0))', n, 'x'); END LOOP; END $$"
)
ROWS = (
    "INSERT INTO patients (first_name, last_name) SELECT n::text, 'x' FROM generate_series({}, {}) n; ANALYZE patients"
)
#: State -> how it is made of the one before, and how many findings there are.
STATES = {
    "as migrated": ("", 0),
    "1,000 rows": (ROWS.format(1, 1000), 0),
    "1,000,000 rows": (ROWS.format(1001, 1_000_000), 0),
    "500 tables beside": (f"CREATE SCHEMA other; {TABLES.format(schema='other')}", 0),
    "500 more in public": (TABLES.format(schema="public"), 500),
}
# What is installed is compiled once, pg_dump too.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def timed(command: list[str], url: str, *, code: int = 0) -> tuple[float, str]:
    started = time.perf_counter()
    environment = ENVIRONMENT | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "moeen.settings"}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != code:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}, not {code}:\n{done.stdout[-2000:]}{done.stderr}")
    return time.perf_counter() - started, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    print(
        f"Load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; medians of {runs} runs in turn, in seconds."
    )
    try:
        server = servers.start()
        url = servers.target_of(server, user=server.role).url("moeen")
        manage = [sys.executable, "manage.py"]
        timed([*manage, "migrate", "--verbosity", "0"], url)
        commands = {
            "psycopg": [sys.executable, "-c", "import psycopg"],
            "django": [sys.executable, "-c", "import django; django.setup()"],
            "dump": [str(server.bin_dir / "pg_dump"), "--schema-only", url],
            "validate": [*manage, "validate_schema", "--json"],
        }
        heads = (
            "import psycopg",
            "django.setup()",
            "pg_dump -s",
            "validate_schema",
            "its check",
            "ratio",
            "ratio of check",
        )
        print(f"{'':18} " + "  ".join(f"{head:>15}" for head in heads))
        for state, (script, findings) in STATES.items():
            if script:
                with servers.target_of(server, user=server.role).connect("moeen") as connection:
                    connection.execute(script)
            took: dict[str, list[float]] = {name: [] for name in (*commands, "inside")}
            for number in range(runs + 1):
                for name, command in commands.items():
                    code = 3 if name == "validate" and findings else 0
                    seconds, said = timed(command, url, code=code)
                    if number:  # the first fills caches
                        took[name].append(seconds)
                        if name == "validate":
                            result = json.loads(said)
                            assert len(result["findings"]) == findings
                            took["inside"].append(result["seconds"])
            medians = {name: statistics.median(values) for name, values in took.items()}
            figures = [f"{medians[name]:15.3f}" for name in ("psycopg", "django", "dump", "validate", "inside")]
            figures += [f"{medians[name] / medians['dump']:15.2f}" for name in ("validate", "inside")]
            print(f"{state:18} " + "  ".join(figures), flush=True)
    finally:
        servers.stop_all()


if __name__ == "__main__":
    main()
