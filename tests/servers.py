"""The PostgreSQL servers of the tests, and the plugin that starts the first one before settings are read.

Without DATABASE_URL (environment or .env) each process of pytest gets a throwaway embedded server; the developer's
own cluster is never touched. With DATABASE_URL the tests make their databases on that server, whose role needs
CREATEDB. `start()` gives further throwaway clusters; all are stopped when the session ends, also by Ctrl-C.
"""

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from moeen.db.backups import keys
from moeen.db.security import identity
from moeen.db.server import places, programs
from moeen.db.server.cluster import Server
from moeen.env import Environment, parse_database_url
from tests import templates

PGBOUNCER = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
PROJECT = templates.PROJECT
# Fast and forgetful: a test's data need not outlive a power cut.
SETTINGS = (
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("autovacuum", "off"),
    ("max_connections", "200"),
    ("shared_buffers", "64MB"),
)
_started: list[Server] = []
_roots: list[Path] = []
_session: "Target | None" = None


@dataclass(frozen=True)
class Target:
    """Where test databases are made: a server, the role that makes them, and the role that owns them.

    `server` is None for the server of DATABASE_URL, which the tests neither start nor stop.
    """

    host: str
    port: str
    user: str
    password: str = field(default="", repr=False)
    maintenance: str = "postgres"
    options: dict = field(default_factory=dict)
    server: Server | None = None

    def url(self, name: str, *, user: str | None = None) -> str:
        secret = f":{quote(self.password, safe='')}" if self.password else ""
        options = {"host": self.host, "port": self.port, **self.options}
        query = "&".join(f"{key}={quote(str(value), safe='')}" for key, value in options.items() if value)
        return f"postgresql://{quote(user or self.user, safe='')}{secret}@/{quote(name, safe='')}?{query}"

    def connect(self, name: str | None = None, *, user: str | None = None, **options) -> psycopg.Connection:
        """An autocommit connection as the role that makes databases, or as `user`."""
        return psycopg.connect(self.url(name or self.maintenance, user=user), autocommit=True, **options)

    def create(self, name: str, *, owner: str, template: str = "template0") -> None:
        with self.connect() as connection:
            # In place of writing each page to the log; up to 14 there is no other way.
            how = "STRATEGY file_copy" if connection.info.server_version >= 150000 else ""
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE {} {}").format(
                    sql.Identifier(name), sql.Identifier(owner), sql.Identifier(template), sql.SQL(how)
                )
            )
            if template != "template0":
                self._let_in(connection, name, template)

    def _let_in(self, connection: psycopg.Connection, name: str, template: str) -> None:
        """Who may connect is all that CREATE DATABASE does not copy."""
        rights = connection.execute(
            """SELECT x.privilege_type, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee)::text END
               FROM pg_database AS d CROSS JOIN aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS x
               WHERE d.datname = %s AND x.grantee <> d.datdba""",
            [template],
        ).fetchall()
        database = sql.Identifier(name)
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        for right, role in rights:
            to = sql.SQL(role) if role == "PUBLIC" else sql.Identifier(role)
            connection.execute(sql.SQL("GRANT {} ON DATABASE {} TO {}").format(sql.SQL(right), database, to))

    def has(self, name: str) -> bool:
        with self.connect() as connection:
            return connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is not None

    def drop(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def scratch(prefix: str = "moeen-test-") -> Path:
    """A folder for clusters, gone when the session ends; the user who runs root's server may pass through."""
    root = Path(tempfile.mkdtemp(prefix=prefix))
    root.chmod(0o711)
    _roots.append(root)
    return root


def start(*, bin_dir: Path | None = None, settings=(), port: int = 5432, shape: str | None = "plain") -> Server:
    """A running throwaway cluster with role and database `moeen`, and by its shape (see templates.py) a migrated
    database to copy; without one nothing else stands in it, none of the project's roles either."""
    superuser = templates.SHAPES[shape].superuser if shape else "postgres"
    server = throwaway(bin_dir=bin_dir, superuser=superuser, settings=settings, port=port)
    if shape:
        templates.lay(server, shape)
    server.ensure_running()
    return server


def throwaway(
    *, bin_dir: Path | None = None, superuser: str = "postgres", settings=(), data_dir=None, port: int = 5432
) -> Server:
    """A cluster that is not started yet, and that is stopped and removed when the session ends."""
    folder = bin_dir or programs.bin_dir()
    if folder is None:
        raise RuntimeError("No PostgreSQL programs: install the requirements.")
    data_dir = data_dir or scratch() / "data"
    server = Server(
        data_dir=data_dir,
        bin_dir=places.usable_programs(Path(folder), data_dir=data_dir),
        superuser=superuser,
        settings=(*SETTINGS, *settings),
        durable=False,
        port=port,
    )
    _started.append(server)
    return server


def follow(primary: Server, *, slot: str = "") -> Server:
    """A running standby of a running cluster, which keeps WAL for it in this slot."""
    target = target_of(primary)
    follower = throwaway(settings=(("hot_standby", "on"),), superuser=primary.superuser)
    words = ["-D", follower.data_dir, "-R", "-c", "fast", *(["-C", "-S", slot] if slot else [])]
    command = [primary.bin_dir / "pg_basebackup", "-h", target.host, "-p", target.port, "-U", target.user, *words]
    subprocess.run(command, capture_output=True, check=True)
    mine = primary.data_dir.stat()
    for path in (follower.data_dir, *follower.data_dir.rglob("*")):
        os.chown(path, mine.st_uid, mine.st_gid)  # root's servers run as another user
    follower.ensure_running()
    return follower


@contextmanager
def pooler(target: Target, database: str, login: str, *, becomes: str = "", mode: str = "transaction") -> Iterator[str]:
    """The address of that database for the login through PgBouncer, in transaction mode with one server connection.

    `becomes` is the login of that connection, where it is another one.
    """
    if not os.path.exists(PGBOUNCER):
        pytest.skip("pgbouncer is not installed (Debian: apt-get install pgbouncer)")
    folder = scratch("moeen-pool-")
    (folder / "users.txt").write_text(f'"{login}" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"""
        [databases]
        {database} = host={target.host} port={target.port} user={becomes or login}
        [pgbouncer]
        listen_addr =
        unix_socket_dir = {folder}
        listen_port = 6543
        auth_type = trust
        auth_file = {folder}/users.txt
        pool_mode = {mode}
        default_pool_size = {1 if mode == "transaction" else 20}
        max_client_conn = 50
        server_reset_query = {"" if mode == "transaction" else "DISCARD ALL"}
        """.replace("\n        ", "\n")
    )
    owner = pwd.getpwuid(target.server.data_dir.stat().st_uid)
    for entry in (folder, *folder.iterdir()):
        os.chown(entry, owner.pw_uid, owner.pw_gid)
    with open(folder / "log", "wb") as log:
        who = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        process = subprocess.Popen([PGBOUNCER, str(folder / "pgbouncer.ini")], stdout=log, stderr=log, **who)
    try:
        for _ in range(100):
            if (folder / ".s.PGSQL.6543").exists():
                break
            time.sleep(0.05)
        else:
            pytest.fail((folder / "log").read_text())
        yield f"postgresql://{login}@/{database}?host={folder}&port=6543"
    finally:
        process.terminate()
        process.wait(10)


def set_up_project(server: Server) -> None:
    """Django in this process, as an operator on that server's database, migrated. For scripts, not pytest."""
    os.environ |= {
        "DATABASE_URL": target_of(server).url(server.database, user=server.role),
        "DJANGO_SETTINGS_MODULE": "moeen.settings",
        "SUPABASE_PROJECT_REF": " ",
    }
    import django

    identity.operate()
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def stop(server: Server) -> None:
    pid_file = server.data_dir / "postmaster.pid"
    socket_folder = pid_file.read_text().split("\n")[4] if pid_file.exists() else ""
    server.stop(mode="immediate")
    if server in _started:
        _started.remove(server)
    # What a server that was killed left behind.
    if socket_folder:
        shutil.rmtree(socket_folder, ignore_errors=True)


def stop_all() -> None:
    for server in list(_started):
        stop(server)
    for root in _roots:
        shutil.rmtree(root, ignore_errors=True)
    _roots.clear()


def target_of(server: Server, *, user: str | None = None) -> Target:
    """That cluster as a place for databases; `user` defaults to its superuser."""
    address = server.ensure_running()
    return Target(host=address.host, port=str(address.port), user=user or server.superuser, server=server)


def session_target() -> Target:
    """The server of this session: DATABASE_URL's, or the throwaway one."""
    if _session is None:
        raise RuntimeError("Run the tests with `python -m pytest`, which loads tests.servers first.")
    return _session


def extra_bin_dirs() -> list[Path]:
    """Further PostgreSQL programs to try, from MOEEN_TEST_BIN_DIRS (separated by colons)."""
    return [Path(part) for part in os.environ.get("MOEEN_TEST_BIN_DIRS", "").split(":") if part]


def versions() -> dict[str, Path]:
    """Every set of programs that the start states are tried on, by a name for the test's id."""
    found = {f"embedded-{major}": programs.bin_dir(major) for major in (programs.MAJOR, 16)}
    found |= {f"system-{programs.major_of(path)}": path for path in extra_bin_dirs()}
    return {name: path for name, path in found.items() if path is not None}


def older() -> set[str]:
    """The names of all but the newest."""
    found = versions()
    newest = max(map(programs.major_of, found.values()), default=0)
    return {name for name, path in found.items() if programs.major_of(path) < newest}


def between() -> set[str]:
    """The names of the versions that are neither the newest nor the oldest here."""
    found = versions()
    major = {name: programs.major_of(path) for name, path in found.items()}
    return {name for name in found if min(major.values()) < major[name] < max(major.values())}


def _runs_tests(options) -> bool:
    """Not so: `--help`, and the process that hands the tests to those of pytest-xdist, which start their own."""
    hands_on = getattr(options, "numprocesses", None) and "PYTEST_XDIST_WORKER" not in os.environ
    return not options.help and not options.version and not hands_on


def _lay_keys() -> None:
    """Keys of backups for the session, in processes of their own too; a developer's own are never used, nor is what
    they archive. Throwaway servers are not archived."""
    made, folder = keys.Signer.made(), scratch("moeen-keys-")
    (folder / "backup.key").touch(mode=0o600)
    (folder / "backup.key").write_text(made.text())
    (folder / "backup.pub").write_text(made.public.text())
    os.environ |= {"BACKUP_SIGNING_KEY": str(folder / "backup.key"), "BACKUP_PUBLIC_KEYS": ""}
    os.environ |= {"ARCHIVE": "false", "ARCHIVE_DIR": str(folder / "archive"), "ARCHIVE_STATE": str(folder / "state")}


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config):
    """Runs around, so before, pytest-django's own, which reads the settings."""
    global _session
    # Tests set the stage as the owner; requests and acting_as() bind what they do.
    identity.operate()
    # A signal that ends the session must not leave servers behind; pytest handles Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _lay_keys()
    url = Environment(PROJECT / ".env").text("DATABASE_URL")
    if url:
        entry = parse_database_url(url)
        options = entry["OPTIONS"]
        _session = Target(entry["HOST"], str(entry["PORT"]), entry["USER"], entry["PASSWORD"], entry["NAME"], options)
    elif _runs_tests(early_config.known_args_namespace):
        atexit.register(stop_all)
        server = start()
        _session = target_of(server)
        os.environ["DATABASE_URL"] = target_of(server, user=server.role).url(server.database)
        # A developer's .env may name a hosted project, which the throwaway server is not.
        os.environ["SUPABASE_PROJECT_REF"] = " "
    return (yield)


def pytest_unconfigure():
    stop_all()
