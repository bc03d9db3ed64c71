"""`make test-kill-backfill`: killed at fifty random moments, each time resumed; no row skipped, none changed twice."""

import random

import pytest

from tests.test_backfill import (  # noqa: F401
    adopted,
    assert_each_changed_once,
    count_changes,
    database,
    kill_and_resume,
    sql,
    value,
)

KILLS = 50


@pytest.mark.long
@pytest.mark.parametrize("workers", ["1", "3"])
def test_run__killed_at_fifty_random_moments__skips_no_row_and_changes_none_twice(database, sql, workers):  # noqa: F811
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    moments = random.Random(seed)
    # Slow enough that every kill finds work.
    sql.execute(
        """
        INSERT INTO patients (id, first_name, last_name, phone) SELECT gen_random_uuid(), 'Noor', 'Hadi', '5'
        FROM generate_series(1, 60000);
        ALTER TABLE patients DISABLE TRIGGER USER;
        ALTER TABLE patients DROP CONSTRAINT patients_public_id_required;
        UPDATE patients SET public_id = NULL;
        ALTER TABLE patients ADD CONSTRAINT patients_public_id_required CHECK (public_id IS NOT NULL) NOT VALID;
        ALTER TABLE patients ENABLE TRIGGER USER;
        """
    )
    total = value(sql, "SELECT count(*) FROM patients")
    count_changes(sql)
    words = ("--workers", workers, "--max-rows-per-second", "1000")
    table = kill_and_resume(database, sql, kills=KILLS, pause=lambda: moments.uniform(0, 0.25), words=words)
    assert 0 < table.rows_filled < total
    assert_each_changed_once(sql, total)
