"""Pages are read from a real streaming standby, by the web's login: what may come from it, and when it is left out."""

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections, router
from django.test import Client, override_settings

from moeen.db import doctor, standbys
from moeen.db.backups.login import Login
from moeen.db.engine.client import DatabaseClient
from moeen.db.engine.session import OnStandby
from moeen.db.errors import ConfigurationError
from moeen.db.explain import explain
from moeen.db.security import identity
from moeen.db.security.access import web_role_sql
from moeen.env import Environment, parse_database_url
from moeen.middleware import WRITTEN
from sysadmin.models import AuditLog, User
from tests import servers, standby_site
from tests.access import world as rows
from tests.access.matrix import ACTORS

ALIAS = "standby_1"


@dataclass
class Pair:
    """A primary that the web serves, its standby, and superusers' connections to both."""

    database: object
    world: object
    follower: object
    primary: psycopg.Connection
    standby: psycopg.Connection

    def sign_in(self, label):
        client = Client()
        with identity.acting_as_operator():
            user = User.objects.using(self.database.alias).get(pk=self.world.keys["users"][label])
        client.force_login(user)
        return client

    def key(self, label="p1"):
        return self.world.keys["patients"][label]

    def caught_up(self):
        self.primary.execute("SELECT pg_logical_emit_message(true, 'test', '')")  # flushes all that was committed
        (position,) = self.primary.execute("SELECT pg_current_wal_flush_lsn()").fetchone()
        deadline = time.monotonic() + 20
        while not self.standby.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [position]).fetchone()[0]:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    @contextmanager
    def paused(self):
        """The standby replays nothing, once it has caught up and this process has seen that."""
        self.caught_up()
        standbys.forget()
        assert standbys.begin("anybody")
        standbys.end(ALIAS)
        self.standby.execute("SELECT pg_wal_replay_pause()")
        while self.standby.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() != ("paused",):
            time.sleep(0.02)
        try:
            yield
        finally:
            self.standby.execute("SELECT pg_wal_replay_resume()")
            self.caught_up()

    def backends(self):
        """The processes of the standby that work for the web."""
        query = "SELECT pid FROM pg_stat_activity WHERE usename = 'moeen_web'"
        return [pid for (pid,) in self.standby.execute(query)]


@pytest.fixture(scope="module")
def pair(served_database):
    with served_database.connect() as owner:
        world = rows.make(owner)
    follower = servers.follow(served_database.target.server)
    target = servers.target_of(follower)
    default = connections.settings["default"]
    default["ATOMIC_REQUESTS"] = True
    entry = default | {"HOST": target.host, "PORT": target.port, "ATOMIC_REQUESTS": False, "CONN_MAX_AGE": 60}
    connections.settings[ALIAS] = entry
    changed = override_settings(
        STANDBYS={ALIAS: entry}, REPLICA_MAX_LAG=60, DATABASE_ROUTERS=["moeen.db.standbys.Router"],
        ROOT_URLCONF=standby_site.__name__, WEB_LOGIN="moeen_web",
    )  # fmt: skip
    with changed, served_database.admin() as primary:
        primary.execute("SET synchronous_commit = on")
        made = Pair(served_database, world, follower, primary, target.connect(served_database.name))
        yield made
        made.standby.close()
    connections[ALIAS].close()
    del connections[ALIAS], connections.settings[ALIAS]
    servers.stop(follower)


@pytest.fixture(autouse=True)
def anew(pair):
    """Nothing is left out, and all is replayed."""
    pair.caught_up()
    standbys.forget()
    connections[ALIAS].close()


def test_get__in_each_role__sees_on_the_standby_what_the_primary_shows(pair):
    for label in ACTORS.values():
        client = pair.sign_in(label)
        pair.caught_up()
        standbys.forget()
        there = client.get("/keys").json()
        client.cookies[WRITTEN] = "0/0"  # unsigned: nobody knows what was written
        here = client.get("/keys").json()
        assert (there["standby"], here["standby"]) == (True, False)
        assert there["keys"] == here["keys"]
        assert any(there["keys"].values())


