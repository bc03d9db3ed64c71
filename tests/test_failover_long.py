"""`make test-ha`: the primary is killed under load, with Patroni and etcd, and a standby under readers.

SECONDS (20): for so long the readers read.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.contrib.auth.hashers import make_password

from moeen.db.security.access import web_role_sql
from tests import patroni, servers, states
from tests.test_serving import Browser, serve

SECONDS = int(os.environ.get("SECONDS", "20"))
#: Writers come back within so many seconds after the primary was killed.
BACK = 30
WRITERS = READERS = 8
MIGRATE = ("migrate", "--no-backup", "test", "--no-rehearsal", "test")
PASSWORD = "a-Long-secret-7731"
SITE = """
import sys
import moeen.settings
moeen.settings.ROOT_URLCONF = "tests.standby_site"
from gunicorn.app.wsgiapp import run
words = "gunicorn --config python:moeen.gunicorn moeen.wsgi --threads 4 --bind 127.0.0.1:"
sys.argv = (words + sys.argv[1]).split()
run()
"""
pytestmark = pytest.mark.long


def manage(url, *words, wait=True, **variables):
    """manage.py as the owner of this database: finished, or under way."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", *words], cwd=servers.PROJECT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "DATABASE_URL": url, **variables},
    )  # fmt: skip
    if wait:
        process.out, process.err = process.communicate(timeout=180)
    return process


# -- failover --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    if patroni.MISSING:
        pytest.skip(f"not installed: {', '.join(patroni.MISSING)} (Debian: apt-get install patroni etcd-server)")
    with patroni.Cluster() as made:
        made.make_databases("moeen", "older", "filled")
        done = manage(made.url(), "migrate", "--verbosity", "0", "--no-backup", "test")
        assert done.returncode == 0, done.err
        with psycopg.connect(made.url(), autocommit=True) as owner:
            owner.execute("CREATE TABLE promised (writer int, number int, PRIMARY KEY (writer, number))")
        yield made


class Writers:
    """Each commits one number after another, and notes when the server has said that it is kept."""

    def __init__(self, url):
        self.url, self.kept, self.ended = url, [], threading.Event()
        self.pool = ThreadPoolExecutor(WRITERS)
        self.jobs = [self.pool.submit(self._write, writer) for writer in range(WRITERS)]

    def _write(self, writer):
        connection, number = None, 0
        while not self.ended.is_set():
            number += 1
            try:
                if connection is None:
                    connection = psycopg.connect(self.url, autocommit=True)
                connection.execute("INSERT INTO promised VALUES (%s, %s)", [writer, number])
            except psycopg.Error:  # perhaps kept, and not promised
                if connection is not None:
                    connection.close()
                connection = None
                time.sleep(0.1)
            else:
                self.kept.append((time.monotonic(), writer, number))
                time.sleep(0.005)
        if connection is not None:
            connection.close()

    def wait(self, *, since, seconds):
        """Until every writer has been answered after that moment: seconds since then, of the first and of the last."""
        deadline = since + seconds
        while time.monotonic() < deadline:
            first = {}
            for moment, writer, _ in list(self.kept):
                if moment > since:
                    first.setdefault(writer, moment - since)
            if len(first) == WRITERS:
                return min(first.values()), max(first.values())
            time.sleep(0.2)
        raise AssertionError(f"writers did not come back within {seconds} s")

    def end(self):
        self.ended.set()
        for job in self.jobs:
            job.result(60)
        self.pool.shutdown()
        return {(writer, number) for _, writer, number in self.kept}


def older(url):
    with psycopg.connect(url, autocommit=True) as owner:
        states.load(owner, "core")
        owner.execute("INSERT INTO patients (first_name, last_name, phone) SELECT 'Noor', 'Hadi', '5' FROM "
                      "generate_series(1, 100000)")  # fmt: skip


def adopted(url):
    """Migrated, and every patient waits for a public id."""
    older(url)
    done = manage(url, *MIGRATE, "--verbosity", "0")
    assert done.returncode == 0, done.err


