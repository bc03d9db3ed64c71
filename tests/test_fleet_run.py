"""A command over many clinics: wave by wave, stopped by the first that is not clean, gone on with after a kill."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from io import StringIO

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from django.db.migrations.loader import MigrationLoader

from moeen.db.backups.login import Login
from moeen.db.errors import MoeenError
from moeen.db.fleet import rollout, runs
from moeen.db.fleet.clinics import Clinic, Fleet
from moeen.db.fleet.stalls import Stalls
from moeen.db.fleet.workers import Job, Outcome
from moeen.db.migrate import states as migrated_states
from sysadmin.management.backup_console import Found
from tests import documents, fleets, servers


def clinic(name, *tags, server="one"):
    return Clinic(name, Login({"host": server, "dbname": name}), frozenset(tags))


def names(fleet, **options):
    return [[one.name for one in wave] for wave in rollout.waves(fleet, **options)]


def test_waves__tags_in_their_order__then_the_rest_in_groups():
    clinics = (clinic("a"), clinic("b", "west"), clinic("c", "canary", "west"), clinic("d"), clinic("e"))
    assert names(Fleet(clinics, ("canary", "west")), size=2) == [["c"], ["b"], ["a", "d"], ["e"]]
    # Nobody is a canary: somebody has to be.
    assert names(Fleet(clinics[:2], ("canary",)), size=9) == [["a"], ["b"]]


# --- the gate, with work that is nothing but its outcome --------------------------------------------------------------


class Scripted:
    """A crew whose outcomes are known beforehand; `seen`: (clinic, how many of its server were at work with it)."""

    def __init__(self, size=9, **outcomes):
        self.size, self.outcomes = size, outcomes
        self.busy, self.seen = deque(), []

    @property
    def has_room(self):
        return len(self.busy) < self.size

    def start(self, job: Job):
        self.busy.append(job)
        self.seen.append((job.clinic, len(self.busy)))

    def wait(self, seconds):
        if not self.busy:
            return
        job = self.busy.popleft()
        said = {"exit_code": 0, "stall": 0.0} | self.outcomes.get(job.clinic, {})
        yield job, Outcome(**said)

    def close(self):
        self.busy.clear()


FIVE = Fleet((clinic("a", "canary"), *(clinic(name) for name in "bcde")))


@pytest.fixture(scope="module")
def control(new_database):
    database = new_database.migrated()
    yield connections[database.alias]
    connections[database.alias].close()
    new_database.drop(database)


@pytest.fixture
def books(control):
    with control.cursor() as cursor:
        cursor.execute("TRUNCATE fleet_runs CASCADE")
    books = runs.Books(control)
    books.lock()
    yield books
    books.unlock()


def roll(books, crew, **options):
    given = {"command": "migrate", "gated": True, "wave_size": 2, "per_server": 2, "target": "t"}
    return rollout.roll(FIVE, books, crew, rollout.Options(**given | options))


def states(report):
    return {turn.clinic: str(turn.state) for turn in report.turns}


@pytest.mark.parametrize(
    ("outcome", "why", "code"),
    [
        ({"exit_code": 1, "reason": "x"}, "a did not go through", 1),
        ({"exit_code": 3, "reason": "x"}, "a did not go through", 3),
        ({"stall": 1.2}, "clients of a waited for 1.2 s", 3),
        ({"stall": None}, "could not be watched all the time in a", 3),
    ],
)
def test_wave__canary_not_clean__touches_no_other_whatever_is_allowed(books, outcome, why, code):
    crew = Scripted(a=outcome)
    report = roll(books, crew, max_failures=9)
    assert crew.seen == [("a", 1)]
    assert why in report.stopped
    assert report.stopped.endswith("4 clinics were not touched")
    assert report.exit_code == code
    assert [states(report)[name] for name in "bcde"] == ["waiting"] * 4


def test_wave__side_by_side__bounded_on_each_server(books):
    crew = Scripted()
    report = roll(books, crew, wave_size=9)
    assert (report.exit_code, report.stopped) == (0, "")
    assert max(number for _, number in crew.seen) == 2


def test_failures__as_many_as_are_allowed__go_on_and_one_more_stops(books):
    failing = {"exit_code": 1, "reason": "x"}
    report = roll(books, Scripted(b=failing, d=failing), max_failures=2)
    assert (report.stopped, report.exit_code) == ("", 1)
    report = roll(books, Scripted(b=failing, d=failing), max_failures=1, anew=True)
    assert "d did not go through" in report.stopped
    # A wave in which it goes wrong is not begun further.
    crew = Scripted(b=failing)
    assert states(roll(books, crew, anew=True, wave_size=4, per_server=1))["c"] == "waiting"


def test_run__stopped__is_gone_on_with_and_what_is_done_is_not_done_again(books, control):
    first = roll(books, Scripted(b={"exit_code": 1, "reason": "x"}))
    assert states(first) == {"a": "done", "b": "failed", "c": "done", "d": "waiting", "e": "waiting"}
    crew = Scripted()
    second = roll(books, crew, skip={"d": "moved to another platform"})
    assert second.run == first.run
    assert [name for name, _ in crew.seen] == ["b", "e"]
    assert states(second) == {"a": "done", "b": "done", "c": "done", "d": "skipped", "e": "done"}
    assert second.exit_code == 0
    # It is finished: the next one begins anew.
    assert roll(books, Scripted()).run != first.run
    with control.cursor() as cursor:
        cursor.execute("SELECT outcome, finished_at IS NULL FROM fleet_runs ORDER BY started_at")
        assert cursor.fetchall() == [("done", False), ("done", False)]


def test_run__cut_off_before_its_wave_was_judged__is_judged_by_the_next(books):
    """A kill must not let pass what would have held the next wave back."""

    class CutOff(Scripted):
        def wait(self, seconds):
            if self.seen[-1][0] == "b":
                raise KeyboardInterrupt
            return super().wait(seconds)

    two = Fleet((clinic("a", "canary"), clinic("b", "canary"), clinic("c")))
    options = rollout.Options(command="migrate", gated=True, per_server=1, target="t")
    with pytest.raises(KeyboardInterrupt):
        rollout.roll(two, books, CutOff(a={"stall": 1.2}), options)
    second = rollout.roll(two, books, Scripted(), options)
    assert "clients of a waited for 1.2 s" in second.stopped
    assert states(second) == {"a": "done", "b": "done", "c": "waiting"}
    # Whoever calls again has read it.
    third = rollout.roll(two, books, Scripted(), options)
    assert (third.run, third.exit_code, states(third)["c"]) == (second.run, 0, "done")


def test_run__one_database_under_two_names__the_second_failed_and_no_further_wave(books):
    crew = Scripted(a={"place": "7 1 x"}, b={"place": "7 1 x"}, c={"place": "7 1 y"})
    report = roll(books, crew)
    found = {turn.clinic: turn for turn in report.turns}
    assert found["b"].reason == "it is one database with clinic a: correct the file"
    assert states(report) == {"a": "done", "b": "failed", "c": "done", "d": "waiting", "e": "waiting"}


def test_run__of_another_version_or_selection__is_not_gone_on_with(books):
    stopped = roll(books, Scripted(a={"exit_code": 1}))
    assert roll(books, Scripted(a={"exit_code": 1}), target="newer").run != stopped.run
    assert roll(books, Scripted(), selection="west").run != stopped.run


def test_run__paused__waits_and_says_so(books, control, new_database):
    told = []

    class Pausing(Scripted):
        def wait(self, seconds):
            if not self.busy:
                if not told.count("Waiting: an operator asked for a pause."):
                    raise AssertionError(told)
                books.pause(paused=False)
                return iter(())
            if self.seen[-1][0] == "a":
                assert books.pause(paused=True) == "migrate"
            return super().wait(seconds)

    rollout_look, rollout.LOOK_SECONDS = rollout.LOOK_SECONDS, 0.0
    try:
        report = roll(books, Pausing(), tell=told.append)
    finally:
        rollout.LOOK_SECONDS = rollout_look
    assert report.exit_code == 0
    assert told[-1].startswith("[5/5] e: done")
    assert "Going on." in told


def test_books__another_run_is_at_work__is_refused(books, control, monkeypatch):
    monkeypatch.setattr(runs, "PATIENCE", 0.3)
    session = control.copy()
    with pytest.raises(MoeenError, match="Another run over the fleet is at work") as refused:
        runs.Books(session).lock()
    session.close()
    assert refused.value.exit_code == 3


def test_pause__without_a_run__is_refused(books):
    with pytest.raises(MoeenError, match="No run over the fleet is unfinished") as refused:
        books.pause(paused=True)
    assert refused.value.exit_code == 3


def test_states__of_one_clinic_after_the_other__are_worked_out_once():
    """A worker migrates hundreds: what it kept of each would fill its memory."""

    def look():
        loader = MigrationLoader(None)
        state = migrated_states.at(loader, loader.graph.leaf_nodes())
        for key in state.models:
            state.apps.get_model(*key)
        return len(migrated_states._rendered), len(migrated_states._roots)

    assert look() == look()


# --- clients that wait ------------------------------------------------------------------------------------------------


def test_stalls__client_waits_for_a_lock_of_ours__is_measured_and_others_are_not(new_database):
    database = new_database.migrated()
    login = Login.of_url(database.url)
    slow = "SET lock_timeout = '600ms'; SELECT count(*) FROM migration_runs"

    def wait(application):
        with database.connect(application_name=application) as client, pytest.raises(psycopg.errors.LockNotAvailable):
            client.execute(slow)

    def seen(holder, waiter):
        with (
            Stalls(login) as stalls,
            database.connect(application_name=holder) as holding,
            holding.transaction(),
        ):
            holding.execute("LOCK migration_runs")
            thread = threading.Thread(target=wait, args=(waiter,))
            thread.start()
            thread.join()
        return stalls.longest

    assert 0.3 < seen("moeen migrate", "the clinic's application") < 0.8
    assert seen("moeen migrate", "moeen backfill") == 0.0
    assert seen("somebody", "the clinic's application") == 0.0
    with Stalls(login) as stalls, database.target.connect() as administrator:
        administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            [database.name],
        )
        time.sleep(0.5)
        assert stalls.longest == 0.0  # connected anew
        administrator.execute(f'ALTER DATABASE "{database.name}" ALLOW_CONNECTIONS false')
        administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            [database.name],
        )
        time.sleep(0.5)
        administrator.execute(f'ALTER DATABASE "{database.name}" ALLOW_CONNECTIONS true')
    assert stalls.longest is None
    new_database.drop(database)


# --- the whole, on real databases -------------------------------------------------------------------------------------


@pytest.fixture
def fleet(new_database, tmp_path):
    """Five clinics, three of them one migration behind; one is gone, one another's. And the control database."""
    stands = {name: new_database.migrated() for name in ("canary", "east", "west")} | {"foreign": new_database()}
    for name in ("canary", "east", "west"):
        with stands[name].connect() as owner:
            owner.execute(fleets.BEHIND)
    with stands["foreign"].connect() as owner:
        owner.execute("CREATE TABLE orders (id int)")
    urls = {name: database.url for name, database in stands.items()} | {"gone": "postgresql://u@127.0.0.1:1/x"}
    for name, url in urls.items():
        (tmp_path / name).write_text(url, encoding="ascii")
        (tmp_path / name).chmod(0o600)
    lines = [f'[clinics.{name}]\ndatabase = "file:{name}"\ntags = ["{name}"]\n' for name in urls]
    path = tmp_path / "fleet.toml"
    path.write_text("".join(lines), encoding="utf-8")
    control = new_database.migrated()
    yield type("Fleet", (), {"path": path, "databases": stands, "control": control})
    for database in (*stands.values(), control):
        new_database.drop(database)


