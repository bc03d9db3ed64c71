"""The files of docs/deploy: what they name is there, and what can be tried of them here is tried."""

import configparser
import contextlib
import http.client
import os
import re
import secrets
import shlex
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.contrib.auth.hashers import make_password
from django.core.management import get_commands, load_command_class

from moeen.db.backups.schedule import schedule
from moeen.db.security import identity, web_login
from sysadmin.models import AuditLog, User
from tests import servers
from tests.test_habits import _options
from tests.test_serving import ADDRESS, GUNICORN, PASSWORD, Browser, measured, run, serve

FOLDER = servers.PROJECT / "docs" / "deploy"
#: Where the files have the checkout.
HOME = "/srv/moeen"
VARIABLES = set(re.findall(r"^([A-Z_]+)=", (servers.PROJECT / ".env.example").read_text("utf-8"), re.MULTILINE))
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))


def units():
    return sorted([*FOLDER.glob("*.service"), *FOLDER.glob("*.timer")])


def unit(path):
    read = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    read.optionxform = str
    read.read_string(path.read_text(encoding="utf-8"))
    return read


def stages():
    """Stage of the Dockerfile -> its instructions as (word, rest)."""
    found, name = {}, ""
    for line in DOCKERFILE.replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            image, _, name = rest.partition(" AS ")
            found[name] = [("FROM", image)]
        elif word and not word.startswith("#"):
            found[name].append((word, re.sub(r"\s+", " ", rest)))
    return found


def words_of(stage, word):
    return [rest for one, rest in stages()[stage] if one == word]


def assert_known(words):
    """A command line of ours: programs, settings, applications, commands and their options are there."""
    program, *rest = words
    if Path(program).name == "gunicorn":
        settings = rest[rest.index("--config") + 1]
        assert callable(import_module(settings.removeprefix("python:")).on_starting)
        assert rest[-1] == "moeen.wsgi"
        assert (servers.PROJECT / "moeen" / "wsgi.py").exists()
        assert {word for word in rest if word.startswith("--")} == {"--config", "--bind"}
    else:
        assert Path(program).name == "python"
        assert Path(rest[0]).name == "manage.py"
        assert (servers.PROJECT / "manage.py").exists()
        command = load_command_class(get_commands()[rest[1]], rest[1])
        taken = set(_options(command.create_parser("manage.py", rest[1])))
        assert {word for word in rest[2:] if word.startswith("--")} <= taken


# --- systemd ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", units(), ids=lambda path: path.name)
def test_unit__each__names_what_there_is(path):
    read = unit(path)
    if path.suffix == ".timer":
        assert path.with_suffix(".service").exists()
        assert read["Install"]["WantedBy"] == "timers.target"
        return
    service = read["Service"]
    words = shlex.split(service["ExecStart"])
    assert words[0].startswith(f"{HOME}/.venv/bin/")
    assert service["WorkingDirectory"] == HOME
    assert_known(words)
    assert service["User"] == service["Group"] != "root"
    assert service["EnvironmentFile"] in (servers.PROJECT / "docs" / "serving.md").read_text("utf-8")
    said = dict(word.partition("=")[::2] for word in service.get("Environment", "").split())
    assert said.keys() <= VARIABLES
    assert not {"SECRET_KEY", "DATABASE_URL", "WEB_DATABASE_URL", "IDENTITY_KEY"} & said.keys()


