"""What administrators ask for on the page of operations, and the worker that does it under a login of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import connections

from moeen.db import requests
from moeen.db.backfill import runs
from moeen.db.security import identity
from sysadmin.models import User
from tests import servers
from tests.backups import environment, place, take

ROOM = "/admin/sysadmin/operatorreport/"


@pytest.fixture(scope="module")
def clinic(served_database):
    """The database; pages go through the web's login, and the worker through its owner's."""
    for role in ("admin", "supervisor"):
        User.objects.db_manager(served_database.alias).create_user(f"{role}@example.test", name=role, role=role)
    return served_database


@pytest.fixture
def owner(clinic):
    with clinic.connect() as connection:
        connection.execute("TRUNCATE operator_requests, backfill_runs")
        yield connection


@pytest.fixture(autouse=True)
def serving(owner):
    identity.serve()
    yield
    identity.operate()


@pytest.fixture
def boss(client):
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "en"
    sign_in(client, "admin")
    return client


@pytest.fixture
def work(clinic, manage, tmp_path):
    """`work("--once")`: the command's process, ended. With the variables of an operator."""
    variables = environment(clinic, tmp_path / "backups")
    return lambda *words: manage("work", *words, **variables)


def sign_in(client, role):
    with identity.acting_as_auth():
        client.force_login(User.objects.only("pk", "role", "is_active", "last_login").get(email=f"{role}@example.test"))


def ask(client, kind, subject):
    return client.post(f"{ROOM}ask/", {"kind": kind, "subject": subject}, follow=True)


def asked(owner):
    """(kind, subject, outcome) of all."""
    return owner.execute("SELECT kind, subject, outcome FROM operator_requests ORDER BY asked_at").fetchall()


@contextmanager
def lacking_ids(owner, table="crm_leads", rows=30):
    """A table as adoption leaves it, before its ids are filled in."""
    owner.execute(f"ALTER TABLE {table} ALTER public_id DROP NOT NULL")
    owner.execute(f"INSERT INTO {table} (name) SELECT 'n' || i FROM generate_series(1, %s) AS i", [rows])
    owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER; UPDATE {table} SET public_id = NULL")
    owner.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    yield
    owner.execute(f"DELETE FROM {table}; ALTER TABLE {table} ALTER public_id SET NOT NULL")


