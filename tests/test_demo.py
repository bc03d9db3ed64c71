"""The demo clinic: whole, the same for the same seed, signed in to by every role, and never where real rows stand."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from datetime import date

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections, transaction
from django.test import Client
from django.urls import reverse

from moeen.db import registry
from moeen.db.errors import FINDINGS, USAGE, MoeenError
from moeen.db.public_ids import PREFIXES
from moeen.db.roles import PEOPLE
from moeen.db.security import identity
from sysadmin.management import demo_clinic as demo
from sysadmin.models import Setting, User
from tests import factories, servers
from tests.test_serving import Browser

DAY = date(2026, 11, 26)  # a Thursday; the day after is a Friday
#: What commands and triggers write, each for what it has done.
RECORDS = {*registry.OWN_TABLES, "audit_logs"}
#: What a demo has none of: migrations make the system roles, and each person sets up their own second factor.
BARE = {"roles", "second_factors"}
MODELS = [model for model in apps.get_models() if model in PREFIXES.values() and model._meta.db_table not in RECORDS]


def seed(database, **options):
    with identity.acting_as_operator():
        return demo.seed(connections[database.alias], **{"seed": 7, "today": DAY} | options)


@contextmanager
def undone(database):
    with identity.acting_as_operator(), transaction.atomic(using=database.alias):
        yield
        transaction.set_rollback(True, using=database.alias)


#: What is made anew each time, or moves when somebody signs in: hashes, times, and the ids of system roles.
ANEW = {"users.password_hash", "users.updated_at", "users.last_login", "user_roles.role_id"}


def digest(database):
    """Of every row of the demo's tables, but for what is made anew."""
    found = {}
    with database.connect() as connection:
        for model in MODELS:
            table = model._meta.db_table
            if table != "roles":
                columns = [f.column for f in model._meta.concrete_fields if f"{table}.{f.column}" not in ANEW]
                row = f"ROW({', '.join(columns)})::text"
                query = f"SELECT count(*), md5(string_agg({row}, '' ORDER BY id)) FROM public.{table}"
                found[table] = connection.execute(query).fetchone()
    return found


def refused(database, **options):
    with pytest.raises(MoeenError) as refusal:
        seed(database, **options)
    return refusal.value


@pytest.fixture(scope="module")
def part(new_database):
    """A database with the demo clinic in it, and what was told of it."""
    made = new_database.migrated()
    yield made, seed(made)
    new_database.drop(made)


def test_clinic__every_choice_of_every_table__occurs(part):
    database, told = part
    fields = [(model, field) for model in MODELS for field in model._meta.concrete_fields if field.choices]
    missing = set()
    with identity.acting_as_operator():
        for model, field in fields:
            rows = model._default_manager.using(database.alias)
            there = set(rows.order_by().values_list(field.attname, flat=True).distinct())
            missing |= {(model.__name__, field.name, value) for value, _ in field.flatchoices if value not in there}
    assert missing == set()
    assert len(fields) >= 25
    assert {model._meta.db_table for model in MODELS} - told.rows.keys() == BARE


def test_clinic__calendar__reaches_a_month_back_and_ahead_and_closes_on_fridays(part):
    database, told = part
    with database.connect() as connection:
        days = {day for (day,) in connection.execute("SELECT DISTINCT appointment_date FROM appointments").fetchall()}
        doubles = connection.execute(
            """SELECT FROM appointments GROUP BY doctor_id, appointment_date, appointment_time HAVING count(*) > 1"""
        ).fetchall()
        future = connection.execute(
            """SELECT FROM appointments WHERE status IN ('completed', 'no_show') AND appointment_date >= %s""", [DAY]
        ).fetchall()
    assert (min(days) - DAY).days in (-30, -29)
    assert (max(days) - DAY).days in (29, 30)
    assert {day.weekday() for day in days} == {0, 1, 2, 3, 5, 6}
    assert (doubles, future) == ([], [])
    assert told.rows["patients"] == 140
    assert told.rows["appointments"] > 1000


def test_seed__same_seed_and_day__makes_the_same_rows(part, new_database):
    database, _ = part
    twin = new_database.migrated()
    seed(twin)
    assert digest(twin) == digest(database)
    other = demo.furnished(using=database.alias, seed=8, today=DAY)
    with identity.acting_as_operator(), database.connect() as connection:
        names = connection.execute("SELECT array_agg(first_name ORDER BY id) FROM patients").fetchone()[0]
    assert sorted(row.first_name for row in other.rows[apps.get_model("healthcare.Patient")]) != sorted(names)
    new_database.drop(twin)


def test_seed__on_a_friday__has_somebody_with_a_doctor_today(part):
    database, _ = part
    with identity.acting_as_operator():
        clinic = demo.furnished(using=database.alias, seed=1, today=date(2026, 11, 27))
    rows = clinic.rows[apps.get_model("healthcare.Session")]
    assert any(row.status == "in_progress" and row.session_date == clinic.today for row in rows)


def test_seed__clinic_stands__gives_new_passwords_and_changes_nothing_else(part):
    database, first = part
    before = digest(database)
    again = seed(database, seed=9)
    assert (again.made, again.seed, again.day) == (False, 7, DAY.isoformat())
    assert digest(database) == before
    passwords = {login.password for login in (*first.logins, *again.logins)}
    assert len(passwords) == 2 * len(PEOPLE)
    with identity.acting_as_operator():
        for login in again.logins:
            assert User.objects.using(database.alias).get(email=login.email).check_password(login.password)


@pytest.fixture(scope="module")
def empty(new_database):
    made = new_database.migrated()
    yield made
    new_database.drop(made)