def test_get__admin_pages__open_from_the_standby(pair):
    client = pair.sign_in("a1")
    pair.caught_up()
    standbys.forget()
    # The end of a transaction, which began with the page's first query: whether it may answer is asked outside of one.
    last = "SELECT query, query_start FROM pg_stat_activity WHERE usename = 'moeen_web' ORDER BY 2 DESC LIMIT 1"
    for address in ("/admin/", "/admin/healthcare/patient/", f"/admin/healthcare/patient/{pair.key()}/change/"):
        before = pair.standby.execute(last).fetchone()
        assert client.get(address).status_code == 200
        after = pair.standby.execute(last).fetchone()
        assert (after[0], after != before) == ("ROLLBACK", True)
    assert client.get("/admin/healthcare/patient/?created_at__gte=yesterdayish").status_code == 302


def test_get__clinical_record__is_entered_on_the_primary_before_it_is_shown(pair):
    client = pair.sign_in("d1")
    pair.caught_up()
    standbys.forget()
    with identity.acting_as_operator():
        log = AuditLog.objects.using(pair.database.alias).filter(action="READ", record_id=pair.key())
        before = log.count()
        assert client.get(f"/admin/healthcare/patient/{pair.key()}/change/").status_code == 200
        assert log.count() > before


def test_get__what_one_wrote_is_not_replayed__primary_shows_it_and_others_read_on(pair):
    writer, reader = pair.sign_in("s1"), pair.sign_in("s2")
    with pair.paused():
        before = reader.get("/phones").json()
        done = writer.post("/phones", {"patient": pair.key(), "phone": "0501"})
        assert done.json()["standby"] is False
        own, others = writer.get("/phones").json(), reader.get("/phones").json()
        assert (own["standby"], own["phones"][pair.key()]) == (False, "0501")
        assert (others["standby"], others["phones"]) == (True, before["phones"])
        assert before["phones"][pair.key()] != "0501"
    again = writer.get("/phones").json()
    assert (again["standby"], again["phones"][pair.key()]) == (True, "0501")


def test_get__standby_later_than_allowed__primary_answers(pair):
    reader = pair.sign_in("s2")
    with override_settings(REPLICA_MAX_LAG=1), pair.paused():
        pair.primary.execute("SELECT pg_logical_emit_message(true, 'test', '')")
        time.sleep(1.2)
        assert reader.get("/phones").json()["standby"] is False
        assert standbys.begin("anybody") == ""


def test_get__writes_at_the_standby__refused(pair):
    with pytest.raises(Exception, match="read-only"):
        pair.sign_in("s1").get("/writes", {"patient": pair.key()})


def test_get__streamed__each_part_from_the_standby(pair):
    client = pair.sign_in("s1")
    pair.caught_up()
    standbys.forget()
    lines = b"".join(client.get("/streamed").streaming_content).decode().split("\n")
    assert len(lines) > 2
    assert all(line.startswith("True ") for line in lines[:-1])


def test_get__connection_lost_while_the_page_is_made__primary_answers(pair):
    client = pair.sign_in("s1")
    pair.caught_up()
    standbys.forget()
    ends = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'moeen_web'"
    standby_site.meanwhile.append(lambda: pair.standby.execute(ends))
    answer = client.get("/phones")
    assert (answer.status_code, answer.json()["standby"]) == (200, False)
    assert client.get("/phones").json()["standby"] is False  # it is left out
    standbys.forget()
    assert client.get("/phones").json()["standby"] is True


def test_get__standby_frozen__primary_answers_after_a_second_and_then_at_once(pair):
    client = pair.sign_in("s1")
    pair.caught_up()
    standbys.forget()
    assert client.get("/phones").json()["standby"] is True
    frozen = pair.backends()
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        took = []
        for _ in range(2):
            began = time.monotonic()
            assert client.get("/phones").json()["standby"] is False
            took.append(time.monotonic() - began)
        assert took[0] < 1.0 + standbys.ANSWER_SECONDS
        assert took[1] < 0.5
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)


