"""doctor: one page about an installation, each line with its state and the next step."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections

from moeen.db import doctor
from moeen.db.errors import USAGE, MoeenError
from sysadmin.management.commands.doctor import Command
from tests import states

NAMES = [
    "connection",
    "version",
    "role",
    "identity",
    "web",
    "TLS",
    "disk",
    "migrations",
    "backfills",
    "validation",
    "audit seals",
    "other tools",
    "backups",
    "archive",
    "alarm",
    "settings",
]


def lines(database):
    return {line.name: line for line in doctor.examine(connections[database.alias]).lines}


@pytest.fixture(scope="module")
def migrated(web_database):
    return web_database


@pytest.fixture(autouse=True)
def installation(settings, tmp_path):
    settings.WEB_LOGIN = "moeen_web"
    settings.STORAGES = settings.STORAGES | {
        "backups": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    }


def test_doctor__healthy_database__every_line_is_there_and_none_fails(migrated):
    found = lines(migrated)
    assert list(found) == NAMES
    assert {name: line.state for name, line in found.items()} == dict.fromkeys(NAMES, "ok") | {
        "backups": "warn",
        "archive": "warn",
        "alarm": "warn",
    }
    assert "backup_database" in found["backups"].next_step


def test_doctor__empty_database__says_migrate(new_database):
    found = lines(states.database(new_database, "fresh"))
    assert (found["migrations"].state, found["migrations"].next_step) == ("fail", "manage.py migrate")
    assert found["validation"].state == "fail"


def test_doctor__older_database__leads_to_the_report_of_its_adoption(new_database):
    found = lines(states.database(new_database, "core"))
    for name in ("migrations", "backfills", "validation"):
        assert (found[name].state, "validate_schema --adoption" in found[name].next_step) == ("fail", True)


@pytest.mark.slow
def test_doctor__adopted_database__says_backfill(new_database):
    database = states.database(new_database, "core")
    call_command("migrate", database=database.alias, verbosity=0)
    found = lines(database)
    assert found["backfills"].state == "warn"
    assert "backfill_public_ids" in found["backfills"].next_step
    assert found["validation"].state == "ok"


def test_doctor__history_of_another_tool__is_named_and_again_when_it_moved(new_database):
    database = new_database.migrated()
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE _prisma_migrations (id text, finished_at timestamptz);"
            "INSERT INTO _prisma_migrations VALUES ('1', '2020-01-01');"
            "CREATE TABLE alembic_version (version_num text); CREATE SCHEMA drizzle;"
            "CREATE TABLE drizzle.__drizzle_migrations (created_at bigint)"
        )
    line = lines(database)["other tools"]
    assert line.state == "ok"
    assert "Prisma (public._prisma_migrations, 1 entries)" in line.says
    assert "Alembic" in line.says
    with database.connect() as connection:
        connection.execute("INSERT INTO drizzle.__drizzle_migrations VALUES (extract(epoch FROM now()) * 1000 + 1)")
    line = lines(database)["other tools"]
    assert (line.state, "Drizzle was at work since the last migrate" in line.says) == ("warn", True)


def test_doctor__drift__validation_fails_and_names_it(new_database):
    database = states.migrated(new_database)
    with database.connect() as connection:
        connection.execute("ALTER TABLE patients DISABLE ROW LEVEL SECURITY")
    assert lines(database)["validation"].state == "fail"
    assert "patients" in lines(database)["validation"].says


def test_doctor__role_without_rights__is_told_the_grant(migrated):
    with migrated.admin() as admin:
        admin.execute(f"REVOKE TEMPORARY ON DATABASE {migrated.name} FROM PUBLIC, moeen")
    try:
        found = lines(migrated)["role"]
        assert found.state == "fail"
        assert found.next_step.startswith("GRANT TEMPORARY")
    finally:
        with migrated.admin() as admin:
            admin.execute(f"GRANT TEMPORARY ON DATABASE {migrated.name} TO moeen")


def test_doctor_command__no_server__one_line_fails_without_traceback(manage):
    said = manage("doctor", "--json", DATABASE_URL="postgresql://nobody:hidden@127.0.0.1:1/none")
    assert said.returncode == 3, said.stderr
    page = json.loads(said.stdout)
    assert page["ok"] is False
    assert page["lines"][0]["state"] == "fail"
    assert "hidden" not in said.stdout + said.stderr
    assert "Traceback" not in said.stderr


def test_doctor_command__healthy__exit_code_0(migrated, manage):
    said = manage(
        "doctor", DATABASE_URL=migrated.url, WEB_DATABASE_URL=migrated.target.url(migrated.name, user="moeen_web")
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert "PostgreSQL" in said.stdout


@pytest.fixture
def rest(settings):
    """A stand-in for the platform's REST server: `answers` maps (key, table) to a status and rows."""
    answers = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            table = self.path.removeprefix("/rest/v1/").partition("?")[0]
            status, rows = answers.get((self.headers["apikey"], table), (401, {"message": "permission denied"}))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(rows).encode())

        def log_message(self, *words):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings.SUPABASE_URL = f"http://127.0.0.1:{server.server_port}"
    settings.SUPABASE_ANON_KEY, settings.SUPABASE_SERVICE_ROLE_KEY = "anon-key", "service-key"
    yield answers
    server.shutdown()
    thread.join()
    server.server_close()