def test_seed__clinic_stands_and_was_played_with__serves_who_is_left(part):
    database, _ = part
    people = User.objects.using(database.alias)
    with undone(database):
        people.filter(email=demo.address("staff")).delete()
        people.filter(email=demo.address("doctor")).update(email="other@moeen.example")
        assert [login.role for login in seed(database).logins] == ["patient", "supervisor", "admin"]
        Setting.objects.using(database.alias).filter(key=demo.MARK).update(value=["played with"])
        with pytest.raises(MoeenError, match="was changed") as caught:
            seed(database)
        assert caught.value.exit_code == FINDINGS


def test_seed__real_rows_stand__refused_and_nothing_changed(empty, as_default):
    """Of ours, and of another application."""
    with as_default(empty), identity.acting_as_operator(), transaction.atomic():
        rows = [getattr(factories, name)() for name in ("user", "patient", "setting", "role")]
    with empty.connect() as connection:
        connection.execute("CREATE TABLE public.till (id int); INSERT INTO public.till VALUES (1)")
    before = digest(empty)
    refusal = refused(empty)
    assert (refusal.exit_code, refusal.code) == (FINDINGS, "MOEEN-DEMO-1")
    assert "(patients, roles, settings, till, users)" in refusal.cause
    assert digest(empty) == before
    # Each by itself is enough.
    with empty.connect() as connection:
        connection.execute("DROP TABLE public.till")
    with identity.acting_as_operator():
        while rows:
            assert f"({', '.join(sorted(row._meta.db_table for row in rows))})" in refused(empty).cause
            type(rows[-1])._base_manager.using(empty.alias).filter(pk=rows.pop().pk).delete()


def test_seed__fails_on_the_way__leaves_nothing(empty):
    before = digest(empty)
    with pytest.raises(ZeroDivisionError):
        seed(empty, tell=lambda done, total: done < total / 2 or 1 / 0)
    assert digest(empty) == before


def command(database, *words, said="", monkeypatch):
    """What the command prints on stdout and stderr."""
    out, errors = io.StringIO(), io.StringIO()
    monkeypatch.setattr("sys.stdin", io.StringIO(said))
    with identity.acting_as_operator():
        call_command("seed_demo", *words, database=database.alias, stdout=out, stderr=errors)
    return out.getvalue(), errors.getvalue()


def test_command__another_database_than_the_embedded__must_be_named(empty, monkeypatch):
    for words in ((), ("--expect", "another")):
        with pytest.raises(MoeenError, match=f"Say --expect {empty.name} if") as refusal:
            command(empty, *words, monkeypatch=monkeypatch)
        assert refusal.value.exit_code == USAGE


def test_command__password_of_a_file__is_everybodys_and_a_weak_one_is_refused(part, monkeypatch):
    database, _ = part
    words = ("--expect", database.name, "--password-file", "-")
    with pytest.raises(MoeenError, match="The password is not taken") as refusal:
        command(database, *words, said="1234\n", monkeypatch=monkeypatch)
    assert (refusal.value.exit_code, "1234" in str(refusal.value)) == (USAGE, False)
    out, errors = command(database, *words, "--json", said="شمس-القمر-7731\n", monkeypatch=monkeypatch)
    assert {login["password"] for login in json.loads(out)["logins"]} == {"شمس-القمر-7731"}
    assert errors == ""
    out, _ = command(database, "--expect", database.name, monkeypatch=monkeypatch)
    assert "its rows stay as they are" in out
    assert len(set(re.findall(r"^  (\w+) +\1@moeen\.example +(\S{19})$", out, re.MULTILINE))) == len(PEOPLE)


@pytest.mark.parametrize("role", PEOPLE)
def test_logins__each_role__signs_in_and_sees_the_page_that_is_theirs(part, as_default, role):
    database, _ = part
    login = next(login for login in seed(database).logins if login.role == role)
    seen = {
        "patient": "healthcare_appointment", "doctor": "healthcare_session", "staff": "healthcare_insuranceclaim",
        "supervisor": "chatbot_flow", "admin": "chatbot_integration",
    }  # fmt: skip
    with as_default(database):
        client = Client()
        answer = client.post(reverse("admin:login"), {"username": login.email, "password": login.password})
        assert answer.status_code == 302
        page = client.get(reverse(f"admin:{seen[role]}_changelist"))
        assert (page.status_code, page.context["cl"].result_count > 0) == (200, True)


@pytest.mark.long
def test_make_demo__from_nothing__serves_every_role_within_a_minute_and_a_half(tmp_path):
    """With a .env of an installation beside it, which counts for nothing."""
    folder = servers.scratch() / "demo"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()
    with (tmp_path / "said").open("wb") as out:
        process = subprocess.Popen(
            ["make", "demo", f"ADDRESS=127.0.0.1:{port}", f"DEMO={folder}"],
            cwd=servers.PROJECT, stdout=out, stderr=out, start_new_session=True,
            env={**os.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "SECRET_KEY": "x" * 60},
        )  # fmt: skip
    try:
        while "Listening at" not in (said := (tmp_path / "said").read_text("utf-8")):
            assert process.poll() is None, said
            assert time.monotonic() - began < 90, said
            time.sleep(0.2)
        logins = dict(re.findall(r"^  \w+ +(\S+@moeen\.example) +(\S+)$", said, re.MULTILINE))
        assert len(logins) == len(PEOPLE)
        for address, password in logins.items():
            browser = Browser(f"http://127.0.0.1:{port}")
            where, page = browser.post("/admin/login/?next=/admin/", username=address, password=password)
            assert where.endswith("/admin/"), address
            assert "healthcare" in page
        taken = time.monotonic() - began
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
    print(f"make demo: every role signed in after {taken:.0f} s")
    assert taken < 90
    assert not (folder / "postgres" / "postmaster.pid").exists()
