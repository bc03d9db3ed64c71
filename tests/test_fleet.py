"""Many clinics at one look: which file names them, and how each stands."""

import json
import os
import socket
import threading
from contextlib import suppress
from io import StringIO
from urllib.parse import quote

import pytest
from django.core.management import call_command

from moeen.db.catalog.mark import mark
from moeen.db.errors import ConfigurationError, MoeenError
from moeen.db.fleet import clinics, memory, status
from moeen.db.fleet.status import State
from moeen.db.roles import ROLES
from sysadmin.management.backup_console import Found

URL = "postgresql://u:s3cret@127.0.0.1:1/one"


def written(folder, text):
    path = folder / "fleet.toml"
    path.write_text(text, encoding="utf-8")
    return path


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("ONE_URL", URL)
    for name, mode in (("closed", 0o600), ("open", 0o640)):
        path = tmp_path / name
        path.write_text(f"{URL}-{name}\n", encoding="ascii")
        path.chmod(mode)
    (tmp_path / "lines").write_text(f"{URL}\n{URL}", encoding="ascii")
    (tmp_path / "lines").chmod(0o600)
    os.mkfifo(tmp_path / "pipe", 0o600)
    return tmp_path


def test_file__clinics_with_tags__are_read_with_their_secrets_and_servers(secrets):
    path = written(
        secrets,
        'waves = ["canary", "west"]\n'
        '[clinics.one]\ndatabase = "env:ONE_URL"\ntags = ["canary", "west"]\n[clinics.two]\ndatabase = "file:closed"\n',
    )
    fleet = clinics.read(path)
    assert [(c.name, c.server, c.login.database, c.login.password) for c in fleet.clinics] == [
        ("one", "127.0.0.1:1", "one", "s3cret"),
        ("two", "127.0.0.1:1", "one-closed", "s3cret"),
    ]
    assert fleet.waves == ("canary", "west")
    assert [clinic.name for clinic in fleet.where(["west", "two"]).clinics] == ["one", "two"]
    assert [clinic.name for clinic in fleet.where(["canary"]).clinics] == ["one"]
    assert "s3cret" not in repr(fleet)
    with pytest.raises(MoeenError, match="No clinic has the name or tag east") as refused:
        fleet.where(["east"])
    assert refused.value.exit_code == 2


ONE = '[clinics.one]\ndatabase = "env:ONE_URL"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "names no clinic"),
        ("clinics = 3", "names no clinic"),
        (f"{ONE}{ONE}", "line 3"),
        (f"{ONE}x y", "line 3"),
        (f"wave = 1\n{ONE}", "the file has a key 'wave'"),
        (f"{ONE}tag = []", "clinic one has a key 'tag'"),
        (f'{ONE}tags = "canary"', "tags of clinic one"),
        (f'waves = ["east"]\n{ONE}', "waves names east"),
        ('[clinics."a b"]\ndatabase = "env:ONE_URL"', "'a b' is no name"),
        ("[clinics.one]", "clinic one has no database"),
        (f'[clinics.one]\ndatabase = "{URL}"', "clinic one: A secret is named"),
        ('[clinics.one]\ndatabase = "env:NO_SUCH"', "clinic one: env:NO_SUCH names nothing"),
        ('[clinics.one]\ndatabase = "file:none"', "clinic one: The secret file .*none cannot be read"),
        ('[clinics.one]\ndatabase = "file:open"', "clinic one: The secret file .*open is open to others"),
        ('[clinics.one]\ndatabase = "file:pipe"', "clinic one: The secret file .*pipe cannot be read: no plain file"),
        ('[clinics.one]\ndatabase = "file:lines"', "clinic one: The URL of the database is malformed"),
        (f'{ONE}[clinics.two]\ndatabase = "env:ONE_URL"', "clinics one and two are one database, at 127.0.0.1:1"),
    ],
)
def test_file__anything_wrong__is_one_message_with_the_clinic_or_the_line(secrets, text, told):
    with pytest.raises(ConfigurationError, match=told) as refused:
        clinics.read(written(secrets, text))
    assert refused.value.exit_code == 2
    assert "s3cret" not in str(refused.value)


