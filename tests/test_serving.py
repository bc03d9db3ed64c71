"""Who the web is to the database, by real processes: never the owner, and never more than a login that takes roles."""

import contextlib
import http.cookiejar
import os
import pwd
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import psycopg
import pyotp
import pytest
from django.conf import settings as django_settings
from django.core import checks
from django.db import connections
from prometheus_client.parser import text_string_to_metric_families

from moeen.db import doctor
from moeen.db.roles import ROLES
from moeen.db.security import web_login
from moeen.env import parse_database_url
from sysadmin import checks as project_checks
from tests import servers

LOGIN = "web_moeen"
ADDRESS, PASSWORD = "boss@example.test", "a-Long-secret-7731"
WSGI = """
import sys
from wsgiref.simple_server import make_server
from moeen.wsgi import application
make_server("127.0.0.1", int(sys.argv[1]), application).serve_forever()
"""
GUNICORN = """
import sys
from gunicorn.app.wsgiapp import run
sys.argv = ["gunicorn", "--config", "python:moeen.gunicorn", "moeen.wsgi", "--bind", "127.0.0.1:" + sys.argv[1]]
run()
"""
ASGI = """
import asyncio, sys
from moeen.asgi import application
scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": "/admin/login/",
         "raw_path": b"", "query_string": b"", "headers": [(b"host", b"127.0.0.1")], "client": ["127.0.0.1", 1],
         "server": ["127.0.0.1", 80], "scheme": "http"}
async def main():
    said, done = [], asyncio.Event()
    async def receive():
        if not said:
            said.append(None)
            return {"type": "http.request", "body": b"", "more_body": False}
        await done.wait()
        return {"type": "http.disconnect"}
    async def send(message):
        if message["type"] == "http.response.start":
            print("status", message["status"])
        elif not message.get("more_body"):
            done.set()
    await application(scope, receive, send)
asyncio.run(main())
"""