def test_get__standby_stopped_and_started__left_out_and_read_from_again(pair):
    client = pair.sign_in("s1")
    pair.caught_up()
    standbys.forget()
    pair.standby.close()
    pair.follower.stop(mode="immediate")
    try:
        for _ in range(3):
            answer = client.get("/phones")
            assert (answer.status_code, answer.json()["standby"]) == (200, False)
    finally:
        pair.follower.ensure_running()
        pair.standby = servers.target_of(pair.follower).connect(pair.database.name)
    pair.caught_up()
    standbys.forget()
    assert client.get("/phones").json()["standby"] is True


@contextmanager
def leading_to(**changed):
    """The alias of the standby has an entry with other values."""
    words = connections.settings[ALIAS]
    connections[ALIAS].close()
    del connections[ALIAS]
    connections.settings[ALIAS] = words | changed
    try:
        yield
    finally:
        connections[ALIAS].close()
        del connections[ALIAS]
        connections.settings[ALIAS] = words


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"IDENTITY_KEY": f"{'0' * 8}.{'0' * 64}"}, "does not know"),
        ({"USER": "moeen"}, "owns tables"),
        ({"USER": "nobody_at_all"}, "has no user"),
    ],
)
def test_get__standby_that_cannot_serve__left_out_and_told(pair, caplog, changed, said):
    client = pair.sign_in("s1")
    pair.caught_up()
    standbys.forget()
    with leading_to(**changed, SERVES=True):
        assert client.get("/phones").json()["standby"] is False
    assert said in caplog.text


def test_get__server_that_is_no_standby__left_out(pair):
    client = pair.sign_in("s1")
    standbys.forget()
    with leading_to(HOST=connections.settings["default"]["HOST"]):
        assert client.get("/phones").json()["standby"] is False
        with standbys.reading(ALIAS):
            assert standbys.begin("anybody") == ""


@pytest.mark.parametrize("where", ["on the same server", "on another one"])
def test_get__standby_of_a_copy_that_knows_our_key__left_out_and_told(pair, caplog, where):
    """A copy of a clinic has its identity key, and positions in two logs can be compared, whatever they say."""
    client, database = pair.sign_in("s1"), pair.database
    here = where == "on the same server"
    other = database.target if here else with_roles_of(database, servers.start(shape=None))
    follower = pair.follower if here else servers.follow(other.server)
    name = "copied" if here else database.name
    other.create(name, owner=database.owner)
    try:
        if not here:
            with other.connect() as connection:
                web = web_role_sql(login="moeen_web", database=name, api=False).replace("PASSWORD '...'", "")
                connection.execute(web)
                # Its log is longer than ours: it has "replayed" whatever is asked for.
                more = "SELECT pg_logical_emit_message(true, 'test', repeat('x', 100000)) FROM generate_series(1, 999)"
                connection.execute(more)
        bring_over(database, other, name)
        there = servers.target_of(follower)
        with servers.target_of(other.server).connect() as primary, there.connect() as standby:
            (position,) = primary.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
            while not standby.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [position]).fetchone()[0]:
                time.sleep(0.02)
        standbys.forget()
        with leading_to(NAME=name, HOST=there.host, PORT=there.port):
            assert client.get("/phones").json()["standby"] is False
            with identity.acting_as_operator():
                assert standbys.look(connections[database.alias], ALIAS).role == "another"
        assert "another database" in caplog.text
    finally:
        if here:
            database.target.drop(name)
        else:
            servers.stop(follower)
            servers.stop(other.server)


def with_roles_of(database, server):
    """The other server's target: a cluster of its own making, as a copy of files would have the same number."""
    target = servers.target_of(server)
    query = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'moeen#_%' ESCAPE '#' AND rolname <> 'moeen_web'"
    with database.admin() as here, target.connect() as there:
        for (name,) in here.execute(query).fetchall():
            there.execute(f"CREATE ROLE {name}")
    return target


def bring_over(database, other, name):
    """Everything of it, into the empty database of that name."""
    programs = database.target.server.bin_dir
    dump = [programs / "pg_dump", "-Fc", "--dbname", database.target.url(database.name)]
    file = subprocess.run(dump, check=True, capture_output=True).stdout
    restore = [programs / "pg_restore", "--dbname", other.url(name)]
    subprocess.run(restore, input=file, check=True, capture_output=True)


