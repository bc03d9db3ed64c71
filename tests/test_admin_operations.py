"""The operations room: what stands is told, over a login that owns nothing, and what it may not see is told as such."""

import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from moeen.db import doctor
from moeen.db.backfill import runs
from moeen.db.history import reports
from moeen.db.migrate import mutex
from moeen.db.security import identity
from sysadmin.admin import operations
from sysadmin.models import User

ROOM = "/admin/sysadmin/operatorreport/"


@pytest.fixture(scope="module")
def clinic(served_database):
    """The database; pages go through the web's login."""
    for role in ("admin", "supervisor", "staff", "doctor", "patient"):
        User.objects.db_manager(served_database.alias).create_user(f"{role}@example.test", name=role, role=role)
    return served_database


@pytest.fixture
def owner(clinic):
    with clinic.connect() as connection:
        connection.execute("TRUNCATE backfill_runs, operator_reports")
        yield connection


@pytest.fixture(autouse=True)
def serving(owner, settings, tmp_path):
    settings.STORAGES = settings.STORAGES | {
        "backups": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    }
    identity.serve()
    yield
    identity.operate()


def sign_in(client, role):
    with identity.acting_as_auth():
        client.force_login(User.objects.only("pk", "role", "is_active", "last_login").get(email=f"{role}@example.test"))


@pytest.fixture
def boss(client):
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "en"
    sign_in(client, "admin")
    return client


def room(client):
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(ROOM)
    assert answer.status_code == 200
    assert len(captured) <= 11
    return answer


def by_operator(clinic, name, *words):
    with identity.acting_as_operator():
        try:
            call_command(name, *words, database=clinic.alias, stdout=io.StringIO())
        except SystemExit as ended:
            return ended.code
    return 0


def test_room__nobody_looked_yet__knows_of_nothing_and_calls_nothing_in_order(boss):
    page = room(boss).context
    assert [(fact.state, fact.next_step) for fact in page["facts"]] == [("unknown", "manage.py doctor")]
    assert page["validation"]["fact"].state == "unknown"
    assert page["backups"]["fact"].state == "unknown"  # an empty folder is not "no backup": they may lie elsewhere
    assert [fact.state for fact in page["migrations"]] == ["ok"]  # the ledger may be read


def test_room__reports_of_another_form__are_as_good_as_none(owner, boss):
    owner.execute("CREATE TEMP TABLE kept AS TABLE operator_reports; DELETE FROM operator_reports")
    try:
        owner.execute("""INSERT INTO operator_reports (kind, actor, ok, report)
                         VALUES ('doctor', '', true, '{"ok": true}'), ('validation', '', true, '[]')""")
        page = room(boss).context
    finally:
        owner.execute("DELETE FROM operator_reports; INSERT INTO operator_reports TABLE kept; DROP TABLE kept")
    assert [(fact.state, fact.next_step) for fact in page["facts"]] == [("unknown", "manage.py doctor")]
    assert page["validation"]["fact"].state == "unknown"


def test_room__after_doctor_and_validation__shows_what_they_found_and_when(clinic, owner, boss):
    owner.execute("CREATE INDEX strange ON patients (last_name); DROP INDEX IF EXISTS crm_leads_owner_id_idx")
    try:
        by_operator(clinic, "doctor")
        assert by_operator(clinic, "validate_schema") in (0, 3)
    finally:
        owner.execute("DROP INDEX strange")
    with identity.acting_as_operator():
        wanted = {line.name for line in doctor.examine(connections[clinic.alias]).lines}
    answer = room(boss)
    page, html = answer.context, answer.content.decode()
    assert {str(fact.name) for fact in page["facts"]} == {str(operations.LINES[name]) for name in wanted}
    assert "manage.py backup_database" in html
    kept = owner.execute("SELECT report FROM operator_reports WHERE kind = 'validation'").fetchone()[0]
    assert page["validation"]["report"].report == kept
    assert all(finding["told"].split(":")[0] in html for finding in kept["findings"])


def test_room__findings_that_are_old__are_in_order_no_more(clinic, owner, boss):
    keep(clinic, "ok")
    assert [fact.state for fact in room(boss).context["facts"]] == ["ok"]
    owner.execute("UPDATE operator_reports SET looked_at = looked_at - interval '27 hours'")
    facts = room(boss).context["facts"]
    assert [(fact.state, fact.next_step) for fact in facts] == [("warn", "manage.py doctor"), ("unknown", "")]
    keep(clinic, "ok")
    owner.execute("UPDATE migration_runs SET finished_at = now() + interval '1 second' WHERE outcome = 'done'")
    assert [fact.state for fact in room(boss).context["facts"]] == ["warn", "unknown"]
    owner.execute("UPDATE migration_runs SET finished_at = started_at WHERE outcome = 'done'")


