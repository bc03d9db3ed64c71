"""`make test-import`: imports that are killed and go on, and second runs at size; KILLS=10 for fewer kills."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests import generations, servers

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("KILLS", "50"))
ROWS = int(os.environ.get("IMPORT_ROWS", "100000"))
MORE = """
    INSERT INTO patients (full_name, mobile, email, dob, sex, street, history, created, modified)
    SELECT 'نورة ' || n, '05' || n, NULL, date '1950-01-01' + n % 20000, 'F', 'شارع ' || n, repeat('تاريخ ', n % 20),
           now(), now()
    FROM generate_series(1, {rows}) AS n;
    INSERT INTO appointments (patient_id, doctor_id, starts_at, remarks)
    SELECT 201 + n % {rows}, 1 + n % 10, timestamp '2023-01-01 08:00' + n * interval '7 minutes', 'ملاحظة ' || n
    FROM generate_series(1, {rows}) AS n;
    ANALYZE;
"""
CHANGES = """
    UPDATE patients SET street = 'شارع جديد' WHERE id > 201 AND id <= 201 + 3000;
    DELETE FROM appointments WHERE id > 500 AND id <= 500 + 3000;
    UPDATE appointments SET remarks = 'x' WHERE id > 4000 AND id <= 4000 + 1000;
    INSERT INTO patients (full_name) SELECT 'جديد ' || n FROM generate_series(1, 3000) AS n;
"""


@pytest.fixture
def source(new_database):
    made = generations.source(new_database, "integer_keys")
    with made.connect() as connection:
        connection.execute(MORE.replace("{rows}", str(ROWS)))
    yield made
    new_database.drop(made)


def start(source, target):
    words = ("import_database", "--from", "env:OLD_URL", "--map", str(generations.mapping_of("integer_keys")), "-v0")
    environment = {**os.environ, "DATABASE_URL": target.url, "OLD_URL": source.url}
    return subprocess.Popen(
        [sys.executable, "manage.py", *words], cwd=servers.PROJECT, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def counts(database, *, of_ours):
    """table -> (rows that came by the import, old keys); they never differ."""
    with database.connect(options="-c row_security=off") as connection:
        return {
            table: connection.execute(
                f"SELECT count(*), (SELECT count(*) FROM legacy_keys WHERE table_name = '{table}') FROM {table}"
            ).fetchone()
            for table in of_ours
        }


TABLES = ("users", "patients", "doctors", "appointments", "sessions", "insurance_claims", "internal_messages")


def test_run__killed_at_random_moments__goes_on_and_writes_nothing_twice(new_database, source):
    target = new_database.migrated()
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    moments, killed, grew = random.Random(seed), 0, set()
    began = time.monotonic()
    unbroken = new_database.migrated()
    process = start(source, unbroken)
    assert (process.communicate()[1], process.returncode) == ("", 0)
    longest = time.monotonic() - began
    while killed < KILLS:
        process = start(source, target)
        try:
            process.communicate(timeout=moments.uniform(0.5, longest))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += 1
            found = counts(target, of_ours=TABLES)
            assert all(rows == keys for rows, keys in found.values()), found
            grew.add(sum(rows for rows, _ in found.values()))
        else:
            # It came through: from the beginning, in another database.
            assert process.returncode == 0
            new_database.drop(target)
            target = new_database.migrated()
    print(f"killed {killed} times, with {len(grew)} different numbers of rows written")
    process = start(source, target)
    assert (process.communicate()[1], process.returncode) == ("", 0)
    assert counts(target, of_ours=TABLES) == counts(unbroken, of_ours=TABLES)
    with target.connect(options="-c row_security=off") as connection:
        twice = "SELECT count(*) FROM (SELECT FROM legacy_keys GROUP BY new_id, table_name HAVING count(*) > 1) AS x"
        assert connection.execute(twice).fetchone() == (0,)
    new_database.drop(target)
    new_database.drop(unbroken)


def test_run__again_after_ten_thousand_changes__is_equal_and_takes_as_long_as_was_told(new_database, source, tmp_path):
    target = new_database.migrated()
    mapping = generations.mapping_of("integer_keys")
    first = generations.run(source, target, mapping, tmp_path)
    assert first.ok
    with source.connect() as connection:
        connection.execute(CHANGES)
    second = generations.run(source, target, mapping, tmp_path)
    assert second.ok
    found = generations.counts(second)
    assert (found["patients"][2:5], found["appointments"][2:5]) == ((3000, 3000, 0), (0, 1000, 3000))
    third = generations.run(source, target, mapping, tmp_path)
    assert third.ok
    for name, one in (("first", first), ("second", second), ("third", third)):
        print(f"{name}: {one.seconds:.1f} s, { ({phase: round(seconds, 1) for phase, seconds in one.phases.items()}) }")
    print(f"{ROWS:,} rows: the second {first.seconds / second.seconds:.1f} times as fast; told: {first.again:.1f} s")
    assert second.seconds < first.again * 1.5 + 5
    new_database.drop(target)
