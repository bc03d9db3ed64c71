"""Fixtures for everyone: empty databases on the session's server, and clusters of every version."""

import itertools
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from moeen.apps import read_pages
from moeen.db.security import identity, signing
from moeen.db.security.access import web_role_sql
from moeen.env import parse_database_url
from tests import documents, servers, templates

_numbers = itertools.count(1)

#: Fixtures that a module's tests share, made anew for each of their parameters.
SHARED = ("adopted", "database", "migrated", "part", "proof", "server_versions", "siege")

# pytest-xdist tells its processes the width of its own terminal, which commands would take for theirs.
os.environ.pop("COLUMNS", None)

# Tests are requests as well as commands.
read_pages()

# A safe hash takes a third of a second. The real one stays known: manage.py in a process of its own uses it.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items):
    """All tests of a module run one after the other for each value of SHARED; of several processes (`--dist
    loadgroup`) in one.

    Tests on another version than the newest are slow: most of them prove the same once more. Those on one that is not
    the oldest either are marked besides: those two seldom agree where it differs.
    """
    marks = {"slow": servers.older(), "between": servers.between()}
    for item in items:
        values = getattr(item, "callspec", None)
        for value in values.params.values() if values else ():
            named = set(map(str, value) if isinstance(value, tuple) else [str(value)])
            for mark, versions in marks.items():
                if versions & named:
                    item.add_marker(mark)
        shared = [str(values.params[name]) for name in SHARED if values and name in values.params]
        item.add_marker(pytest.mark.xdist_group("-".join([item.module.__name__, *shared])))
    outcome = yield
    groups = {}
    for item in items:  # pytest groups them by the number of the value, which each list of values counts for itself
        groups.setdefault(item.get_closest_marker("xdist_group").args[0], []).append(item)
    items[:] = itertools.chain.from_iterable(groups.values())
    return outcome


@dataclass(frozen=True)
class Database:
    """An empty database and two ways in: `alias` for Django, `connect()` for SQL of one's own."""

    name: str
    alias: str
    owner: str
    target: servers.Target

    @property
    def url(self) -> str:
        """As the owner."""
        return self.target.url(self.name, user=self.owner)

    def connect(self, *, user: str | None = None, **options) -> psycopg.Connection:
        """An autocommit connection, as the owner unless `user` names another role of the server."""
        return self.target.connect(self.name, user=user or self.owner, **options)

    def admin(self, **options) -> psycopg.Connection:
        """An autocommit connection as the role that made the database: a superuser on throwaway servers."""
        return self.target.connect(self.name, **options)

    def identity_key(self) -> str:
        """What IDENTITY_KEY holds for a process that serves this database."""
        with self.connect() as owner:
            return signing.signer_for(owner, configured=None).key.text()


@pytest.fixture(scope="session")
def new_database(django_db_blocker):
    """`new_database(name=None, *, server=None, owner="moeen", template="template0")` -> Database.

    Empty, owned by the role `moeen` (no superuser), on the session's server or on a Server of one's own.
    Django knows it under `.alias` (`call_command("migrate", database=db.alias)`). It is dropped when the
    session ends, or by `new_database.drop(db)`. `new_database.migrated(...)` gives one at the newest schema: a copy
    of the server's template where it has one (see templates.py).
    """
    made: list[Database] = []

    def make(name=None, *, server=None, owner=None, template="template0") -> Database:
        target = servers.target_of(server) if server is not None else servers.session_target()
        if owner is None:
            owner = target.server.role if target.server is not None else target.user
        name = name or f"moeen_{os.getpid()}_{next(_numbers)}"
        target.create(name, owner=owner, template=template)
        alias = f"db_{name}_{next(_numbers)}"
        database = Database(name=name, alias=alias, owner=owner, target=target)
        connections.settings[alias] = connections.configure_settings(
            {"default": {}, alias: {"ENGINE": "moeen.db.engine", **parse_database_url(database.url)}}
        )[alias]
        made.append(database)
        return database

    def drop(database: Database) -> None:
        made.remove(database)
        connections[database.alias].close()
        del connections[database.alias]
        del connections.settings[database.alias]
        server = database.target.server
        # A cluster that was stopped meanwhile takes its databases with it.
        if server is None or server.status().running:
            database.target.drop(database.name)

    def migrated(name=None, *, server=None, owner=None) -> Database:
        target = servers.target_of(server) if server is not None else servers.session_target()
        if target.has(templates.MIGRATED):
            return make(name, server=server, owner=owner, template=templates.MIGRATED)
        database = make(name, server=server, owner=owner)
        with identity.acting_as_operator():
            call_command("migrate", database=database.alias, verbosity=0, no_backup="test")
        return database

    make.drop, make.migrated = drop, migrated
    with django_db_blocker.unblock():
        yield make
        for database in list(made):
            drop(database)