def test_keep__a_second_report__takes_the_place_of_the_first(clinic, owner):
    with identity.acting_as_operator():
        there = connections[clinic.alias]
        assert reports.keep(there, reports.DOCTOR, ok=True, report={"lines": []})
        assert reports.keep(there, reports.DOCTOR, ok=False, report={"lines": [1]})
    assert owner.execute("SELECT ok, report FROM operator_reports").fetchall() == [(False, {"lines": [1]})]


@pytest.mark.parametrize("how", ["dry run", "read only", "another login"])
def test_keep__where_it_cannot__says_so_and_does_not_fail(clinic, owner, settings, how):
    settings.DRY_RUN = how == "dry run"
    if how == "another login":
        with identity.acting_as_auth():
            assert not reports.keep(connection, reports.DOCTOR, ok=True, report={})
    else:
        with identity.acting_as_operator():
            there = connections[clinic.alias]
            if how == "read only":
                there.cursor().execute("SET default_transaction_read_only = on")
            assert not reports.keep(there, reports.DOCTOR, ok=True, report={})
            there.close()
    assert owner.execute("SELECT count(*) FROM operator_reports").fetchone() == (0,)


def keep(clinic, state):
    """A report of doctor's, of one line."""
    with identity.acting_as_operator():
        line = {"name": "disk", "state": state, "says": "55 GB free", "next_step": ""}
        assert reports.keep(connections[clinic.alias], reports.DOCTOR, ok=True, report={"lines": [line]})


def begun(owner, table, **columns):
    columns = {"name": "public_ids", "table_name": table, "status": "running", "rows_missing": 1000, "rows_filled": 250,
               "seconds": 2} | columns  # fmt: skip
    names, marks = ", ".join(columns), ", ".join(["%s"] * len(columns))
    return owner.execute(
        f"INSERT INTO backfill_runs ({names}) VALUES ({marks}) RETURNING id", list(columns.values())
    ).fetchone()[0]


def test_backfills__by_their_lock__live_are_killed_or_stuck(clinic, owner, boss):
    begun(owner, "patients")
    begun(owner, "doctors")
    begun(owner, "users", heartbeat_at=datetime.now(UTC) - timedelta(minutes=6))
    with clinic.connect() as worker:
        for table in ("patients", "users"):
            worker.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", [runs.LOCK, f"public_ids {table}"])
        found = {each["run"].table_name: each for each in room(boss).context["backfills"]}
    assert {table: (each["state"], each["status"]) for table, each in found.items()} == {
        "patients": ("ok", "Running"),
        "doctors": ("warn", "Stopped: its worker is gone"),
        "users": ("warn", "Stuck: no sign of life"),
    }
    assert found["patients"]["left"] == timedelta(seconds=6)
    assert found["doctors"]["left"] is None
    listed = boss.get(reverse("admin:sysadmin_backfillrun_changelist")).content.decode()
    assert listed.count("Stopped: its worker is gone") == 3  # the workers have gone meanwhile


def test_backfills__paused_from_the_room__are_told(owner, boss, client):
    run = begun(owner, "patients")
    wanted = "SELECT pause_requested FROM backfill_runs"
    answer = boss.post(f"{ROOM}backfill/", {"run": run, "pause": "yes"})
    assert (answer.status_code, answer.url) == (302, ROOM)
    assert owner.execute(wanted).fetchone() == (True,)
    assert 'value="no"' in room(boss).content.decode()
    boss.post(f"{ROOM}backfill/", {"run": run, "pause": "no"})
    assert owner.execute(wanted).fetchone() == (False,)
    sign_in(client, "supervisor")
    assert client.post(f"{ROOM}backfill/", {"run": run, "pause": "yes"}).status_code == 403
    assert owner.execute(wanted).fetchone() == (False,)


def test_runs__killed__are_interrupted_as_soon_as_nobody_holds_the_lock(clinic, owner, boss):
    owner.execute(
        "INSERT INTO migration_runs (actor, database_role, from_version, outcome) VALUES ('a', 'r', '', 'running')"
    )
    try:
        with clinic.connect() as runner:
            runner.execute("SELECT pg_advisory_lock(%s, %s)", mutex.LOCK)
            assert room(boss).context["runs"][0][1] == "Running"
        assert room(boss).context["runs"][0][1] == "Interrupted"
    finally:
        owner.execute("DELETE FROM migration_runs WHERE outcome = 'running'")