def test_router__what_may_write_or_signs_in__primary(pair):
    user = User(pk=pair.world.keys["users"]["s1"], role="staff", is_active=True)
    read_only = identity.Identity("moeen_staff", "{}", read_only=True)
    with standbys.reading(ALIAS):
        for who, alias in ((read_only, ALIAS), (identity.AUTH, "default"), (identity.SERVICE, "default")):
            with identity.bound(who):
                assert router.db_for_read(User) == alias
        with identity.bound(read_only):
            assert router.db_for_write(User) == "default"
            user._state.db = ALIAS
            assert router.db_for_write(User, instance=user) == "default"
            other = User()
            other._state.db = "default"
            assert router.allow_relation(user, other)
    assert router.db_for_read(User, instance=user) == "default"
    user._state.db = "another"
    assert router.db_for_read(User, instance=user) == "another"


def test_commands__on_a_standby__refused_with_nothing_changed(pair):
    target = servers.target_of(pair.follower, user=pair.database.owner)
    login = Login.of_url(target.url(pair.database.name))
    with pytest.raises(OnStandby, match="a backup needs the primary"):
        login.connect(application="test", alone_for="a backup")
    with login.in_django("follower"), identity.acting_as_operator():
        for command in ("migrate", "backfill_public_ids", "seal_audit_log"):
            with pytest.raises(OnStandby, match="target_session_attrs"):
                call_command(command, database="follower")


def test_doctor__each_standby__has_a_line(pair):
    def line():
        patient = doctor._Examination(connections[pair.database.alias])
        with identity.acting_as_operator():
            return patient.line(ALIAS, lambda: patient.standby(ALIAS))

    assert line().state == "ok"
    with override_settings(REPLICA_MAX_LAG=1), pair.paused():
        pair.primary.execute("SELECT pg_logical_emit_message(true, 'test', '')")
        found = line()
        assert (found.state, "behind" in found.says) == ("warn", True)
    with leading_to(HOST=connections.settings["default"]["HOST"]):
        assert (line().state, "primary at present" in line().says) == ("ok", True)
    with override_settings(WEB_LOGIN="another"):
        assert (line().state, "moeen_web" in line().says) == ("fail", True)


def test_settings__several_urls__an_entry_each(tmp_path):
    urls = "postgresql://web@one:5432,two:5433/clinic  postgresql://web@/clinic?host=/run/postgresql"
    found = Environment(tmp_path / ".env", variables={"URLS": urls}).databases("URLS")
    assert [(entry["HOST"], entry["PORT"]) for entry in found] == [("one,two", "5432,5433"), ("/run/postgresql", "")]
    with pytest.raises(ConfigurationError, match="URLS"):
        Environment(tmp_path / ".env", variables={"URLS": "postgresql://web@one/clinic two"}).databases("URLS")


def test_connect__several_hosts__finds_the_one_that_takes_writes(pair):
    there, here = (servers.target_of(server) for server in (pair.follower, pair.database.target.server))
    query = f"host={there.host},{here.host}&port={there.port},{here.port}&target_session_attrs=read-write"
    entry = parse_database_url(f"postgresql://moeen@/{pair.database.name}?{query}")
    connections.settings["several"] = connections.configure_settings(
        {"default": {}, "several": entry | {"ENGINE": "moeen.db.engine"}}
    )["several"]
    try:
        with identity.acting_as_operator(), connections["several"].cursor() as cursor:
            cursor.execute("SELECT pg_is_in_recovery()")
            assert cursor.fetchone() == (False,)
            # What a backup starts goes to the same server.
            login = Login.of_wrapper(connections["several"])
            assert login.environment(application="test")["PGHOST"] == here.host
        _, environment = DatabaseClient.settings_to_cmd_args_env(connections.settings["several"], [])
        assert environment["PGTARGETSESSIONATTRS"] == "read-write"
    finally:
        connections["several"].close()
        del connections["several"], connections.settings["several"]
    only = f"host={there.host},{there.host}&port={there.port},{there.port}&target_session_attrs=read-write"
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(f"postgresql://moeen@/{pair.database.name}?{only}")
    assert "takes writes at this moment" in explain(caught.value).cause