@contextmanager
def _as_default(database):
    default = connections["default"]
    default.close()
    before, default.settings_dict["NAME"] = default.settings_dict["NAME"], database.name
    try:
        yield
    finally:
        default.close()
        default.settings_dict["NAME"] = before


@pytest.fixture(scope="session")
def as_default():
    """`with as_default(database):` Django's default connection leads to it."""
    return _as_default


@pytest.fixture(scope="session")
def django_db_setup(new_database, django_test_environment):
    """The database of the tests marked `django_db`: a migrated one, in place of the default."""
    with _as_default(new_database.migrated()):
        yield


@pytest.fixture(scope="module")
def web_database(new_database):
    """A migrated database with the login `moeen_web`, made as print_web_role_sql says.

    On a cluster of its own: a login belongs to the whole cluster, and others would meet it.
    """
    server = servers.start()
    made = new_database.migrated(server=server)
    with made.admin() as administrator:
        administrator.execute(
            web_role_sql(login="moeen_web", database=made.name, api=False).replace("PASSWORD '...'", "")
        )
    yield made
    new_database.drop(made)
    servers.stop(server)


@contextmanager
def _default_with_values_apart(entry):
    """Django's default connection is another one, by this entry of DATABASES, as where the web is served."""
    before = connections["default"], connections.settings["default"]
    connections.settings["default"] = {**entry, "OPTIONS": {**entry["OPTIONS"], "server_side_binding": True}}
    connections["default"] = connections.create_connection("default")
    yield
    connections["default"].close()
    connections["default"], connections.settings["default"] = before


@pytest.fixture(scope="module")
def values_apart(django_db_setup):
    """Values go beside the statements of Django's default connection, as where the web is served."""
    with _default_with_values_apart(connections.settings["default"]):
        yield


@pytest.fixture(scope="module")
def served_database(web_database):
    """That database by the web's login, in place of the default."""
    entry = connections.settings[web_database.alias]
    login = {"USER": "moeen_web", "IDENTITY_KEY": web_database.identity_key()}
    with _default_with_values_apart(entry | login):
        yield web_database


@pytest.fixture(scope="session", params=list(servers.versions()))
def server_versions(request):
    """A running throwaway cluster of each version: the wheel's two, and those of MOEEN_TEST_BIN_DIRS."""
    session = servers.session_target().server
    programs = servers.versions()[request.param]
    if session is not None and session.bin_dir == programs:
        yield session
        return
    server = servers.start(bin_dir=programs)
    yield server
    servers.stop(server)


@pytest.fixture(scope="session")
def manage():
    """`manage("command", "--option", NAME="value")`: a finished `manage.py` process with its output as text.

    The variables are added to the environment of the session; `None` takes one away. What `--json` prints, failures
    included, is as its schema says.
    """

    def run(*words, stdin="", **variables):
        environment = {**os.environ, "PYTHONWARNINGS": "default", **variables}
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=servers.PROJECT,
            env={name: value for name, value in environment.items() if value is not None},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if "--json" in words:
            documents.hold(words[0], done.stdout)
        return done

    return run