#: What is killed with the primary: the database, its rows, the command, and by what one knows that it is under way.
WORK = {
    "migrate": (
        "older",
        older,
        MIGRATE,
        "SELECT to_regclass('public.django_migrations') IS NOT NULL",
    ),
    "backfill": (
        "filled",
        adopted,
        ("backfill_public_ids", "--max-rows-per-second", "3000"),
        "SELECT EXISTS (SELECT FROM patients WHERE public_id IS NOT NULL)",
    ),
}


#: As docs/high-availability.md has it.
ALLOWED = {"powerful login replicator REPLICATION": "standbys, by Patroni"}


def has_begun(url, query):
    with psycopg.connect(url) as owner:
        return owner.execute(query).fetchone()[0]


@pytest.mark.parametrize("name", WORK)
def test_failover__primary_killed_under_load__nothing_promised_is_lost_and_work_resumes(cluster, name):
    database, prepare, words, begun = WORK[name]
    url = cluster.url(database)
    prepare(url)
    cluster.wait(cluster.is_whole, seconds=60, told="three nodes")
    leader, writers = cluster.leader(), Writers(cluster.url())
    work = manage(url, *words, wait=False)
    try:
        time.sleep(2)
        cluster.wait(lambda: has_begun(url, begun), seconds=60, told="the command is at work")
        under_way = work.poll() is None
        killed = time.monotonic()
        leader.kill()
        first, last = writers.wait(since=killed + 0.5, seconds=BACK)
        work.out, work.err = work.communicate(timeout=120)
        time.sleep(2)
    finally:
        work.kill()
        promised = writers.end()
    print(f"{name}: writers back after {first:.1f} to {last:.1f} s; the command ended with {work.returncode}")
    assert under_way, "the command had ended before the primary was killed"
    assert work.returncode == 1, work.err
    assert "Traceback" not in work.err
    with psycopg.connect(cluster.url()) as owner:
        stands = set(owner.execute("SELECT writer, number FROM promised").fetchall())
    print(f"{len(promised)} promised, {len(promised - stands)} lost, {len(stands - promised)} kept without an answer")
    assert promised <= stands
    again = manage(url, *words[:1], *(words[1:] if name == "migrate" else ()))
    assert again.returncode == 0, again.err
    if name == "migrate":
        manage(url, "backfill_public_ids")
    looked = manage(url, "validate_schema", SCHEMA_ALLOWED=json.dumps(ALLOWED))
    assert looked.returncode == 0, looked.out + looked.err
    cluster.start(leader)
    cluster.wait(cluster.is_whole, seconds=90, told="the killed node follows")
    with psycopg.connect(cluster.url(), autocommit=True) as owner:
        owner.execute("TRUNCATE promised")


def test_commands__url_with_several_hosts__find_the_primary(cluster, tmp_path):
    key = tmp_path / "backup.key"
    variables = {"BACKUP_DIR": str(tmp_path / "backups"), "BACKUP_SIGNING_KEY": str(key), "BACKUP_RECIPIENTS": ""}
    assert manage(cluster.url(), "make_backup_keys", **variables).returncode == 0
    done = manage(cluster.url(), "backup_database", **variables)
    assert done.returncode == 0, done.err
    done = manage(cluster.url(), "verify_backup", "latest", **variables)
    assert done.returncode == 0, done.err
    found = json.loads(manage(cluster.url(), "doctor", "--json", **variables).out)
    line = next(each for each in found["lines"] if each["name"] == "connection")
    assert line["says"].split(" at ")[1].startswith(f"127.0.0.1:{cluster.leader().port}")
    standby = next(node for node in cluster.nodes if node is not cluster.leader())
    for words in (("migrate",), ("backup_database",)):
        refused = manage(cluster.url(port=standby.port), *words, **variables)
        assert (refused.returncode, "in recovery" in refused.err) == (3, True), refused.err


# -- reading from a standby ------------------------------------------------------------------------------------------