def migrated(database):
    with database.connect() as owner:
        query = "SELECT FROM django_migrations WHERE (app, name) = (%s, %s)"
        return owner.execute(query, fleets.NEWEST).fetchone() is not None


WORDS = ("fleet", "migrate", "--no-backup", "test", "--no-rehearsal", "test", "--json", "--side-by-side", "1")


@pytest.fixture
def run(fleet, manage):
    def run(*words):
        done = manage(*WORDS, *words, FLEET_FILE=str(fleet.path), DATABASE_URL=fleet.control.url)
        document = json.loads(done.stdout) if done.stdout else {}
        return done, {one["clinic"]: one for one in document.get("clinics", ())}

    return run


def test_fleet__failing_canary_then_killed_then_run_again__each_ends_migrated_or_named(fleet, run, manage):
    stands = fleet.databases
    with stands["canary"].connect() as owner:
        owner.execute(fleets.FAILING)
    done, found = run()
    assert done.returncode == 1, done.stderr
    assert found["canary"]["state"] == "failed"
    assert {one["state"] for name, one in found.items() if name != "canary"} == {"waiting"}
    assert not migrated(stands["east"])
    assert "wave 1 is not clean: canary did not go through" in done.stderr
    for word in ("pause", "resume"):
        asked = manage("fleet", word, "--json", DATABASE_URL=fleet.control.url)
        assert json.loads(asked.stdout)["paused"] is (word == "pause")

    with stands["canary"].connect() as owner:
        owner.execute(fleets.MENDED)
    kill_when_one_is_done(fleet)
    assert not all(migrated(stands[name]) for name in ("canary", "east", "west"))

    done, found = run("--max-failures", "2")
    assert "Going on with run" in done.stderr
    assert {name: one["state"] for name, one in found.items()} == {
        "canary": "done", "east": "done", "west": "done", "foreign": "refused", "gone": "failed",
    }  # fmt: skip
    assert done.returncode == 1
    assert "orders" in found["foreign"]["reason"]
    assert "No server answers" in found["gone"]["reason"]
    assert all(migrated(stands[name]) for name in ("canary", "east", "west"))
    assert found["east"]["stall_seconds"] is not None


