"""Rows with hard values: what may stand does, exactly, and what may not is refused and counted; over and over again."""

import json
import os
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests import generations

MAPPING = """
source = "hard"
zone = "Asia/Riyadh"

[tables.users]
from = "people"
[tables.users.columns]
email = "mail"
name = { column = "called", null = "" }

[tables.doctors]
from = "healers"
[tables.doctors.columns]
user_id = "person"
first_name = "called"
last_name = { constant = "" }
consultation_fee = "fee"

[tables.patients]
from = "people"
[tables.patients.columns]
first_name = { constant = "x" }
last_name = { constant = "" }
medical_history = "history"
date_of_birth = "born"
gender = { column = "sex", values = { M = "male", "" = "unknown" } }
"""
SOURCE = """
    CREATE TABLE people (id int PRIMARY KEY, mail text, called text, history text, born date, sex text);
    CREATE TABLE healers (id int PRIMARY KEY, person int, called text, fee double precision);
"""
# No lower case in them but of ASCII, which every locale folds alike.
LETTERS = st.sampled_from(list("aBz09 .-_'\"\\;,\t\n%{}") + list("ابتثنةىؤ٣") + ["é", "😀", "\u200f", "\ufeff", "\x01"])
texts = st.text(LETTERS, max_size=12) | st.sampled_from(["", " ", "NULL", "\\N", "م" * 255, "a" * 256, "م" * 300])
mails = st.none() | st.sampled_from(["A@x", "a@x", "b@x", "", "B@X "]) | texts
days = st.none() | st.dates().map(str) | st.sampled_from(
    ["infinity", "-infinity", "0044-03-15 BC", "10000-01-01", "9999-12-31", "0001-01-01"]
)  # fmt: skip
BAD_FEES = ["NaN", "Infinity", "-Infinity", "1e300", "0.125", "100000000"]
fees = st.none() | st.sampled_from([*BAD_FEES, "99999999.99", "-0"])
fees |= st.integers(0, 10**9).map(lambda cents: str(Decimal(cents) / 100))
people = st.lists(
    st.tuples(mails, st.none() | texts, st.none() | texts, days, st.sampled_from([None, "M", "", "F", "m"])),
    max_size=20,
)
healers = st.lists(st.tuples(st.none() | st.integers(1, 25), st.none() | texts, fees), max_size=8)
#: `make test-import` tries many.
EXAMPLES = int(os.environ.get("IMPORT_EXAMPLES", "3"))


@pytest.fixture(scope="module")
def world(new_database, tmp_path_factory):
    """(source, target, mapping file, folder, table -> key -> row): one import that goes on from state to state."""
    before = {"users": {}, "patients": {}, "doctors": {}}
    source, folder = new_database(), tmp_path_factory.mktemp("hard")
    with source.connect() as connection:
        connection.execute(SOURCE)
    (folder / "hard.toml").write_text(MAPPING, encoding="utf-8")
    return source, new_database.migrated(), folder / "hard.toml", folder, before


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(people=people, healers=healers)
def test_rows__of_any_values__stand_as_they_were_or_are_refused(world, people, healers):
    source, target, mapping, folder, before = world
    with source.connect() as connection:
        connection.execute("TRUNCATE people, healers")
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO people VALUES (%s, %s, %s, %s, %s, %s)", [(n, *p) for n, p in enumerate(people, 1)]
            )
            cursor.executemany(
                "INSERT INTO healers VALUES (%s, %s, %s, %s)", [(n, *h) for n, h in enumerate(healers, 1)]
            )
    (folder / "rejects.jsonl").unlink(missing_ok=True)
    receipt = generations.run(source, target, mapping, folder, max_rejects=100)
    assert [table.as_dict() for table in receipt.tables if not table.ok] == []
    rejects = folder / "rejects.jsonl"
    lines = rejects.read_text(encoding="utf-8").splitlines() if rejects.exists() else []
    refused = {(line["table"], int(line["key"])) for line in map(json.loads, lines)}
    users = settle(
        before["users"],
        {n: (mail, called or "") for n, (mail, called, *_) in enumerate(people, 1)},
        is_good=lambda row: row[0] is not None and len(row[0]) <= 255 and len(row[1]) <= 255,
        alone=lambda row: row[0].lower(),
    )
    patients = settle(
        before["patients"],
        {n: (history, born, sex) for n, (_, _, history, born, sex) in enumerate(people, 1)},
        is_good=lambda row: row[2] in (None, "M", "") and (row[1] is None or is_day(row[1])),
    )
    doctors = settle(
        before["doctors"],
        dict(enumerate(healers, 1)),
        is_good=lambda row: row[1] is not None and len(row[1]) <= 255 and row[2] not in BAD_FEES,
        alone=lambda row: row[0],
        refers=lambda row: row[0] is None or row[0] in users,
    )
    for table, good, rows in (("users", users, people), ("patients", patients, people), ("doctors", doctors, healers)):
        current = {key for key, row in good.items() if row == as_row(table, rows, key)}
        assert {key for of, key in refused if of == table} == set(range(1, len(rows) + 1)) - current
    stands = "JOIN legacy_keys AS l ON l.new_id = t.id AND l.table_name ="
    assert read(target, f"SELECT l.old_key::int, email, name FROM users AS t {stands} 'users'") == {
        key: list(row) for key, row in users.items()
    }
    words = {"M": "male", "": "unknown", None: None}
    assert read(
        target,
        f"SELECT l.old_key::int, medical_history, date_of_birth::text, gender FROM patients AS t {stands} 'patients'",
    ) == {key: [history, born, words[sex]] for key, (history, born, sex) in patients.items()}
    found = read(
        target,
        f"""SELECT l.old_key::int, u.old_key::int, first_name, consultation_fee FROM doctors AS t {stands} 'doctors'
            LEFT JOIN legacy_keys AS u ON u.new_id = t.user_id AND u.table_name = 'users'""",
    )
    assert found == {key: [person, called, fee and Decimal(fee)] for key, (person, called, fee) in doctors.items()}


def settle(before, rows, *, is_good, alone=lambda row: None, refers=lambda row: True):
    """key -> row that stands: what came, or what stood before where that may not be; nothing that refers to nothing."""
    stands = {key: row for key, row in rows.items() if before.get(key) == row and refers(row)}
    fresh = {key: row for key, row in rows.items() if key not in stands and is_good(row) and refers(row)}
    # One that stood and came whole, but refers to nothing now, goes.
    gone = {key for key, row in rows.items() if (key in fresh or is_good(row)) and not refers(row)}
    while True:
        kept = {key: before[key] for key in rows.keys() - stands.keys() - fresh.keys() - gone if key in before}
        kept = {key: row for key, row in kept.items() if refers(row)}
        every = [alone(row) for row in (*stands.values(), *kept.values(), *fresh.values())]
        twice = {key for key, row in fresh.items() if alone(row) is not None and every.count(alone(row)) > 1}
        if not twice:
            before.clear()
            before.update(stands | kept | fresh)
            return dict(before)
        for key in twice:
            del fresh[key]


def as_row(table, rows, key):
    if table == "users":
        return rows[key - 1][0], rows[key - 1][1] or ""
    return rows[key - 1][2:] if table == "patients" else rows[key - 1]


def is_day(text):
    try:
        return date.fromisoformat(text) is not None
    except ValueError:
        return False


def read(database, statement):
    with database.connect(options="-c row_security=off") as connection:
        return {key: list(rest) for key, *rest in connection.execute(statement).fetchall()}
