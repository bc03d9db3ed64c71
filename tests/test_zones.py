"""Times without a zone: read as UTC where nothing speaks against it, and otherwise as the operator says."""

import pytest

from moeen.db.converge import zones
from moeen.db.errors import MoeenError
from moeen.db.kinds import Kind
from tests import states

#: The run itself, for a twin has no rows.
ALONE = ("--no-input", "--no-backup", "test", "--no-rehearsal", "test")
RIYADH, NEW_YORK = "Asia/Riyadh", "America/New_York"
TIMES = "SELECT min(created_at AT TIME ZONE 'UTC'), max(created_at AT TIME ZONE 'UTC') FROM appointments"
#: created_at is of no type with a zone yet.
OLDER_TIMES = "SELECT min(created_at), max(created_at) FROM appointments"


@pytest.fixture
def older(new_database):
    """A core database, which keeps no zones, of a server whose sessions count in UTC."""
    database = states.database(new_database, "core")
    with database.connect() as owner:
        owner.execute(f"ALTER DATABASE {database.name} SET timezone TO 'UTC'")
    return database


@pytest.fixture
def local(older):
    """The same, of a clinic whose sessions count in its own time."""
    with older.connect() as owner:
        owner.execute(f"ALTER DATABASE {older.name} SET timezone TO '{RIYADH}'")
    return older


def ask(database, query):
    with database.connect() as owner:
        return owner.execute(query).fetchone()


@pytest.mark.slow
def test_migrate__sessions_count_in_another_zone__is_refused_until_it_is_said(local, manage):
    there = {"DATABASE_URL": local.url}
    first, last = ask(local, OLDER_TIMES)
    for words in (("migrate", *ALONE), ("validate_schema", "--adoption")):
        done = manage(*words, **there)
        assert done.returncode == 3
        said = done.stdout + done.stderr
        told = f"appointments.created_at, updated_at: {Kind.TIME_ZONE}: expected UTC, found sessions in Asia/Riyadh"
        assert told in said
        assert "--times-are" in said
    assert ask(local, "SELECT to_regclass('django_migrations')") == (None,)

    done = manage("migrate", *ALONE, "--times-are", "UTC", **there)
    assert done.returncode == 0, done.stderr
    assert ask(local, TIMES) == (first, last)


def test_migrate__zone_is_said__each_time_stays_the_moment_that_it_was(local, manage):
    words = [f"--times-are={zone}" for zone in (RIYADH, f"patients.created_at={NEW_YORK}", "doctors.created_at=UTC")]
    places = {"appointments": RIYADH, "patients": NEW_YORK, "doctors": "UTC"}
    before = {table: ask(local, f"SELECT min(created_at) FROM {table}") for table in places}
    done = manage("migrate", *ALONE, *words, DATABASE_URL=local.url)
    assert done.returncode == 0, done.stderr
    for table, zone in places.items():
        assert ask(local, f"SELECT min(created_at) AT TIME ZONE '{zone}' FROM {table}") == before[table]


def test_migrate__rows_would_lie_in_the_future__is_refused_until_it_is_said(older, manage):
    with older.connect() as owner:
        owner.execute(
            """UPDATE patients SET created_at = (now() AT TIME ZONE 'UTC') + interval '3 hours'
               WHERE id IN (SELECT id FROM patients LIMIT 2)"""
        )
    done = manage("migrate", *ALONE, DATABASE_URL=older.url)
    assert done.returncode == 3
    assert f"patients.created_at: {Kind.TIMES_AHEAD}" in done.stderr
    assert "found 2 rows" in done.stderr
    done = manage("migrate", *ALONE, "--times-are", RIYADH, DATABASE_URL=older.url)
    assert done.returncode == 0, done.stderr
    assert ask(older, "SELECT count(*) FROM patients WHERE created_at > now()") == (0,)


@pytest.mark.parametrize("said", ["Asia/Nowhere", "=UTC", "created_at=UTC", "patients.created=UTC", ""])
def test_migrate__zone_or_column_that_is_not_there__is_wrong_usage(older, manage, said):
    done = manage("migrate", "--no-input", f"--times-are={said}", DATABASE_URL=older.url)
    assert (done.returncode, "--times-are" in done.stderr) == (2, True)
    assert ask(older, "SELECT to_regclass('django_migrations')") == (None,)


def test_zones__two_for_all_columns__is_wrong_usage():
    with pytest.raises(MoeenError):
        zones.Zones.parse(["UTC", RIYADH])