def test_file__of_none__names_the_way(manage, tmp_path):
    done = manage("fleet", "status", FLEET_FILE=str(tmp_path / "none.toml"))
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        f"Error: There is no {tmp_path}/none.toml. [MOEEN-CONFIG-1]",
    )


# --- the look ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fleet(new_database, tmp_path_factory):
    """A clinic in each state, and the file that names them all; `fleet.databases[name]` of those that stand."""
    stands = {name: new_database.migrated() for name in ("fine", "drifted", "behind", "failed", "newer", "mended")}
    stands |= {name: new_database() for name in ("empty", "foreign")}

    def run(name, *statements):
        with stands[name].connect() as owner:
            for statement in statements:
                owner.execute(statement)

    one_back = "DELETE FROM django_migrations WHERE id = (SELECT max(id) FROM django_migrations WHERE app = 'crm')"
    failure = """INSERT INTO migration_runs (actor, database_role, from_version, outcome, error, started_at)
                 VALUES ('a', 'r', '', 'failed', 'No lock could be had.', now() - interval '1 day')"""
    success = "INSERT INTO migration_runs (actor, database_role, from_version, outcome) VALUES ('a', 'r', '', 'done')"
    run("drifted", "DROP INDEX migration_runs_started_at_idx")
    run("behind", one_back)
    run("failed", "UPDATE migration_runs SET started_at = now() - interval '2 days'", one_back, failure)
    run("mended", failure, success)
    run("newer", "INSERT INTO django_migrations (app, name, applied) VALUES ('crm', '9999_later', now())")
    run("foreign", "CREATE TABLE orders (id int)")
    folder = tmp_path_factory.mktemp("fleet")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # takes connections, and never says a word
        port = silent.getsockname()[1]
        urls = {name: database.url for name, database in stands.items()}
        urls |= {"gone": URL, "silent": f"postgresql://u:s3cret@127.0.0.1:{port}/x"}
        for name, url in urls.items():
            (folder / name).write_text(url, encoding="ascii")
            (folder / name).chmod(0o600)
        path = written(
            folder,
            "".join(f'[clinics.{name}]\ndatabase = "file:{name}"\ntags = ["{name[0]}"]\n' for name in sorted(urls)),
        )
        yield type("Fleet", (), {"path": path, "databases": stands})
    for database in stands.values():
        new_database.drop(database)


@pytest.fixture
def look(fleet, settings, tmp_path):
    settings.BASE_DIR = tmp_path

    def look(*words):
        out, err = StringIO(), StringIO()
        code = 0
        try:
            call_command("fleet", "status", *words, fleet=fleet.path, stdout=out, stderr=err)
        except Found as found:
            code = found.code
        return code, out.getvalue(), err.getvalue()

    return look


def test_status__clinic_in_each_state__is_told_the_worst_first(fleet, look):
    code, out, err = look("--json")
    report = json.loads(out)
    found = {one["clinic"]: one for one in report["clinics"]}
    assert {name: one["state"] for name, one in found.items()} == {
        "silent": "unreachable", "gone": "unreachable", "foreign": "foreign", "failed": "failed", "newer": "newer",
        "drifted": "drifted", "behind": "behind", "empty": "behind", "fine": "ok", "mended": "ok",
    }  # fmt: skip
    order = [list(State).index(one["state"]) for one in report["clinics"]]
    assert order == sorted(order)
    assert code == 3
    assert not report["ok"]
    assert report["seconds"] < 5
    assert "10 clinics: 2 unreachable, 1 foreign, 1 failed" in err
    assert "s3cret" not in out + err

    assert found["gone"]["says"] == "No server answers at 127.0.0.1, port 1."
    assert "orders" in found["foreign"]["says"]
    assert found["failed"]["says"] == "migrate: No lock could be had."
    assert "crm.9999_later" in found["newer"]["says"]
    assert found["drifted"]["drift"] == ["missing index migration_runs.migration_runs_started_at_idx"]
    assert (found["behind"]["pending"], found["fine"]["pending"]) == (1, 0)
    assert found["empty"]["pending"] > 40
    assert found["gone"]["pending"] is None
    assert found["mended"]["failure"]["over"] is True
    assert found["fine"]["failure"] is None
    assert found["fine"]["fingerprint"] not in ("", found["drifted"]["fingerprint"])
    assert found["fine"]["version"].keys() >= {"crm", "healthcare"}