def run(*words, python=None, **variables):
    """A finished process: `manage.py` with these words, or that Python text."""
    command = [sys.executable, "-c", python] if python else [sys.executable, "manage.py"]
    environment = {**os.environ, "SECRET_KEY": "", "DEBUG": "", "WEB_DATABASE_URL": "", **variables}
    return subprocess.run(
        [*command, *words],
        cwd=servers.PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextlib.contextmanager
def serve(*words, python=None, **variables):
    """The address of a server that runs in a process of its own, and what it says on stderr so far."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-c", python, port] if python else [sys.executable, "manage.py", "runserver", port]
    environment = {**os.environ, "SECRET_KEY": "", "DEBUG": "", "WEB_DATABASE_URL": "", **variables}
    log = servers.scratch() / "stderr"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [*command, *words], cwd=servers.PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=errors
        )
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), timeout=1):
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", log.read_text
    finally:
        process.terminate()
        process.wait(20)


class Browser:
    """Somebody at the admin: pages, forms with their tokens, and what of it no statement may show."""

    def __init__(self, site):
        self.site, self.jar = site, http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def get(self, path):
        with self.opener.open(self.site + path, timeout=60) as answer:
            return answer.read().decode()

    def post(self, path, **fields):
        fields["csrfmiddlewaretoken"] = re.search(r'csrfmiddlewaretoken" value="(\w+)"', self.get(path))[1]
        data = urllib.parse.urlencode(fields).encode()
        with self.opener.open(self.site + path, data=data, timeout=60) as answer:
            return answer.url, answer.read().decode()

    def sign_in(self):
        where, _ = self.post("/admin/login/?next=/admin/", username=ADDRESS, password=PASSWORD)
        assert where.endswith("/admin/")

    @property
    def secrets(self):
        return [cookie.value for cookie in self.jar]


@pytest.fixture(scope="module")
def project():
    """The embedded server of a project, migrated, with one administrator; its variables and the running Server."""
    server = servers.throwaway()
    variables = {"DATABASE_URL": "", "EMBEDDED_DATA_DIR": str(server.data_dir)}
    done = run("migrate", "--verbosity", "1", **variables)
    assert done.returncode == 0, done.stderr
    assert f"The web serves as {LOGIN}" in done.stderr
    script = (
        "from sysadmin.models import User; "
        f"User.objects.create_superuser('{ADDRESS}', password='{PASSWORD}', name='Boss')"
    )
    made = run("shell", "-v0", "-c", script, **variables)
    assert made.returncode == 0, made.stderr
    yield variables, server
    servers.stop(server)


def ask(server, query, *, user=None):
    with servers.target_of(server).connect("moeen", user=user) as connection:
        return connection.execute(query).fetchall()


@contextlib.contextmanager
def held(server, table):
    """Nobody else comes to the table: a request that needs it waits, and its statement can be looked at."""
    with servers.target_of(server).connect("moeen") as connection, connection.transaction():
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


def waiting(server, *, user=None):
    """Login, application and statement of the web's session that waits for a lock, as `user` sees it."""
    for _ in range(200):
        found = ask(
            server,
            "SELECT usename, application_name, query FROM pg_stat_activity WHERE datname = 'moeen' "
            "AND wait_event_type = 'Lock'",
            user=user,
        )
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError("no statement waits")


# --- the embedded server ------------------------------------------------------------------------------------------


def test_login__made_by_migrate__owns_nothing_and_holds_nothing(project):
    _, server = project
    assert ask(
        server,
        f"""SELECT rolcanlogin, rolinherit, rolsuper, rolcreatedb, rolcreaterole, rolbypassrls, rolreplication
            FROM pg_roles WHERE rolname = '{LOGIN}'""",
    ) == [(True, False, False, False, False, False, False)]
    members = ask(
        server,
        f"""SELECT m.roleid::regrole::text, m.set_option, m.inherit_option, m.admin_option FROM pg_auth_members m
            WHERE m.member = '{LOGIN}'::regrole ORDER BY 1""",
    )
    assert members == [(role, True, False, False) for role in sorted(ROLES)]
    assert ask(server, f"SELECT FROM pg_shdepend WHERE refobjid = '{LOGIN}'::regrole AND deptype = 'o'") == []
    assert ask(server, f"SELECT has_database_privilege('{LOGIN}', 'moeen', 'CONNECT')") == [(True,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(server, "SELECT FROM public.users", user=LOGIN)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(server, "SET ROLE moeen", user=LOGIN)


def test_login__name__is_none_of_the_roles_that_statements_name_by_pattern():
    assert not web_login.name_for("moeen").startswith("moeen_")
    assert web_login.name_for("moeen") == LOGIN
    assert len(web_login.name_for("ع" * 63).encode()) <= 63


def test_migrate__nothing_pending__mends_the_login_and_then_says_nothing(project):
    variables, server = project
    with servers.target_of(server).connect("moeen") as administrator:
        # As a database of version 1 has it.
        administrator.execute(f"DROP OWNED BY {LOGIN}; DROP ROLE {LOGIN}")
    refused = run("runserver", "--noreload", **variables)
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        f"Error: The embedded database has no login {LOGIN} for the web yet. [MOEEN-RIGHTS-4]",
        "Run `make migrate` (or `manage.py migrate`), which makes it.",
    ]
    assert f"The web serves as {LOGIN}" in run("migrate", **variables).stderr
    test_login__made_by_migrate__owns_nothing_and_holds_nothing(project)
    with servers.target_of(server).connect("moeen") as administrator:
        administrator.execute(
            f"ALTER ROLE {LOGIN} INHERIT BYPASSRLS CREATEROLE; GRANT moeen_admin TO {LOGIN} WITH INHERIT TRUE; "
            f"GRANT pg_read_all_data, moeen TO {LOGIN}; REVOKE CONNECT ON DATABASE moeen FROM {LOGIN}"
        )
    refused = run("runserver", "--noreload", **variables)
    assert refused.returncode == 2
    assert f"served as {LOGIN}, whom row security does not bind" in refused.stderr
    assert f"The web serves as {LOGIN}" in run("migrate", **variables).stderr
    test_login__made_by_migrate__owns_nothing_and_holds_nothing(project)
    assert "The web serves" not in run("migrate", **variables).stderr


@pytest.mark.parametrize("python", [None, WSGI], ids=["runserver", "wsgi"])
def test_pages__embedded_server__are_served_by_the_webs_login(project, python):
    variables, server = project
    words = () if python else ("--noreload",)
    with serve(*words, python=python, ALLOWED_HOSTS="127.0.0.1", **variables) as (site, said):
        browser = Browser(site)
        browser.sign_in()
        assert "Boss" in browser.get("/admin/sysadmin/user/")
        with held(server, "users"):
            thread = threading.Thread(target=browser.get, args=["/admin/"])
            thread.start()
            usename, _, _ = waiting(server)
        thread.join()
        assert usename == LOGIN
        assert "Error" not in said()
        assert "The record of migrations cannot be read" not in said()


def test_second_factor__asked_of_administrators__is_set_up_and_given_as_the_webs_login(project):
    variables, server = project
    with serve("--noreload", SECOND_FACTOR="administrators", **variables) as (site, said):
        browser, other = Browser(site), Browser(site)
        sign_in = ("/admin/login/?next=/admin/sysadmin/user/", {"username": ADDRESS, "password": PASSWORD})
        where, _ = browser.post(sign_in[0], **sign_in[1])
        assert where.endswith("/admin/second-factor/")
        assert "login" in browser.opener.open(site + "/admin/").url
        _, page = browser.post("/admin/second-factor/", do="begin")
        secret = re.search(r'<code dir="ltr">([A-Z2-7 ]+)</code>', page)[1].replace(" ", "")
        _, page = browser.post("/admin/second-factor/", do="confirm", code=pyotp.TOTP(secret).now())
        codes = re.findall(r"<li><code>([a-z2-7-]+)</code>", page)
        assert "Boss" in browser.get("/admin/sysadmin/user/")
        where, _ = other.post(sign_in[0], **sign_in[1])
        assert where.endswith("/admin/login/code/")
        where, page = other.post("/admin/login/code/", code=codes[0])
        assert where.endswith("/admin/sysadmin/user/")
        assert "Boss" in page
        assert "Error" not in said()
    assert ask(server, "DELETE FROM second_factors RETURNING jsonb_array_length(recovery_codes)") == [(9,)]


def test_served__as_in_production__has_its_styles_its_health_and_a_log_without_rows(project):
    """What `make serve` runs: gunicorn, DEBUG off, style sheets under hashed names."""
    variables, _ = project
    collected = run("collectstatic", "--noinput", "--verbosity", "0", **variables)
    assert collected.returncode == 0, collected.stderr
    with serve(python=GUNICORN, **variables | {"DEBUG": "false", "PYTHONWARNINGS": "default"}) as (site, said):
        browser = Browser(site)
        assert (browser.get("/healthz"), browser.get("/readyz")) == ("ok\n", "ready\n")
        with pytest.raises(urllib.error.HTTPError, match="404"):  # without a token there is no such address
            browser.get("/metrics")
        browser.sign_in()
        page = browser.get("/admin/sysadmin/user/?q=boss")
        styles = re.search(r'href="(/static/admin/css/base\.[0-9a-f]{12}\.css)"', page)[1]
        with browser.opener.open(site + styles, timeout=60) as answer:
            assert answer.headers["Content-Type"].startswith("text/css")
            assert "immutable" in answer.headers["Cache-Control"]
        with pytest.raises(urllib.error.HTTPError) as missing:
            browser.get("/nowhere/")
        text = missing.value.read().decode()
        assert (missing.value.code, "لا توجد صفحة" in text, "Traceback" in text) == (404, True, False)
        lines = said()
    assert '"page": "admin:sysadmin_user_changelist", "status": 200' in lines
    assert "boss" not in lines


def test_metrics__with_a_token__add_up_the_processes_and_name_no_row(project, tmp_path):
    variables, _ = project
    looked = run("doctor", "--metrics", str(tmp_path / "doctor.prom"), **variables)
    assert looked.returncode in (0, 3), looked.stderr
    said = {"METRICS_TOKEN": "a-token-of-twenty-letters", "METRICS_FILE": str(tmp_path / "doctor.prom")}
    said |= {"CACHE_DIR": str(tmp_path / "cache"), "DEBUG": "false"}
    stale = tmp_path / "cache" / "metrics" / "histogram_1.db"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"of an earlier start")
    with serve(python=GUNICORN, **variables | said) as (site, _):
        browser = Browser(site)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            browser.get("/metrics")
        browser.sign_in()
        for _ in range(6):
            browser.get("/admin/sysadmin/user/?q=boss")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            browser.get("/nowhere/")
        browser.opener.addheaders = [("Authorization", f"Bearer {said['METRICS_TOKEN']}")]
        answers = [measured(browser.get("/metrics")) for _ in range(6)]  # whichever process answers
        counts = {labels: value for labels, value in answers[0].items() if "moeen_request_seconds_count" in labels}
    assert counts == {
        ("moeen_request_seconds_count", "admin:login", "200"): 1,
        ("moeen_request_seconds_count", "admin:login", "302"): 1,
        ("moeen_request_seconds_count", "admin:index", "200"): 1,
        ("moeen_request_seconds_count", "admin:sysadmin_user_changelist", "200"): 6,
        ("moeen_request_seconds_count", "", "404"): 1,
    }
    assert all({key: value for key, value in answer.items() if key in counts} == counts for answer in answers)
    assert answers[0]["moeen_database_up",] == answers[0]["moeen_doctor_file_read",] == 1
    assert answers[0]["moeen_migrations_pending",] == 0
    assert abs(time.time() - answers[0]["moeen_doctor_timestamp_seconds",]) < 60
    states = {key[1] for key in answers[0] if key[0] == "moeen_doctor_state"}
    assert {"backups", "migrations", "audit seals"} <= states
    assert "boss" not in str(answers)
    assert not stale.exists()


def measured(text):
    """(name, *labels) -> value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_created"))
    }


def test_asgi__embedded_server__answers_and_asks_as_the_webs_login(project):
    variables, server = project
    with servers.target_of(server).connect("moeen") as administrator:
        administrator.execute("ALTER SYSTEM SET log_connections = on")
        administrator.execute("SELECT pg_reload_conf()")
        mark = server.log.stat().st_size
        done = run(python=ASGI, ALLOWED_HOSTS="127.0.0.1", **variables)
        administrator.execute("ALTER SYSTEM RESET log_connections")
        administrator.execute("SELECT pg_reload_conf()")
    assert done.stdout == "status 200\n", done.stderr
    with server.log.open() as log:
        log.seek(mark)
        logins = set(re.findall(r"connection authorized: user=(\w+)", log.read()))
    assert logins == {LOGIN}


def test_runserver__migrations_pending__still_says_so_on_the_embedded_server(project):
    variables, server = project
    with servers.target_of(server).connect("moeen") as administrator:
        (row,) = administrator.execute(
            """DELETE FROM django_migrations WHERE app = 'crm'
               AND name = (SELECT max(name) FROM django_migrations WHERE app = 'crm') RETURNING app, name, applied"""
        ).fetchall()
        log = servers.scratch() / "stdout"
        try:
            with log.open("wb") as out, socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = str(free.getsockname()[1])
            with log.open("wb") as out:
                command = [sys.executable, "-u", "manage.py", "runserver", "--noreload", port]
                process = subprocess.Popen(
                    command,
                    cwd=servers.PROJECT,
                    env={**os.environ, "SECRET_KEY": "", **variables},
                    stdout=out,
                    stderr=out,
                )
            for _ in range(200):
                if "Quit the server" in log.read_text():
                    break
                time.sleep(0.1)
            assert "1 unapplied migration" in log.read_text()
        finally:
            process.terminate()
            process.wait(20)
            administrator.execute("INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, %s)", row)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as another user of this machine")
@pytest.mark.parametrize("login", [LOGIN, "moeen", "postgres"])
def test_socket__another_user_of_the_machine__gets_in_as_nobody(project, login):
    _, server = project
    address = server.ensure_running()
    owner = server.data_dir.stat().st_uid
    stranger = next(user for user in pwd.getpwall() if user.pw_uid not in (0, owner))
    program = server.bin_dir / "psql"
    words = ["-w", "-h", address.host, "-p", str(address.port), "-U", login, "-d", "moeen", "-Atc", "SELECT 1"]
    who = {"user": stranger.pw_uid, "group": stranger.pw_gid, "extra_groups": []}
    done = subprocess.run([program, *words], cwd="/", capture_output=True, text=True, check=False, **who)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Permission denied" in done.stderr


def test_commands__that_tell_of_the_installation__know_the_login(project):
    variables, _ = project
    assert f"moeen (commands), {LOGIN} (the web)" in run("embedded_server", "status", **variables).stdout
    page = run("doctor", **variables).stdout
    assert re.search(rf"ok +web +served as {LOGIN}", page)
    assert re.search(r"ok +validation", page)
    validated = run("validate_schema", **variables)
    assert validated.returncode == 0, validated.stdout + validated.stderr
    asked = run("check_access", "--as", LOGIN, "--table", "patients", **variables)
    assert asked.returncode == 2
    assert "is the web's login" in asked.stderr
    assert f'GRANT CONNECT ON DATABASE "moeen" TO "{LOGIN}"' in run("print_web_role_sql", **variables).stdout


# --- values -------------------------------------------------------------------------------------------------------


def test_statements__of_a_session_that_waits__show_no_value_to_another_of_the_login(project):
    variables, server = project
    with serve("--noreload", **variables) as (site, _):
        browser = Browser(site)
        browser.sign_in()
        (session,) = [cookie.value for cookie in browser.jar if cookie.name == "sessionid"]
        with held(server, "django_session"):
            thread = threading.Thread(target=browser.get, args=["/admin/"])
            thread.start()
            login, _, text = waiting(server, user=LOGIN)
        thread.join()
        assert (login, session in text) == (LOGIN, False)
        assert '"session_key" = $2' in text
        with held(server, "users"):
            stranger = Browser(site)
            thread = threading.Thread(target=stranger.sign_in)
            thread.start()
            login, _, text = waiting(server, user=LOGIN)
        thread.join()
        assert (login, ADDRESS in text, "$1" in text) == (LOGIN, False, True)


def test_statements__of_a_whole_visit__hold_no_value(project):
    """The server's log of statements has the same texts as pg_stat_activity, and has all of them."""
    variables, server = project
    with servers.target_of(server).connect("moeen") as administrator:
        administrator.execute(f"ALTER ROLE {LOGIN} SET log_statement = 'all'")
        mark = server.log.stat().st_size
        try:
            with serve("--noreload", **variables) as (site, _):
                browser = Browser(site)
                browser.sign_in()
                path, _ = browser.post(
                    "/admin/sysadmin/setting/add/", key="colour_of_doors", value='"ultramarine"', category="general"
                )
                assert path.endswith("/setting/")
                (pk,) = administrator.execute("SELECT id FROM settings WHERE key = 'colour_of_doors'").fetchone()
                browser.get("/admin/sysadmin/setting/?q=colour_of_doors")
                browser.get("/admin/sysadmin/user/?role__exact=admin&q=boss@example")
                browser.get("/admin/sysadmin/auditlog/?q=ultramarine")
                form = f"/admin/sysadmin/setting/{pk}/change/"
                browser.post(form, key="colour_of_doors", value='"vermilion"', category="general")
                browser.get(f"/admin/sysadmin/setting/{pk}/history/")
                browser.post(f"/admin/sysadmin/setting/{pk}/delete/", post="yes")
                assert administrator.execute("SELECT FROM settings WHERE id = %s", [pk]).fetchall() == []
                secrets = browser.secrets
        finally:
            administrator.execute(f"ALTER ROLE {LOGIN} RESET log_statement")
        (hashed,) = administrator.execute("SELECT password_hash FROM users WHERE email = %s", [ADDRESS]).fetchone()
    with server.log.open() as log:
        log.seek(mark)
        lines = log.read()
    texts = "\n".join(re.findall(r"LOG:  (?:execute [^:]*|statement): (.*(?:\n\t.*)*)", lines))
    assert len(texts.splitlines()) > 100
    assert '"django_session"' in texts
    values = [
        *secrets,
        ADDRESS,
        PASSWORD,
        hashed,
        str(pk),
        "colour_of_doors",
        "ultramarine",
        "vermilion",
        "boss@example",
    ]
    assert [value for value in values if value in texts] == []


# --- DATABASE_URL and WEB_DATABASE_URL ----------------------------------------------------------------------------

ROADS = {
    "runserver": {"words": ("runserver", "--noreload")},
    "reloader": {"words": ("runserver",)},
    "wsgi": {"python": "import moeen.wsgi"},
    "asgi": {"python": "import moeen.asgi"},
    "asgi in a loop": {"python": "import asyncio\nasync def main(): import moeen.asgi\nasyncio.run(main())"},
}


@pytest.fixture
def standing(web_database, settings):
    """`standing("ALTER ROLE ...")`: the URL of the login `moeen_web` after that; undone afterwards."""
    undone = []

    def change(statements, back=""):
        with web_database.admin() as administrator:
            administrator.execute(statements)
        undone.append(back)
        return web_database.target.url(web_database.name, user="moeen_web")

    yield change
    with web_database.admin() as administrator:
        for statements in undone:
            administrator.execute(statements)


def start(road, **variables):
    road = ROADS[road]
    return run(*road.get("words", ()), python=road.get("python"), **{"ALLOWED_HOSTS": "127.0.0.1", **variables})


@pytest.mark.parametrize("road", ROADS)
def test_start__database_url_alone_without_debug__refused_with_the_lines_that_make_the_login(web_database, road):
    done = start(road, DEBUG="false", DATABASE_URL=web_database.url)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("Error: The web would be served as moeen")
    printed = run("print_web_role_sql", DATABASE_URL=web_database.url).stdout
    for line in printed.splitlines()[1:]:
        assert line in done.stderr
    assert "WEB_DATABASE_URL" in done.stderr
    assert "manage.py rotate_identity_key --print" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 8


def test_start__gunicorn_that_may_not_serve__is_refused_once(web_database):
    said = {"DATABASE_URL": web_database.url, "DEBUG": "false"}
    done = run("0", python=GUNICORN, **said)
    assert (done.returncode, done.stderr.count("Error: ")) == (2, 1), done.stderr
    assert "Traceback" not in done.stderr
    malformed = run("0", python=GUNICORN, **said | {"SESSION_MAX_HOURS": "many"})
    assert (malformed.returncode, malformed.stderr.count("Error: "), "Traceback" in malformed.stderr) == (2, 1, False)


def test_start__database_url_alone_with_debug__serves_and_warns(web_database):
    with serve("--noreload", DATABASE_URL=web_database.url) as (site, said):
        assert "csrfmiddlewaretoken" in Browser(site).get("/admin/login/")
        assert said().count("Warning: The web would be served as moeen") == 1
        assert "print_web_role_sql" in said()


def test_start__login_of_its_own__serves(web_database, standing):
    url = standing("SELECT 1")
    variables = {"DATABASE_URL": web_database.url, "WEB_DATABASE_URL": url, "ALLOWED_HOSTS": "127.0.0.1"}
    with serve("--noreload", DEBUG="false", **variables) as (site, said):
        assert "csrfmiddlewaretoken" in Browser(site).get("/admin/login/")
        assert "Warning: " not in said()


POWERS = {
    "superuser": ("ALTER ROLE moeen_web SUPERUSER", "ALTER ROLE moeen_web NOSUPERUSER", "is a superuser"),
    "bypassrls": ("ALTER ROLE moeen_web BYPASSRLS", "ALTER ROLE moeen_web NOBYPASSRLS", "has BYPASSRLS"),
    "createrole": ("ALTER ROLE moeen_web CREATEROLE", "ALTER ROLE moeen_web NOCREATEROLE", "may create roles"),
    "replication": ("ALTER ROLE moeen_web REPLICATION", "ALTER ROLE moeen_web NOREPLICATION", "REPLICATION"),
    "member of the owner": ("GRANT moeen TO moeen_web", "REVOKE moeen FROM moeen_web", "may become moeen"),
    "member of a superuser": (
        "GRANT postgres TO moeen_web",
        "REVOKE postgres FROM moeen_web",
        "may become postgres",
    ),
    "member of a member": (
        "CREATE ROLE between; GRANT moeen TO between; GRANT between TO moeen_web",
        "DROP ROLE between",
        "may become moeen",
    ),
    "reader of everything": (
        "GRANT pg_read_all_data TO moeen_web",
        "REVOKE pg_read_all_data FROM moeen_web",
        "may become pg_read_all_data",
    ),
    "reader of others' statements": (
        "GRANT pg_monitor TO moeen_web",
        "REVOKE pg_monitor FROM moeen_web",
        "may become pg_monitor",
    ),
    "reader of the keys": (
        "GRANT SELECT (inner_pad) ON app.identity_keys TO moeen_web",
        "REVOKE SELECT (inner_pad) ON app.identity_keys FROM moeen_web",
        "the keys that identities are signed with",
    ),
    "maker of keys": (
        "GRANT EXECUTE ON FUNCTION app.add_identity_key(text, bytea) TO moeen_web",
        "REVOKE EXECUTE ON FUNCTION app.add_identity_key(text, bytea) FROM moeen_web",
        "the keys that identities are signed with",
    ),
    "reader of files": (
        "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO PUBLIC",
        "REVOKE EXECUTE ON FUNCTION pg_read_file(text) FROM PUBLIC",
        "may call pg_read_file, which leads to files of the server",
    ),
    "reader of statistics": (
        "GRANT SELECT (stavalues1) ON pg_statistic TO moeen_web",
        "REVOKE SELECT (stavalues1) ON pg_statistic FROM moeen_web",
        "reads pg_statistic, past every policy",
    ),
    "inherits": (
        "GRANT moeen_staff TO moeen_web WITH INHERIT TRUE",
        "GRANT moeen_staff TO moeen_web WITH INHERIT FALSE",
        "holds the rights of moeen_staff all the time",
    ),
    "owns a table": (
        "CREATE TABLE public.own (); ALTER TABLE public.own OWNER TO moeen_web",
        "DROP TABLE public.own",
        "owns tables",
    ),
}


def found_by_check():
    (message,) = project_checks.check_web_login(None)
    return message


@pytest.fixture
def default(web_database, settings):
    """Commands of this process are about that database, whose web is served by `moeen_web`."""
    before, entry = connections["default"], connections.settings["default"]
    connections.settings["default"] = connections.settings[web_database.alias]
    connections["default"] = connections.create_connection("default")
    settings.WEB_LOGIN = "moeen_web"
    yield
    connections["default"].close()
    connections["default"], connections.settings["default"] = before, entry


@pytest.mark.parametrize("power", POWERS)
def test_login__with_powers__is_refused_and_found(web_database, standing, default, power):
    assert project_checks.check_web_login(None) == []
    make, back, says = POWERS[power]
    url = standing(make, back)
    with web_database.connect(user="moeen_web") as connection, pytest.raises(web_login.Refused, match=says):
        web_login.refuse_powerful(connection)
    message = found_by_check()
    assert (message.id, message.level) == ("moeen.E122", checks.ERROR)
    assert "WEB_DATABASE_URL" in message.hint
    line = {line.name: line for line in doctor.examine(connections["default"]).lines}["web"]
    assert (line.state, says in line.says) == ("fail", True)
    if power == "member of the owner":
        for road in ROADS:
            done = start(road, DEBUG="false", DATABASE_URL=web_database.url, WEB_DATABASE_URL=url)
            assert done.returncode == 2, (road, done.stderr)
            assert says in done.stderr
            assert "Traceback" not in done.stderr


def test_login__of_a_pooler_that_connects_as_the_owner__is_refused(web_database):
    with servers.pooler(web_database.target, web_database.name, "moeen_web", becomes="moeen") as url:
        done = start("wsgi", DATABASE_URL=web_database.url, WEB_DATABASE_URL=url)
        assert done.returncode == 2, done.stderr
        assert "served as moeen, whom row security does not bind" in done.stderr
    with servers.pooler(web_database.target, web_database.name, "moeen_web") as url:
        done = start("wsgi", DATABASE_URL=web_database.url, WEB_DATABASE_URL=url)
        assert done.returncode == 0, done.stderr


def test_engine__process_that_never_asked__is_refused_at_its_first_connection(web_database):
    text = "import django; django.setup(); from django.db import connection; connection.ensure_connection()"
    done = run(
        python=f"import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'moeen.settings'; {text}",
        DATABASE_URL=web_database.url,
    )
    assert "ServedByOwner" in done.stderr
    assert done.returncode == 1


def test_start__no_database_answers__warns_and_looks_later(web_database):
    url = "postgresql://moeen_web@127.0.0.1:1/none"
    done = start("wsgi", DATABASE_URL=web_database.url, WEB_DATABASE_URL=url)
    assert done.returncode == 0
    assert "Warning: No server answers at 127.0.0.1, port 1." in done.stderr


def test_web_database_url__without_a_login__refused(web_database):
    done = run("check", DATABASE_URL=web_database.url, WEB_DATABASE_URL="postgresql://127.0.0.1/clinic")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: WEB_DATABASE_URL names no login.")


def test_check_deploy__database_url_alone__is_an_error_and_doctor_fails(web_database):
    done = run("check", "--deploy", DATABASE_URL=web_database.url)
    assert done.returncode == 1
    assert "(moeen.E121) The web would be served as moeen" in done.stderr
    assert "HINT: After `manage.py migrate`" in done.stderr
    page = run("doctor", DATABASE_URL=web_database.url)
    assert page.returncode == 3
    assert re.search(r"fail  web .*served as moeen", page.stdout)


def test_check__login_that_is_missing_or_may_not_take_a_role__is_an_error(standing, default, settings):
    standing("REVOKE moeen_auth FROM moeen_web", "GRANT moeen_auth TO moeen_web")
    message = found_by_check()
    assert (message.id, "may not become moeen_auth" in message.msg) == ("moeen.E123", True)
    settings.WEB_LOGIN = "nobody_made_it"
    assert found_by_check().id == "moeen.E123"


def test_engine__every_connection__prepares_nothing(web_database):
    wrapper = connections[web_database.alias]
    assert wrapper.get_connection_params()["prepare_threshold"] is None
    assert "SERVES" in django_settings.DATABASES["default"]
    assert parse_database_url(web_database.url)["OPTIONS"].get("prepare_threshold") is None


PATIENCE = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "moeen.settings"
django.setup()
from django.db import OperationalError, connection
from moeen.db.security import identity
with identity.acting_as_auth():
    for statement in ("SELECT pg_sleep(30)", "SELECT FROM users"):
        try:
            connection.cursor().execute(statement)
        except OperationalError as error:
            print(error.__cause__.sqlstate)
"""


def test_statement__of_a_page_that_takes_too_long__is_ended_and_of_a_lock_sooner(web_database):
    said = {
        "WEB_DATABASE_URL": web_database.target.url(web_database.name, user="moeen_web"),
        "IDENTITY_KEY": web_database.identity_key(),
    }
    with web_database.connect() as holder, holder.transaction():
        holder.execute("LOCK TABLE users")
        done = run(python=PATIENCE, DATABASE_URL=web_database.url, STATEMENT_SECONDS="2", **said)
    assert (done.stdout.split(), done.stderr) == (["57014", "55P03"], "")