class Reader:
    """Somebody who writes a number of their own and looks at it, again and again."""

    def __init__(self, site, address, patient):
        self.site, self.patient = site, patient
        self.browser = Browser(site)
        where, _ = self.browser.post("/admin/login/?next=/admin/", username=address, password=PASSWORD)
        assert where.endswith("/admin/")
        self.read, self.stale, self.failed = [], [], []

    def run(self, ended):
        number = 0
        while not ended.is_set():
            number += 1
            try:
                data = urllib.parse.urlencode({"patient": self.patient, "phone": str(number)}).encode()
                self.browser.opener.open(self.site + "/phones", data=data, timeout=20).read()
                for _ in range(6):
                    began = time.monotonic()
                    seen = json.loads(self.browser.get("/phones"))
                    self.read.append((time.monotonic(), time.monotonic() - began, seen["standby"]))
                    if seen["phones"][self.patient] != str(number):
                        self.stale.append((number, seen["phones"][self.patient], seen["standby"]))
            except (OSError, ValueError) as error:
                self.failed.append((time.monotonic(), repr(error)))


def share(reads):
    return sum(standby for _, _, standby in reads) / max(len(reads), 1)


def test_reads__standby_killed_under_eight_readers__none_stale_and_none_fails(new_database):
    primary = servers.start(settings=(("fsync", "on"), ("synchronous_commit", "on")))
    made = new_database.migrated(server=primary)
    with made.admin() as administrator:
        sql = web_role_sql(login="moeen_web", database=made.name, api=False)
        administrator.execute(sql.replace("PASSWORD '...'", ""))
    secret = make_password(PASSWORD, hasher="pbkdf2_sha256")
    with made.connect() as owner:
        patients = [
            owner.execute("INSERT INTO patients (first_name, last_name, phone) VALUES ('Noor', 'Hadi', '0') "
                          "RETURNING id::text").fetchone()[0]
            for number in range(READERS)
        ]  # fmt: skip
        for number in range(READERS):
            owner.execute("INSERT INTO users (email, name, role, password_hash) VALUES (%s, 'Noor', 'staff', %s)",
                          [f"reader{number}@example.test", secret])  # fmt: skip
    follower = servers.follow(primary)
    web = servers.target_of(primary, user="moeen_web").url(made.name)
    variables = {
        "DATABASE_URL": made.url, "WEB_DATABASE_URL": web, "IDENTITY_KEY": made.identity_key(),
        "DATABASE_REPLICA_URLS": servers.target_of(follower, user="moeen_web").url(made.name),
        "CACHE_DIR": str(servers.scratch()),
    }  # fmt: skip
    with serve(python=SITE, **variables) as (site, said):
        readers = [Reader(site, f"reader{number}@example.test", patients[number]) for number in range(READERS)]
        ended = threading.Event()
        with ThreadPoolExecutor(READERS) as pool:
            jobs = [pool.submit(reader.run, ended) for reader in readers]
            time.sleep(SECONDS / 2)
            killed = time.monotonic()
            os.kill(follower.status().pid, signal.SIGKILL)
            time.sleep(SECONDS / 4)
            follower.ensure_running()
            time.sleep(max(SECONDS / 4, 8))
            ended.set()
            for job in jobs:
                job.result(60)
        told = said()
    read = [each for reader in readers for each in reader.read]
    before = [each for each in read if each[0] < killed]
    between = [each for each in read if killed + 1 < each[0] < killed + SECONDS / 4]
    after = [each for each in read if each[0] > killed + SECONDS / 4 + 6]
    failed = [(moment - killed, why) for reader in readers for moment, why in reader.failed]
    slowest = max(took for _, took, _ in read)
    print(f"{len(read)} reads, {share(before):.0%} from the standby before, {share(between):.0%} while it was dead, "
          f"{share(after):.0%} after; slowest {slowest:.2f} s; {len(failed)} failed")  # fmt: skip
    assert [each for reader in readers for each in reader.stale] == []
    assert failed == []
    assert share(before) > 0.3
    assert share(between) == 0
    assert share(after) > 0.3, told
    assert "is left out" in told
    servers.stop(follower)
    servers.stop(primary)