@pytest.fixture
def pending(owner):
    """The name of a migration that the ledger has not."""
    (last,) = owner.execute("SELECT name FROM migration_steps WHERE app = 'crm' ORDER BY name DESC LIMIT 1").fetchone()
    owner.execute("UPDATE migration_steps SET outcome = 'unapplied' WHERE app = 'crm' AND name = %s", [last])
    yield f"crm.{last}"
    owner.execute("UPDATE migration_steps SET outcome = 'applied' WHERE app = 'crm' AND name = %s", [last])


def test_migrations__one_that_the_ledger_has_not__is_pending_and_was_not_rehearsed(boss, pending):
    fact, rehearsed = room(boss).context["migrations"]
    assert (fact.state, fact.next_step) == ("fail", "manage.py migrate")
    assert pending in fact.says
    assert (rehearsed.state, rehearsed.next_step) == ("unknown", "manage.py migrate --plan")


@pytest.mark.parametrize(
    ("ok", "hours", "others", "state"),
    [(True, 0, "", "ok"), (False, 0, "", "fail"), (True, 27, "", "unknown"), (False, 27, "", "fail"),
     (True, 0, "another", "unknown")],
)  # fmt: skip
def test_migrations__pending_ones_that_were_rehearsed__bear_its_verdict(
    clinic, owner, boss, pending, ok, hours, others, state
):
    told = {
        "migrations": [others or pending],
        "says": "Rehearsed on a twin",
        "obstacles": [] if ok else ["patients: x"],
    }
    with identity.acting_as_operator():
        assert reports.keep(connections[clinic.alias], reports.REHEARSAL, ok=ok, report=told)
    owner.execute("UPDATE operator_reports SET looked_at = looked_at - %s", [timedelta(hours=hours)])
    rehearsed = room(boss).context["migrations"][1]
    assert rehearsed.state == state
    assert ("Rehearsed on a twin" in rehearsed.says) == (not others)
    assert ("patients: x" in rehearsed.says) == (not ok)


def test_backups__of_this_database__are_drawn_with_their_proof(clinic, owner, boss, monkeypatch):
    def entry(number, **words):
        made = datetime.now(UTC) - timedelta(hours=10 - number)
        name = f"2026112{number}T000000Z-aaaaaa"
        return operations.Entry(name, made, database=clinic.name, bytes=1000 * number, **words)

    several = [entry(3, verified_ok=True), entry(2), entry(1, verified_ok=False)]
    monkeypatch.setattr(operations.retention, "newest_first", lambda store: iter(several))
    answer = room(boss)
    assert [(bar.state, bar.height) for bar in answer.context["backups"]["bars"]] == [
        ("fail", 18.7), ("warn", 37.3), ("ok", 56.0),
    ]  # fmt: skip
    html = answer.content.decode()
    assert re.search(r'<rect class="bar-ok" x="[\d.]+" y="4.0" width="24.0" height="56.0">', html)
    assert answer.context["backups"]["fact"].state == "warn"  # one did not pass


@pytest.mark.parametrize("role", ["supervisor", "staff", "doctor", "patient"])
def test_room__anybody_else__may_not_enter(client, role):
    sign_in(client, role)
    assert client.get(ROOM).status_code == 403
    assert ROOM not in client.get("/admin/").content.decode()


@pytest.mark.parametrize("language", ["ar", "en"])
def test_room__page__speaks_ones_language_and_runs_no_script_of_its_own(clinic, owner, client, language):
    keep(clinic, "warn")
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
    sign_in(client, "admin")
    html = room(client).content.decode()
    assert ("التشغيل" in html) == (language == "ar")
    assert ("يحتاج إلى نظر" in html) == (language == "ar")
    assert not re.search(r"<script(?![^>]*src=)[^>]*>\s*\S", html.replace('type="application/json"', "src="))
    assert " onclick=" not in html
    assert 'data-refresh="15"' in html
    row = owner.execute("SELECT id FROM operator_reports").fetchone()[0]
    assert client.get(f"{ROOM}{row}/change/").status_code == 200
    assert client.post(f"{ROOM}{row}/change/", {"ok": "on"}).status_code == 403
    assert client.get(f"{ROOM}add/").status_code == 403