@contextmanager
def running(clinic, folder):
    """A worker that waits for requests; SIGTERM ends it."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "work"], cwd=servers.PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, **environment(clinic, folder)},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_work__a_backfill_that_was_asked_for__is_done_and_said_to_be(owner, boss, work):
    with lacking_ids(owner):
        assert [name for name, _ in boss.get(ROOM).context["startable"]] == ["crm_leads"]
        page = ask(boss, requests.BACKFILL, "crm_leads").content.decode()
        assert "none is there now; what is asked for waits until one is" in page
        assert "Fill in public ids: leads" in page
        assert 'name="withdraw"' in page
        done = work("--once")
        assert (done.returncode, done.stderr) == (0, "")
        assert owner.execute("SELECT count(*) FROM crm_leads WHERE public_id IS NULL").fetchone() == (0,)
        page = boss.get(ROOM)
        assert page.context["startable"] == []
    assert asked(owner) == [(requests.BACKFILL, "crm_leads", "done")]
    assert "30 of 30" in owner.execute("SELECT says FROM operator_requests").fetchone()[0]
    entries = owner.execute(
        """SELECT u.email, a.action FROM audit_logs AS a LEFT JOIN users AS u ON u.id = a.user_id
           WHERE a.record_id = (SELECT id FROM operator_requests) ORDER BY a.created_at"""
    ).fetchall()
    assert entries[:1] == [("admin@example.test", "INSERT")]
    assert entries[1:] == [(None, "UPDATE")] * 2


def test_work__no_backup_to_prove__says_why_it_failed(owner, boss, work):
    ask(boss, requests.VERIFY, "latest")
    assert work("--once").returncode == 0
    assert asked(owner) == [(requests.VERIFY, "latest", "failed")]
    assert "backup" in owner.execute("SELECT says FROM operator_requests").fetchone()[0]
    assert "state-fail" in boss.get(ROOM).content.decode()


def test_work__a_backup__is_proven_by_a_restore(clinic, owner, boss, work, manage, tmp_path):
    made = manage("backup_database", "--json", **environment(clinic, tmp_path / "backups"))
    assert made.returncode == 0, made.stderr
    ask(boss, requests.VERIFY, "latest")
    assert work("--once").returncode == 0
    assert asked(owner) == [(requests.VERIFY, "latest", "done")]
    assert re.search(r"verified +\(\d", owner.execute("SELECT says FROM operator_requests").fetchone()[0])


@pytest.mark.parametrize("of", ["its id", "latest"])
def test_work__a_backup_of_another_database__is_not_proven_and_its_name_not_told(
    clinic, owner, boss, work, new_database, tmp_path, of
):
    other = new_database()
    taken = take(other, place(tmp_path / "backups")).id
    ask(boss, requests.VERIFY, taken if of == "its id" else "latest")
    assert work("--once").returncode == 0
    outcome, says = owner.execute("SELECT outcome, says FROM operator_requests").fetchone()
    assert outcome in ("failed", "refused")
    assert "backup" in says.lower()
    assert other.name not in says
    new_database.drop(other)


def test_work__the_end_of_a_backfill_that_nobody_is_at__is_answered(owner, boss, work):
    ask(boss, requests.CANCEL, "crm_leads")
    owner.execute("INSERT INTO backfill_runs (name, table_name, status) VALUES ('public_ids', 'patients', 'running')")
    ask(boss, requests.CANCEL, "patients")
    with owner.transaction():  # somebody is at one of them, who answers it
        owner.execute("SELECT pg_advisory_xact_lock(%s, hashtext('public_ids patients'))", [runs.LOCK])
        assert work("--once").returncode == 0
    assert asked(owner) == [(requests.CANCEL, "crm_leads", "failed"), (requests.CANCEL, "patients", "")]
    assert work("--once").returncode == 0
    assert asked(owner)[1] == (requests.CANCEL, "patients", "failed")


def test_work__another_worker_there__is_refused_and_told_on_the_page(clinic, owner, boss, work):
    ask(boss, requests.VERIFY, "latest")
    with clinic.connect() as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", requests.LOCK)
        refused, quiet = work(), work("--once")
        assert boss.get(ROOM).context["worker"].state == "ok"
    assert (refused.returncode, quiet.returncode, quiet.stdout + quiet.stderr) == (3, 0, "")
    assert "Another worker serves this database" in refused.stderr
    assert asked(owner) == [(requests.VERIFY, "latest", "")]


def test_room__requests_wait_and_no_worker_comes__is_to_be_mended(owner, boss):
    ask(boss, requests.VERIFY, "latest")
    owner.execute("UPDATE operator_requests SET asked_at = asked_at - interval '3 minutes'")
    fact = boss.get(ROOM).context["worker"]
    assert (fact.state, fact.next_step) == ("fail", "manage.py work")


def test_worker__ended_while_at_work__ends_what_it_began_and_the_request_has_failed(clinic, owner, boss, tmp_path):
    with lacking_ids(owner), running(clinic, tmp_path / "backups") as process:
        owner.execute(
            """INSERT INTO backfill_runs (name, table_name, status, pause_requested)
               VALUES ('public_ids', 'crm_leads', 'stopped', true)"""
        )
        until(lambda: boss.get(ROOM).context["worker"].state == "ok")
        ask(boss, requests.BACKFILL, "crm_leads")
        until(lambda: owner.execute("SELECT status FROM backfill_runs").fetchone() == ("paused",))
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        assert owner.execute("SELECT status FROM backfill_runs").fetchone() == ("stopped",)
        assert asked(owner) == [(requests.BACKFILL, "crm_leads", "failed")]


def test_worker__killed_while_at_work__what_it_began_ends_with_it(clinic, owner, boss, tmp_path):
    with lacking_ids(owner), running(clinic, tmp_path / "backups") as process:
        owner.execute(
            """INSERT INTO backfill_runs (name, table_name, status, pause_requested)
               VALUES ('public_ids', 'crm_leads', 'stopped', true)"""
        )
        ask(boss, requests.BACKFILL, "crm_leads")
        until(lambda: owner.execute("SELECT status FROM backfill_runs").fetchone() == ("paused",))
        process.kill()
        process.wait(timeout=60)
        until(lambda: owner.execute("SELECT status FROM backfill_runs").fetchone() == ("stopped",), seconds=20)


def test_worker__killed__is_followed_by_one_that_says_so(clinic, owner):
    owner.execute("INSERT INTO operator_requests (kind, subject, taken_at) VALUES ('verify_backup', 'latest', now())")
    with identity.acting_as_operator():
        there = connections[clinic.alias]
        requests.serve(there)
        there.close()
    assert owner.execute("SELECT outcome, says FROM operator_requests").fetchone() == (
        "failed", "the worker was ended while it was at this",
    )  # fmt: skip


def test_room__a_request_that_waits__is_shown_and_alarms_however_many_were_ended_since(owner, boss):
    ask(boss, requests.VERIFY, "latest")
    owner.execute("UPDATE operator_requests SET asked_at = asked_at - interval '3 minutes'")
    owner.execute(
        """INSERT INTO operator_requests (kind, subject, taken_at, finished_at, outcome)
           SELECT 'cancel_backfill', 'leads', now(), now(), 'failed' FROM generate_series(1, 500)"""
    )
    page = boss.get(ROOM)
    assert (page.context["worker"].state, page.context["requests"][0]["request"].subject) == ("fail", "latest")
    assert 'name="withdraw"' in page.content.decode()


def test_room__the_migration_of_requests_is_pending__is_shown_without_them(owner, boss):
    owner.execute("ALTER TABLE operator_requests RENAME TO away")
    try:
        page = boss.get(ROOM)
    finally:
        owner.execute("ALTER TABLE away RENAME TO operator_requests")
    assert (page.status_code, page.context["worker"].state) == (200, "unknown")


@pytest.mark.parametrize(
    ("kind", "subject", "says"),
    [
        ("migrate", "patients", "A value is not among those that are allowed."),
        (requests.VERIFY, "--identity", "A value is not among those that are allowed."),
        (requests.VERIFY, "a b", "A value is not among those that are allowed."),
        (requests.VERIFY, "", "A value is not among those that are allowed."),
        (requests.VERIFY, "x" * 200, "A value is not one that can be kept."),
        (requests.VERIFY, "la\0test;", "A value is not among those that are allowed."),
    ],
)
def test_ask__what_no_worker_does__is_refused(owner, boss, kind, subject, says):
    assert says in ask(boss, kind, subject).content.decode()
    assert asked(owner) == []


def test_ask__the_same_twice__is_asked_for_once(owner, boss):
    ask(boss, requests.VERIFY, "latest")
    assert "This is asked for already." in ask(boss, requests.VERIFY, "latest").content.decode()
    assert asked(owner) == [(requests.VERIFY, "latest", "")]


def test_withdraw__before_and_after_it_is_taken_up__only_before(owner, boss):
    ask(boss, requests.VERIFY, "latest")
    (key,) = owner.execute("SELECT id::text FROM operator_requests").fetchone()
    owner.execute("UPDATE operator_requests SET taken_at = now()")
    assert "It was taken up already." in boss.post(f"{ROOM}ask/", {"withdraw": key}, follow=True).content.decode()
    assert len(asked(owner)) == 1
    owner.execute("UPDATE operator_requests SET taken_at = NULL")
    boss.post(f"{ROOM}ask/", {"withdraw": key})
    assert asked(owner) == []
    assert boss.post(f"{ROOM}ask/", {"withdraw": "nonsense"}, follow=True).status_code == 200


def test_ask__anybody_but_an_administrator__may_not(owner, client):
    sign_in(client, "supervisor")
    assert client.post(f"{ROOM}ask/", {"kind": requests.VERIFY, "subject": "latest"}).status_code == 403
    assert client.post(f"{ROOM}ask/", {"withdraw": "1"}).status_code == 403
    assert asked(owner) == []
