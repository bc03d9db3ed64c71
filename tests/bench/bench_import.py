"""`make bench-import`: a million patients and as many appointments imported, beside a bare copy of the same rows.

floor   `COPY table TO` piped into `COPY table FROM` of the rows that the import wrote, into tables without anything on
        them, and then the same indexes: those of keys, the unique ones, and the one for words; no foreign key and no
        rule, no statistics
keys    the same of the table that keeps which row had which key, told beside: the floor has no part of it
ours    `import_database` from a database with integer keys: keys made, references followed, every row judged, proven
again   the same once more, after 10,000 rows of the source were inserted, updated and deleted

Each is a process or a session of its own, on a server with the settings of an installation.
"""

import argparse
import os
import subprocess
import sys
import time

import psycopg

from tests import generations, servers
from tests.bench.bench_live import PROJECT, SETTINGS, table, tell
from tests.test_import_long import CHANGES, MORE

GOAL, GOAL_AGAIN = 1.5, 5.0
TABLES, KEYS = ("patients", "appointments"), ("legacy_keys",)
COLUMNS = """
    SELECT string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
    FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
"""
MAPPING = PROJECT / "docs" / "import" / "integer_keys.toml"


class Bench:
    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.target = servers.target_of(servers.start(settings=SETTINGS))
        self.owner = self.target.server.role

    def connect(self, name: str) -> psycopg.Connection:
        return self.target.connect(name, user=self.owner, options="-c row_security=off")

    def prepare(self) -> None:
        tell(f"Filling a database of integer keys: {self.rows:,} patients, as many appointments ...")
        self.target.create("source", owner=self.owner)
        with self.connect("source") as connection:
            connection.execute((generations.SCRIPTS / "integer_keys.sql").read_text(encoding="utf-8"))
            connection.execute(MORE.replace("{rows}", str(self.rows)))
        self.target.create("ours", owner=self.owner)
        self.manage("migrate", "--no-backup", "bench", "-v0")

    def manage(self, *words: str) -> float:
        environment = os.environ | {
            "DATABASE_URL": self.target.url("ours", user=self.owner),
            "OLD_URL": self.target.url("source", user=self.owner),
            "SUPABASE_PROJECT_REF": " ",
        }
        started = time.monotonic()
        subprocess.run(
            [sys.executable, "manage.py", *words], cwd=PROJECT, env=environment, check=True, stdout=sys.stderr
        )
        return time.monotonic() - started

    def ours(self) -> float:
        return self.manage("import_database", "--from", "env:OLD_URL", "--map", str(MAPPING), "-v0")

    def floor(self, tables: tuple[str, ...] = TABLES) -> float:
        """The other tables hold a few hundred rows, and are left out of it.

        It is a schema beside: an index names a function of ours.
        """
        with self.connect("ours") as ours, self.connect("ours") as bare:
            bare.execute("CREATE SCHEMA bare")
            started = time.monotonic()
            for name in tables:
                (columns,) = ours.execute(COLUMNS, [name]).fetchone()
                bare.execute(f"CREATE TABLE bare.{name} ({columns})")
                out, into = f"COPY {name} TO STDOUT", f"COPY bare.{name} FROM STDIN"
                with ours.cursor().copy(out) as leaving, bare.cursor().copy(into) as coming:
                    for chunk in leaving:
                        coming.write(chunk)
                for (index,) in ours.execute(
                    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = %s", [name]
                ).fetchall():
                    bare.execute(index.replace(" ON public.", " ON bare."))
            taken = time.monotonic() - started
            bare.execute("DROP SCHEMA bare CASCADE")
        return taken

    def change(self) -> None:
        with self.connect("source") as connection:
            connection.execute(CHANGES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    bench = Bench(parser.parse_args().rows)
    bench.prepare()
    ours = bench.ours()
    floor, keys = bench.floor(), bench.floor(KEYS)
    bench.change()
    again = bench.ours()
    rows = [
        ["floor", f"{floor:.1f} s", "", ""],
        ["keys", f"{keys:.1f} s", f"the import is {ours / (floor + keys):.2f} times both", ""],
        ["ours", f"{ours:.1f} s", f"{ours / floor:.2f} times the floor", f"{GOAL}"],
        ["again", f"{again:.1f} s", f"{ours / again:.1f} times as fast as the first", f"{GOAL_AGAIN}"],
    ]
    print(table([["what", "seconds", "ratio", "goal"], *rows]))
    servers.stop_all()
    raise SystemExit(ours / floor > GOAL or ours / again < GOAL_AGAIN)


if __name__ == "__main__":
    main()