def kill_when_one_is_done(fleet):
    process = subprocess.Popen(
        [sys.executable, "manage.py", *WORDS],
        cwd=servers.PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "FLEET_FILE": str(fleet.path), "DATABASE_URL": fleet.control.url},
    )  # fmt: skip
    with fleet.control.connect() as owner:
        for _ in range(1200):
            if owner.execute("SELECT FROM fleet_turns WHERE state = 'done'").fetchone() is not None:
                break
            time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("backup", "--dry-run"), "--dry-run means nothing to backup"),
        (("pause", "--dry-run"), "--dry-run means nothing to pause"),
        (("status", "--skip", "a", "--reason", "r"), "--skip means nothing to status"),
        (("validate", "--no-backup", "r"), "--no-backup means nothing to validate"),
        (("verify", "--max-failures", "3"), "--max-failures means nothing to verify"),
        (("migrate", "--from", "x/"), "--from means nothing to migrate"),
    ],
)
def test_fleet__option_that_the_action_would_pass_over__wrong_usage(words, told):
    with pytest.raises(MoeenError, match=told) as refused:
        call_command("fleet", *words)
    assert refused.value.exit_code == 2


def test_fleet__other_commands__do_for_each_what_the_single_ones_do(fleet, as_default, monkeypatch, tmp_path, settings):
    settings.BASE_DIR = tmp_path
    monkeypatch.setenv("BACKUP_DIR", str(tmp_path / "backups"))
    out = {}
    with as_default(fleet.control):
        for action in ("validate", "backup"):
            said, code = StringIO(), 0
            try:
                call_command(
                    "fleet", action, "--where", "east", "--json", fleet=fleet.path, stdout=said, stderr=StringIO()
                )  # fmt: skip
            except Found as found:
                code = found.code
            out[action] = code, {one["clinic"]: one for one in documents.hold("fleet", said.getvalue())["clinics"]}
    # What the validation has read the next look knows.
    assert len(json.loads((tmp_path / ".moeen" / "fleet.json").read_text())) == 1
    assert out["validate"][0] == 3  # one migration is to go
    assert f"missing migration {'.'.join(fleets.NEWEST)}" in out["validate"][1]["east"]["reason"]
    assert out["backup"][0] == 0
    assert len(list((tmp_path / "backups").glob("*/manifest.json"))) == 1