def test_status__some_asked_for__only_those_and_done_when_they_are_in_step(look):
    code, out, err = look("--where", "fine", "--where", "mended")
    assert code == 0, err
    rows = [line.split()[:5] for line in out.splitlines()]
    assert rows == [
        ["STATE", "CLINIC", "VERSION", "TO", "GO"],
        ["ok", "fine", "newest", "0", "none"],
        ["ok", "mended", "newest", "0", "none"],
    ]


def test_status__catalog_met_before__is_not_read_again_until_it_changes(fleet, look, monkeypatch):
    assert look("--where", "fine")[0] == 0
    real, read = memory.schema.differences_with, []
    monkeypatch.setattr(memory.schema, "differences_with", lambda cursor: read.append(1) or real(cursor))
    assert look("--where", "fine")[0] == 0
    assert read == []
    with fleet.databases["fine"].connect() as owner:
        owner.execute("COMMENT ON TABLE migration_runs IS 'x'")
        try:
            assert look("--where", "fine")[0] == 3
        finally:
            owner.execute("COMMENT ON TABLE migration_runs IS 'Every run of migrate that had something to do.'")
    assert look("--where", "fine")[0] == 0
    assert read == [1, 1]


def test_status__members_that_count_because_of_another_database__are_noticed(fleet, look, new_database):
    """A login that belongs to a neighbour is none of ours; when the neighbour has gone it is."""
    fine = fleet.databases["fine"]
    with fine.admin() as administrator:
        administrator.execute("CREATE ROLE passing LOGIN; GRANT moeen_staff TO passing")
        administrator.execute(f'GRANT CONNECT ON DATABASE "{fine.name}" TO PUBLIC')
        administrator.execute(f'GRANT CONNECT ON DATABASE "{fleet.databases["empty"].name}" TO passing')
        try:
            assert look("--where", "fine")[0] == 0
            administrator.execute(f'REVOKE CONNECT ON DATABASE "{fleet.databases["empty"].name}" FROM passing')
            code, out, _ = look("--where", "fine")
            assert (code, "moeen_staff" in out) == (3, True)
        finally:
            administrator.execute("DROP OWNED BY passing; DROP ROLE passing")


def test_status__web_login_is_another__memory_of_the_old_one_is_not_asked(fleet, look, settings):
    with fleet.databases["fine"].admin() as administrator:
        administrator.execute("CREATE ROLE serving LOGIN NOINHERIT; GRANT moeen_staff TO serving")
        administrator.execute(f'GRANT CONNECT ON DATABASE "{fleet.databases["fine"].name}" TO serving')
        try:
            settings.WEB_LOGIN = "serving"
            assert look("--where", "fine")[0] == 0
            settings.WEB_LOGIN = "another"
            assert look("--where", "fine")[0] == 3
        finally:
            administrator.execute("DROP OWNED BY serving; DROP ROLE serving")


def test_status__backups__the_newest_of_the_same_database_with_its_proof(fleet, look, tmp_path):
    place, quiet = f"{tmp_path}/backups", {"stdout": StringIO(), "stderr": StringIO()}
    call_command("backup_database", database=fleet.databases["fine"].alias, store=place, **quiet)
    found = json.loads(look("--json", "--from", place)[1])["clinics"]
    backups = {one["clinic"]: one["backup"] for one in found}
    assert (backups["fine"]["proven"], backups["fine"]["worry"]) == (None, "never verified")
    assert [name for name, backup in backups.items() if backup] == ["fine"]