def test_units__of_the_files_and_of_print_schedule__are_taken_by_systemd(tmp_path):
    """Its own program reads them, with the project's own paths in place of an installation's."""
    program = shutil.which("systemd-analyze")
    made = schedule(servers.PROJECT, database="1/moeen", environment=tmp_path / "operator.env").units
    texts = {path.name: path.read_text("utf-8") for path in units()} | made
    for name, text in texts.items():
        assert re.search(r"^\[Unit\]\nDescription=.+$", text, re.MULTILINE), name
        # Its programs are looked up. Users are looked up as well, and root is on every machine.
        text = text.replace(HOME, str(servers.PROJECT)).replace("User=moeen-web", "User=root")
        (tmp_path / name).write_text(re.sub(r"^(User|Group)=.*$", r"\1=root", text, flags=re.MULTILINE))
    if program is None:
        pytest.skip("systemd-analyze is not here: the units were only read")
    done = subprocess.run(
        [program, "verify", "--man=no", *(str(tmp_path / name) for name in texts)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "moeen" in line]
    assert (done.returncode, ours) == (0, []), done.stderr
    broken = (tmp_path / "moeen-web.service").read_text().replace("bin/gunicorn", "bin/gunicron")
    (tmp_path / "moeen-web.service").write_text(broken)
    words = [program, "verify", "--man=no", str(tmp_path / "moeen-web.service")]
    assert "moeen-web.service" in subprocess.run(words, capture_output=True, text=True, check=False).stderr


def test_web_unit__what_it_writes__is_where_the_settings_write(manage):
    service = unit(FOLDER / "moeen-web.service")["Service"]
    said = dict(word.partition("=")[::2] for word in service["Environment"].split())
    assert said["CACHE_DIR"] == f"/var/cache/{service['CacheDirectory']}"
    shown = manage("diffsettings", "--all", CACHE_DIR="/var/cache/moeen", METRICS_TOKEN="x" * 20).stdout
    assert "METRICS_DIR = PosixPath('/var/cache/moeen/metrics')" in shown
    assert "CACHE_DIR = PosixPath('/var/cache/moeen')" in shown


# --- proxies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Caddyfile", "nginx.conf"])
def test_proxy__each__leads_to_the_unit_and_keeps_what_watchers_ask(name):
    text = (FOLDER / name).read_text(encoding="utf-8")
    bind = re.search(r"--bind (\S+)", unit(FOLDER / "moeen-web.service")["Service"]["ExecStart"])[1]
    assert re.search(rf"(reverse_proxy |proxy_pass http://){re.escape(bind)}\b", text)
    for address in ("/healthz", "/readyz", "/metrics"):
        assert address in text
    assert text.count("{") == text.count("}")


# --- containers ---------------------------------------------------------------------------------------------------


def test_dockerfile__stages__copy_what_there_is_and_run_as_nobody_of_weight():
    copied = [word for stage in stages() for rest in words_of(stage, "COPY") for word in rest.split()[:-1]]
    ours = [word for word in copied if not word.startswith(("--", "/"))]
    assert [word for word in ours if not (servers.PROJECT / word).exists()] == []
    packages = {path.parent.name for path in servers.PROJECT.glob("*/__init__.py")} - {"tests"}
    assert packages <= set(ours)
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text("utf-8").split()
    assert {f"!{word}" for word in ours} == {word for word in ignored if word.startswith("!")}
    for stage, user in (("web", "moeen"), ("pgbouncer", "postgres")):
        assert words_of(stage, "USER") == [user]
        after = [word for word, _ in stages()[stage]]
        assert "RUN" not in after[after.index("USER") :]
    assert "--require-hashes" in words_of("packages", "RUN")[0]
    assert stages()["packages"][0] == stages()["web"][0] == ("FROM", "python:3.13-slim")


def test_dockerfile__web__names_variables_commands_and_addresses_that_there_are():
    (said,) = words_of("web", "ENV")
    assert {word.partition("=")[0] for word in said.split()} - {"PYTHONDONTWRITEBYTECODE"} <= VARIABLES
    (command,) = words_of("web", "CMD")
    words = yaml.safe_load(command)
    assert_known(words)
    assert words[words.index("--bind") + 1] == f"0.0.0.0:{words_of('web', 'EXPOSE')[0]}"
    (health,) = words_of("web", "HEALTHCHECK")
    assert f"http://127.0.0.1:{words_of('web', 'EXPOSE')[0]}/readyz" in health
    compile(yaml.safe_load(health.partition("CMD ")[2])[2], "HEALTHCHECK", "exec")
    collected = next(rest for rest in words_of("web", "RUN") if "collectstatic" in rest)
    assert_known(shlex.split(collected.partition("&&")[0])[1:])


def test_compose__services__stand_on_each_other_and_hold_no_secret():
    services = COMPOSE["services"]
    assert services["db"]["image"] == "postgres:18"
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= services.keys(), name
        build = service.get("build")
        if build:
            assert (FOLDER / build["context"]).resolve() == servers.PROJECT
            assert (servers.PROJECT / build["dockerfile"]).resolve() == FOLDER / "Dockerfile"
            assert build["target"] in stages()
            assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
        assert set(service.get("secrets", ())) <= COMPOSE["secrets"].keys()
        said = service.get("environment", {})
        assert {key for key in said if not key.startswith("POSTGRES_")} <= VARIABLES
        # A secret is a file's: its place may be told.
        assert all(value.startswith("/") for key, value in said.items() if re.search("KEY|PASSWORD|SECRET|TOKEN", key))
        for volume in service.get("volumes", ()):
            assert volume.partition(":")[0] in COMPOSE["volumes"]
    assert services["web"]["ports"] == ["127.0.0.1:8000:8000"]
    named = [secret["file"] for secret in COMPOSE["secrets"].values()]
    named += [file for service in services.values() for file in service.get("env_file", ())]
    page = (servers.PROJECT / "docs" / "serving.md").read_text("utf-8")
    assert [file for file in named if Path(file).name not in page or not file.startswith("/etc/moeen/")] == []
    assert services["manage"]["command"] == ["doctor"]
    assert (services["work"]["command"], services["work"]["profiles"]) == (["work"], [])
    for name in ("manage", "work"):
        assert_known([*services[name]["entrypoint"], *services[name]["command"]])


def test_pool__its_file__names_the_service_the_port_and_the_login():
    read = configparser.ConfigParser(interpolation=None, comment_prefixes=(";",))
    read.read_string((FOLDER / "pgbouncer.ini").read_text("utf-8"))
    words = dict(word.partition("=")[::2] for word in read["databases"]["moeen"].split())
    assert words == {"host": "db", "port": "5432"}
    assert "db" in COMPOSE["services"]
    assert read["pgbouncer"]["listen_port"] == words_of("pgbouncer", "EXPOSE")[0]
    assert read["pgbouncer"]["auth_file"].removeprefix("/run/secrets/") in COMPOSE["services"]["pool"]["secrets"]
    assert web_login.name_for("moeen") in (FOLDER / "pgbouncer.ini").read_text("utf-8")
    page = (servers.PROJECT / "docs" / "serving.md").read_text("utf-8")
    assert f"pool:{read['pgbouncer']['listen_port']}" in page


# --- all of it, without containers --------------------------------------------------------------------------------

SITE = "clinic.example"
#: Whom the proxy sees.
VISITOR = "127.0.0.2"
LOGIN = "moeen_web"
SECRET = "a-Password-of-the-pool-44"


@contextlib.contextmanager
def process(*words, answers, **options):
    """A program that runs until the end of the block, once it takes connections at that port."""
    folder = servers.scratch()
    with (folder / "log").open("wb") as log:
        started = subprocess.Popen(words, stdout=log, stderr=log, **options)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", answers), timeout=1):
                break
            assert started.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield
    finally:
        started.terminate()
        started.wait(10)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def replaced(text, pairs):
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def clinic(web_database):
    """A server that asks the web for its password, and a pool before it: (the database, the web's variables)."""
    if not os.path.exists(servers.PGBOUNCER):
        pytest.skip("pgbouncer is not installed (Debian: apt-get install pgbouncer)")
    target, name = web_database.target, web_database.name
    with web_database.admin() as administrator:
        administrator.execute(f"ALTER ROLE {LOGIN} PASSWORD '{SECRET}'")
        (line,) = administrator.execute(
            """SELECT format('"%%s" "%%s"', rolname, rolpassword) FROM pg_authid WHERE rolname = %s""", [LOGIN]
        ).fetchone()
        hba = target.server.data_dir / "pg_hba.conf"
        hba.write_text(f"local all {LOGIN} scram-sha-256\n{hba.read_text()}")
        administrator.execute("SELECT pg_reload_conf()")
    port, folder = free_port(), servers.scratch()
    (folder / "users").write_text(f"{line}\n")
    (folder / "pgbouncer.ini").write_text(
        replaced(
            (FOLDER / "pgbouncer.ini").read_text("utf-8"),
            (
                ("moeen = host=db port=5432", f"{name} = host={target.host} port={target.port}"),
                ("listen_addr = *", "listen_addr = 127.0.0.1"),
                ("listen_port = 6432", f"listen_port = {port}"),
                ("/run/secrets/pgbouncer_users", str(folder / "users")),
            ),
        )
    )
    owner = target.server.data_dir.stat()
    for entry in (folder, *folder.iterdir()):
        os.chown(entry, owner.st_uid, owner.st_gid)
    who = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    with process(servers.PGBOUNCER, str(folder / "pgbouncer.ini"), answers=port, **who):
        web = {
            "DATABASE_URL": "",
            "WEB_DATABASE_URL": f"postgresql://{LOGIN}:{SECRET}@127.0.0.1:{port}/{name}",
            "IDENTITY_KEY": web_database.identity_key(),
            "DATABASE_POOLED": COMPOSE["services"]["web"]["environment"]["DATABASE_POOLED"],
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ALLOWED_HOSTS": SITE,
            "CSRF_TRUSTED_ORIGINS": f"https://{SITE}",
            "SECURE_PROXY_SSL_HEADER": "HTTP_X_FORWARDED_PROTO=https",
            "CLIENT_ADDRESS_HEADER": "HTTP_X_FORWARDED_FOR",
            "SECURE_HSTS_SECONDS": "31536000",
            "DEBUG": "false",
            "SECOND_FACTOR": "optional",  # test_serving.py gives one
            "METRICS_TOKEN": secrets.token_hex(24),
            "CACHE_DIR": str(servers.scratch()),
        }
        yield web_database, web


def certificate(folder):
    """A certificate for the site that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SITE)]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(SITE)]), critical=False).sign(key, hashes.SHA256())
    )  # fmt: skip
    form, plain, none = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "fullchain.pem").write_bytes(made.public_bytes(form))
    (folder / "privkey.pem").write_bytes(key.private_bytes(form, plain, none))


def nginx_words(folder, *, web, plain, tls):
    """nginx with the example's text, at other ports and with a certificate of its own."""
    text = re.sub(r"^ *listen \[::\].*\n", "", (FOLDER / "nginx.conf").read_text("utf-8"), flags=re.MULTILINE)
    (folder / "moeen.conf").write_text(
        replaced(
            text,
            (
                ("listen 80;", f"listen 127.0.0.1:{plain};"),
                ("listen 443 ", f"listen 127.0.0.1:{tls} "),
                ("http://127.0.0.1:8000;", f"{web};"),
                ("/etc/letsencrypt/live/clinic.example", str(folder)),
            ),
        )
    )
    user = "user root;" if os.geteuid() == 0 else ""
    places = "".join(f"{one}_temp_path {folder}/{one};" for one in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log stderr; {user} events {{}} "
        f"http {{ {places} include {folder}/moeen.conf; }}"
    )
    return shutil.which("nginx"), "-c", str(folder / "nginx.conf")


class NamesTheSite(urllib.request.BaseHandler):
    handler_order = 400  # before urllib names the address

    def https_request(self, request):
        request.add_unredirected_header("Host", SITE)
        return request


class FromElsewhere(urllib.request.HTTPSHandler):
    def https_open(self, request):
        connection = partial(http.client.HTTPSConnection, source_address=(VISITOR, 0))
        return self.do_open(connection, request, context=self._context)


class Visitor(Browser):
    """Somebody at the site through the proxy, whose certificate is checked. What they say of themselves is not so."""

    def __init__(self, port, folder):
        super().__init__(f"https://127.0.0.1:{port}")
        context = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
        context.check_hostname = False  # there is no name service: the address is 127.0.0.1
        cookies = urllib.request.HTTPCookieProcessor(self.jar)
        self.opener = urllib.request.build_opener(NamesTheSite, cookies, FromElsewhere(context=context))
        self.opener.addheaders = [("Origin", f"https://{SITE}"), ("X-Forwarded-Proto", "http")]
        self.opener.addheaders.append(("X-Forwarded-For", "198.51.100.1"))


class Still(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args, **kwargs):
        return None


def asked(address, **headers):
    """Status and headers of an answer that is not followed."""
    request = urllib.request.Request(address, headers={"Host": SITE, **headers})
    try:
        with urllib.request.build_opener(Still).open(request, timeout=30) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers


def test_web__behind_pool_and_proxy__signs_people_in_as_its_own_login(clinic):
    """gunicorn as unit and container start it, PgBouncer with the container's file and passwords by SCRAM, and nginx
    with the example's, where it is here."""
    database, web = clinic
    with identity.acting_as_operator():
        hashed = make_password(PASSWORD, hasher="pbkdf2_sha256")  # what the processes that serve can read
        User.objects.using(database.alias).create(email=ADDRESS, role="admin", password=hashed)
    collected = run("collectstatic", "--noinput", "--verbosity", "0", DATABASE_URL=database.url)
    assert collected.returncode == 0, collected.stderr
    by_proxy = {"X-Forwarded-Proto": "https"}
    with serve(python=GUNICORN, **web) as (site, said):
        assert [asked(site + path)[0] for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 401]
        code, headers = asked(f"{site}/admin/login/")
        assert (code, headers["Location"]) == (301, f"https://{SITE}/admin/login/")
        code, headers = asked(f"{site}/admin/login/", **by_proxy)
        assert (code, headers["Strict-Transport-Security"]) == (200, "max-age=31536000")
        assert "Secure" in headers["Set-Cookie"]
        assert asked(f"{site}/admin/login/", **by_proxy | {"Host": "elsewhere.example"})[0] == 400
        if shutil.which("nginx"):
            visit_through_nginx(site, web)
            with identity.acting_as_operator():
                entry = AuditLog.objects.using(database.alias).filter(action="SIGNED_IN").get()
            assert entry.ip_address == VISITOR
        with database.admin() as administrator:
            (logins,) = administrator.execute(
                """SELECT array_agg(DISTINCT usename::text) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename <> %s
                         AND backend_type = 'client backend'""",
                [database.owner],
            ).fetchone()
        assert logins == [LOGIN]
        words = said()
    assert SECRET not in words
    if not shutil.which("nginx"):
        pytest.skip("nginx is not here: its file was only read")


def visit_through_nginx(site, web):
    folder = servers.scratch()
    certificate(folder)
    plain, tls = free_port(), free_port()
    words = nginx_words(folder, web=site, plain=plain, tls=tls)
    tried = subprocess.run([*words, "-t"], capture_output=True, text=True, check=False)
    assert (tried.returncode, "[warn]" in tried.stderr) == (0, False), tried.stderr
    with process(*words, answers=tls):
        code, headers = asked(f"http://127.0.0.1:{plain}/admin/?q=1")
        assert (code, headers["Location"]) == (301, f"https://{SITE}/admin/?q=1")
        visitor = Visitor(tls, folder)
        visitor.sign_in()  # with a header that says HTTP, which the proxy does not pass on
        page = visitor.get("/admin/sysadmin/user/")
        assert ADDRESS in page
        assert "body" in visitor.get(re.search(r'href="(/static/admin/css/base\.[0-9a-f]{12}\.css)"', page)[1])
        for path in ("/healthz", "/readyz", "/metrics"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                visitor.get(path)
    request = urllib.request.Request(f"{site}/metrics", headers={"Authorization": f"Bearer {web['METRICS_TOKEN']}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        counted = measured(answer.read().decode())
    assert counted["moeen_database_up",] == 1
    assert counted["moeen_request_seconds_count", "admin:sysadmin_user_changelist", "200"] == 1


def test_readyz__nothing_where_the_pool_should_be__is_503_and_the_process_lives(clinic):
    _, web = clinic
    gone = re.sub(r":\d+/", f":{free_port()}/", web["WEB_DATABASE_URL"])
    known = {"X-Forwarded-Proto": "https", "Cookie": "sessionid=abcdefghijklmnopqrstuvwxyz012345"}
    with serve(python=GUNICORN, **web | {"WEB_DATABASE_URL": gone}) as (site, said):
        assert [asked(site + path)[0] for path in ("/healthz", "/readyz")] == [200, 503]
        request = urllib.request.Request(f"{site}/admin/sysadmin/user/?q=noor", headers={"Host": SITE, **known})
        with pytest.raises(urllib.error.HTTPError, match="503") as refused:
            urllib.request.urlopen(request, timeout=60)
        text = refused.value.read().decode()
        assert ("قاعدة البيانات لا تجيب" in text, "Traceback" in text) == (True, False)
        words = said()
    assert "django.db.utils.OperationalError" in words
    assert not [word for word in (SECRET, "/admin/sysadmin/user/", "noor") if word in words]


def test_caddyfile__caddy_is_here__takes_it(tmp_path):
    program = shutil.which("caddy")
    if program is None:
        pytest.skip("caddy is not here: its file was only read")
    words = [program, "validate", "--adapter", "caddyfile", "--config", str(FOLDER / "Caddyfile")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