def test_doctor__rest_road_closed_to_outsiders__is_ok(migrated, rest):
    rest["service-key", "users"] = (200, [{"id": 1}])
    rest["anon-key", "settings"] = (200, [])
    assert lines(migrated)["REST"].state == "ok"


def test_doctor__rest_road__asks_the_service_key_for_what_the_service_may_read(migrated, rest):
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor._Examination, "_get", lambda self, path, key: asked.append((key, path)) or (200, []))
        lines(migrated)
    ((table, columns),) = [
        re.fullmatch(r"(\w+)\?select=(\w+)&limit=1", path).groups() for key, path in asked if key == "service-key"
    ]
    with migrated.connect() as connection, connection.transaction():
        connection.execute("SET LOCAL ROLE moeen_service")
        connection.execute(f"SELECT {columns} FROM {table} LIMIT 1")


def test_doctor__rest_road_shows_rows_to_anon__fails_and_names_the_table(migrated, rest):
    rest["service-key", "users"] = (200, [])
    rest["anon-key", "patients"] = (200, [{"first_name": "secret"}])
    found = lines(migrated)["REST"]
    assert (found.state, "patients" in found.says, "secret" in found.says) == ("fail", True, False)


def test_doctor__rest_road_refuses_the_service_key__fails(migrated, rest):
    assert lines(migrated)["REST"].state == "fail"


def test_doctor__rest_road_unreachable__fails_without_the_key(migrated, settings):
    settings.SUPABASE_URL = "http://127.0.0.1:1"
    settings.SUPABASE_ANON_KEY, settings.SUPABASE_SERVICE_ROLE_KEY = "anon-key", "service-key"
    found = lines(migrated)["REST"]
    assert found.state == "fail"
    assert "key" not in found.says


def test_doctor__audit_log__says_when_it_was_sealed_and_what_waits(new_database):
    database = new_database.migrated()
    with database.connect() as connection:
        connection.execute("INSERT INTO users (email) VALUES ('a@example.test')")
        line = lines(database)["audit seals"]
        assert (line.state, line.next_step.startswith("manage.py seal_audit_log")) == ("warn", True)
        call_command("seal_audit_log", database=database.alias)
        assert lines(database)["audit seals"].state == "ok"
        assert "0 entries have come since" in lines(database)["audit seals"].says


def test_metrics__file_cannot_be_written__wrong_usage_that_names_it():
    with pytest.raises(MoeenError, match=r"/nowhere/doctor.prom cannot be written") as refusal:
        Command._write(Path("/nowhere/doctor.prom"), doctor.Diagnosis(ok=True, lines=()))
    assert refusal.value.exit_code == USAGE