def elsewhere(folder, urls):
    for name, url in urls.items():
        (folder / name).write_text(url, encoding="ascii")
        (folder / name).chmod(0o600)
    return written(folder, "".join(f'[clinics.{name}]\ndatabase = "file:{name}"\n' for name in urls))


def looked_at(path):
    with suppress(Found):
        call_command("fleet", "status", "--json", fleet=path, stdout=(out := StringIO()), stderr=StringIO())
    return json.loads(out.getvalue())


def test_status__one_database_at_two_addresses__unknown_and_both_named(fleet, look, tmp_path):
    url = fleet.databases["fine"].url
    host = fleet.databases["fine"].target.host
    urls = {"one": url, "two": url.replace(quote(host, safe=""), quote(f"{host}/.", safe=""))}
    assert len(set(urls.values())) == 2
    report = looked_at(elsewhere(tmp_path, urls))
    assert [(one["state"], one["says"]) for one in report["clinics"]] == [
        ("unknown", "one database with two"), ("unknown", "one database with one"),
    ]  # fmt: skip


def test_status__many_clinics_of_a_server_that_says_nothing__are_not_waited_for_in_turn(look, tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/"
        report = looked_at(elsewhere(tmp_path, {f"c{number}": f"{url}c{number}" for number in range(30)}))
    assert {one["state"] for one in report["clinics"]} == {"unreachable"}
    assert report["seconds"] < 2 * status.CONNECT_SECONDS + 1


def test_status__look_that_hangs__is_left_behind_and_the_others_are_told(fleet, look, monkeypatch):
    real, over = status._look_at, threading.Event()
    monkeypatch.setattr(status, "SILENT_SECONDS", 2.0)
    monkeypatch.setattr(status, "_look_at", lambda one, ex: (one.name != "mended" or over.wait()) and real(one, ex))
    code, out, _ = look("--where", "fine", "--where", "mended", "--json")
    over.set()
    states = {one["clinic"]: (one["state"], one["says"]) for one in json.loads(out)["clinics"]}
    assert states == {"fine": ("ok", ""), "mended": ("unreachable", "it gave no answer within 2 s")}
    assert code == 3


# --- the mark ---------------------------------------------------------------------------------------------------------


CHANGES = (
    "CREATE INDEX x_idx ON migration_runs (actor)",
    "DROP INDEX x_idx",
    "COMMENT ON SCHEMA public IS 'x'",
    "ALTER TABLE migration_runs ALTER COLUMN actor SET DEFAULT 'x'",
    "GRANT SELECT (actor) ON migration_runs TO moeen_staff",
    "DROP POLICY migration_runs_select_admin ON migration_runs",
    "ALTER TABLE migration_runs DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE users DISABLE TRIGGER USER",
    "ALTER FUNCTION app.lock_away(text) COST 7",
    "CREATE COLLATION public.x (locale = 'C')",
    "ALTER COLLATION public.x RENAME TO y",
    "DROP COLLATION public.y",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO moeen_staff",
)


def test_mark__changed_catalog__is_another_and_rows_and_vacuum_leave_it(new_database):
    database = new_database.migrated()
    with database.connect() as owner:
        before = mark(owner.cursor(), roles=ROLES)
        owner.execute("INSERT INTO roles (name) VALUES ('mark')")
        owner.execute("VACUUM (FREEZE, ANALYZE)")
        assert mark(owner.cursor(), roles=ROLES) == before
        seen = [before]
        for change in CHANGES:
            owner.execute(change)
            seen.append(mark(owner.cursor(), roles=ROLES))
        pairs = zip(CHANGES, seen[:-1], seen[1:], strict=True)
        assert [change for change, one, following in pairs if one == following] == []
    with database.admin() as administrator:
        administrator.execute(f'GRANT CONNECT ON DATABASE "{database.name}" TO moeen_staff')
        with database.connect() as owner:
            assert mark(owner.cursor(), roles=ROLES) != seen[-1]
