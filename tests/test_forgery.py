"""Forged backups: each is refused before anything of it runs. Some run always, all with `make test-forgery`."""

import os
import pwd
import random
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
from django.db import connections

from moeen.db.backups import (
    allowed,
    archive,
    inventory,
    keys,
    manifest,
    pg_restore,
    restore,
    retention,
    scratch,
    store,
    tools,
    trust,
    verify,
)
from moeen.db.backups.manifest import Damaged
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.kinds import Kind
from tests import backups, forgeries

ROLES = "SELECT oid, rolname, rolsuper, rolcanlogin, rolpassword FROM pg_authid ORDER BY 1"


@pytest.fixture(scope="module")
def filled(new_database):
    database = new_database()
    backups.fill(database, rows=5, long_text=10)
    with database.connect() as connection:
        connection.execute("CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM visits")
        connection.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO backup_staff")
    return database


@pytest.fixture(scope="module")
def two(filled, tmp_path_factory):
    """The folders of two backups of one database, in the form that lies open: one file for each table."""
    at = backups.place(tmp_path_factory.mktemp("two"))
    first = backups.take(filled, at, jobs=2)
    with filled.connect() as connection:
        connection.execute("INSERT INTO visits (person, v) VALUES (1, 1)")
    second = backups.take(filled, at, jobs=2)
    return at.folder / first.id, at.folder / second.id


@pytest.fixture(scope="module")
def all_forgeries(two):
    toc = forgeries.Toc.read((two[1] / "dump" / "toc.dat").read_bytes())
    return [*forgeries.contents(toc), *forgeries.papers(), *forgeries.files()]


@pytest.fixture
def cage():
    """A folder in which whoever runs a program could leave a file, on any server of the tests; nobody must."""
    with tempfile.TemporaryDirectory(prefix="moeen-cage-") as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)
        assert os.listdir(folder) == []


@pytest.fixture
def watched(filled):
    """What must not change by a forgery: roles, databases, and files beside the backup."""

    def look():
        with filled.admin() as connection:
            return connection.execute(ROLES).fetchall(), connection.execute(
                "SELECT datname FROM pg_database"
            ).fetchall()

    before = look()
    yield
    assert look() == before


def refused(forgery, two, folder, database, cage, *, unsigned=""):
    """Forge it; verify and restore must both refuse, and do nothing. Returns why not, or "".

    With `unsigned` the signature is passed by, as for one who believes the forgery, or whose key was stolen.
    """
    into = folder / "store"
    into.mkdir(parents=True)
    at = backups.place(into)
    older, newer = two
    copy = forgeries.forged(forgery, folder=newer, other=older, into=into, cage=cage)
    before = forgeries.state_of(folder)
    try:
        report = verify.prove(at, copy.name, unsigned=unsigned)
    except MoeenError as error:
        if error.exit_code != FINDINGS:
            return f"exit code {error.exit_code}: {error}"
    else:
        if report.ok:
            return "verified"
        if any(finding.kind == Kind.RESTORE for finding in report.findings):
            return f"ran: {report.findings}"
    target = restore.Target(backups.login(database), "moeen_forged", exists=False, empty=True)
    try:
        done = restore.put_back(at, copy.name, target, unsigned=unsigned)
    except MoeenError as error:
        if error.exit_code != FINDINGS:
            return f"exit code {error.exit_code}: {error}"
    else:
        with database.admin() as connection:
            connection.execute("DROP DATABASE IF EXISTS moeen_forged")
        if not (unsigned and done.findings):
            return "restored"
    after = forgeries.state_of(folder)
    record = os.path.join(copy, "verified.json")
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} - {record}
    return f"changed {changed}" if changed else ""


@pytest.mark.parametrize("unsigned", ["", "believed by the test"])
def test_forgery__some_of_each_sort__refused_and_nothing_run(
    all_forgeries, two, filled, tmp_path, watched, cage, unsigned
):
    chosen = random.Random(14).sample(all_forgeries, 16)
    assert wrongly_taken(chosen, two, tmp_path, filled, cage, unsigned=unsigned) == {}


@pytest.mark.long
@pytest.mark.parametrize("unsigned", ["", "believed by the test"])
def test_forgery__all__refused_and_nothing_run(all_forgeries, two, filled, tmp_path, watched, cage, unsigned):
    assert len(all_forgeries) >= 100
    assert wrongly_taken(all_forgeries, two, tmp_path, filled, cage, unsigned=unsigned) == {}


def wrongly_taken(chosen, two, folder, database, cage, *, unsigned):
    found = {
        forgery.name: refused(forgery, two, folder / str(number), database, cage, unsigned=unsigned)
        for number, forgery in enumerate(chosen)
    }
    return {name: why for name, why in found.items() if why}


def test_contents__as_pg_dump_wrote_them__every_entry_allowed(two, filled):
    with (two[0] / "dump" / "toc.dat").open("rb") as source:
        chosen = allowed.choose(archive.read(source, form="directory", file="dump"), file="dump")
    assert {entry.kind for entry in chosen.left_out} <= {"DATABASE"}
    kinds = {entry.kind for entry in chosen.run}
    assert {"TABLE", "POLICY", "ACL", "FUNCTION", "TABLE DATA", "BLOBS", "DEFAULT ACL"} <= kinds


def test_contents__of_every_version__honest_ones_allowed_and_all_forged_ones_refused(
    server_versions, new_database, tmp_path, cage
):
    """pg_dump of 15, 16 and 18 writes three formats of the table of contents, and words of its own."""
    database = new_database(server=server_versions)
    backups.fill(database, rows=5, long_text=10)
    at = backups.place(tmp_path / "honest")
    folder = at.folder / backups.take(database, at, jobs=2).id
    paper = at.manifest(folder.name)
    assert len(pg_restore.allowed_entries(folder, paper, ()).run) > 25
    found = forgeries.contents(forgeries.Toc.read((folder / "dump" / "toc.dat").read_bytes()))
    assert len(found) > 60
    taken = []
    for number, forgery in enumerate(found):
        copy = forgeries.forged(forgery, folder=folder, other=folder, into=tmp_path / str(number), cage=cage)
        try:
            pg_restore.allowed_entries(copy, paper, ())
        except (allowed.Refused, Damaged):
            continue
        taken.append(forgery.name)
    assert taken == []
    new_database.drop(database)


@pytest.mark.parametrize("cut", [0, 4, 20, 200, -1])
def test_contents__cut_anywhere__damaged_and_the_file_named(two, tmp_path, cut):
    path = tmp_path / "toc.dat"
    path.write_bytes((two[0] / "dump" / "toc.dat").read_bytes()[:cut])
    with path.open("rb") as source, pytest.raises(Damaged, match=r"dump is damaged"):
        archive.read(source, form="directory", file="dump")


def test_scratch__who_restores__may_do_nothing_to_the_server(filled):
    """What a function's body, which no list can judge, would run with."""
    with filled.connect() as connection:
        at = tools.find_server(connection.info.server_version // 10000)
        roles, settings = inventory.roles(connection), inventory.settings(connection)
    with scratch.server(at) as superuser:
        target = scratch.without_power(superuser, roles, database="restored", settings=settings)
        assert not superuser.user.startswith("postgres")
        with target.connect(application="test") as connection:
            ((powers, member),) = connection.execute(
                """
                SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication,
                       EXISTS (SELECT FROM pg_roles g WHERE (g.rolname LIKE 'pg\\_%' OR g.rolsuper OR g.rolcreaterole)
                               AND g.rolname <> 'pg_database_owner' AND pg_has_role(current_user, g.oid, 'MEMBER'))
                FROM pg_roles WHERE rolname = current_user
                """
            ).fetchall()
            assert (powers, member) == (False, False)
            for evil in ("COPY (SELECT 1) TO PROGRAM 'true'", "SELECT pg_read_file('/etc/passwd')",
                         "ALTER SYSTEM SET port = 1", "CREATE ROLE evil", "CREATE DATABASE evil",
                         "COPY pg_class TO '/tmp/evil'", "SELECT lo_import('/etc/passwd')"):  # fmt: skip
                with pytest.raises(Exception, match=r"permission denied|must be|Only roles"):
                    connection.execute(evil)
        folder = os.stat(superuser.parameters["host"])
        assert folder.st_mode & 0o077 == 0
        if os.geteuid() == 0:
            assert pwd.getpwuid(folder.st_uid).pw_name in (scratch.OS_USER, "nobody")


def test_verify__function_that_would_run_a_program__without_power_and_nothing_run(new_database, tmp_path, cage):
    """An honest-looking dump: the program is in the body of a function that COPY calls for a check."""
    database = new_database()
    with database.connect() as connection:
        connection.execute(
            f"""
            CREATE FUNCTION run(x int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
                IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR current_user LIKE 'restorer%' THEN
                    EXECUTE $x$COPY (SELECT 1) TO PROGRAM 'touch {cage}/canary'$x$;
                END IF; RETURN x; END $$;
            CREATE TABLE t (a int CHECK (public.run(a) = a));
            INSERT INTO t (a) VALUES (1);
            """
        )
    at = backups.place(tmp_path / "store")
    taken = backups.take(database, at)
    report = verify.prove(at, taken.id)
    assert os.listdir(cage) == []
    assert {finding.kind for finding in report.findings} == {Kind.RESTORE}
    new_database.drop(database)


def test_verify__code_that_a_reader_runs__without_power_and_nothing_run(new_database, tmp_path, cage):
    """The planner computes conditions of indexes, and a cast of one's own stands between a value and its text."""
    database = new_database()
    with database.connect() as connection:
        connection.execute(
            f"""
            CREATE FUNCTION reach() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
                EXECUTE $x$COPY (SELECT 1) TO PROGRAM 'touch {cage}/canary'$x$;
            EXCEPTION WHEN insufficient_privilege THEN NULL; END $$;
            CREATE FUNCTION planned() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
                PERFORM public.reach(); RETURN true; END $$;
            CREATE TYPE pair AS (a int);
            CREATE FUNCTION telling(pair) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
                PERFORM public.reach(); RETURN 'pair'; END $$;
            CREATE CAST (pair AS text) WITH FUNCTION telling(pair);
            CREATE TABLE t (a int, p pair);
            INSERT INTO t (a, p) VALUES (1, ROW(1));
            CREATE INDEX ON t (a) WHERE planned();
            ALTER TABLE t ENABLE ROW LEVEL SECURITY;
            """
        )
    at = backups.place(tmp_path / "store")
    taken = backups.take(database, at)
    report = verify.prove(at, taken.id)
    assert os.listdir(cage) == []
    assert report.findings == ()
    new_database.drop(database)


@pytest.mark.parametrize("form", ["custom", "directory"])
def test_restore__files_swapped_after_they_were_checked__what_was_checked_is_restored(filled, tmp_path, form):
    """Where others may write to the folder, somebody puts another backup's files there: as many rows, other ones."""
    at = backups.place(tmp_path / "store")
    jobs = {"custom": 1, "directory": 2}[form]
    taken = [backups.take(filled, at, jobs=jobs)]
    with filled.connect() as connection:
        ((before,),) = connection.execute(
            "UPDATE visits SET v = v + 1000 RETURNING (SELECT sum(v) FROM visits)"
        ).fetchmany(1)
    taken.append(backups.take(filled, at, jobs=jobs))
    older, newer = (at.folder / each.id for each in taken)
    at.folder.chmod(0o777)
    swapped = []

    def tell(stage, done, total):
        if stage == "files" and done == total:
            for path in newer.glob("dump*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                (shutil.copytree if (older / path.name).is_dir() else shutil.copy)(older / path.name, path)
            shutil.copy(older / manifest.CONTENT, newer / manifest.CONTENT)
            swapped.append(stage)

    target = restore.Target(backups.login(filled), "moeen_raced", exists=False, empty=True)
    done = restore.put_back(at, newer.name, target, tell=tell)
    with filled.admin() as connection:
        with filled.target.connect("moeen_raced") as restored:
            ((found,),) = restored.execute("SELECT sum(v) FROM visits").fetchall()
        connection.execute("DROP DATABASE moeen_raced")
    assert (swapped, done.findings, found > before) == (["files"], (), True)


@pytest.mark.parametrize(
    ("change", "ours"),
    [
        (lambda root: None, True),
        (lambda root: (root / "store").chmod(0o770), False),
        (lambda root: (root / "store" / "id").chmod(0o702), False),
        (lambda root: (root / "store" / "id" / "file").chmod(0o620), False),
        (lambda root: os.chmod(root, 0o777), False),
        (lambda root: os.chmod(root, 0o1777), True),
        (lambda root: os.chown(root / "store", 12345, 12345), False),
        (lambda root: os.chown(root / "store" / "id" / "file", 12345, 12345), False),
    ],
)
def test_store__folder_that_others_may_change__is_not_ours(tmp_path, change, ours):
    if os.geteuid() and "chown" in change.__code__.co_names:
        pytest.skip("only root gives files away")
    (tmp_path / "store" / "id").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "store", tmp_path / "store" / "id"):
        folder.chmod(0o755)
    (tmp_path / "store" / "id" / "file").write_text("x")
    change(tmp_path)
    assert store._is_ours(tmp_path / "store" / "id") is ours


def test_verify__folder_that_is_a_link__nothing_is_written_there(two, tmp_path):
    at, elsewhere = backups.place(tmp_path / "store"), tmp_path / "elsewhere"
    at.folder.mkdir()
    shutil.copytree(two[0], elsewhere)
    (elsewhere / "verified.json").unlink(missing_ok=True)
    (at.folder / two[0].name).symlink_to(elsewhere)
    before = forgeries.state_of(elsewhere)
    assert not verify.prove(at, two[0].name).ok
    assert forgeries.state_of(elsewhere) == before


def _long(path):
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _of_tomorrow(path):
    paper = manifest.read(path.with_name("kept").read_bytes())
    path.write_bytes(manifest.sealed(replace(paper, version=99)))


@contextmanager
def as_anybody():
    """Root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("closed", "word"), [("", "may not look into its folder"), (manifest.NAME, "may not read it")])
def test_list__backup_that_we_may_not_read__is_told_and_the_others_are_listed(two, closed, word):
    with tempfile.TemporaryDirectory(prefix="moeen-list-") as folder:
        os.chmod(folder, 0o755)
        for path in two:
            shutil.copytree(path, Path(folder) / path.name)
            os.chmod(Path(folder) / path.name, 0o755)
            os.chmod(Path(folder) / path.name / manifest.NAME, 0o644)
        (Path(folder) / two[1].name / closed).chmod(0o000)
        retention.entries(store.of(f"{folder}/"))  # what Python imports meanwhile only root may read
        with as_anybody():
            newest, other = retention.entries(store.of(f"{folder}/"))
        (Path(folder) / two[1].name / closed).chmod(0o700)
    assert word in newest.damage
    assert other.damage == ""


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda path: path.symlink_to("/etc/passwd"), "link"),
        (lambda path: path.symlink_to("/dev/zero"), "missing"),
        (os.mkfifo, "missing"),
        (_long, "longer"),
        (_of_tomorrow, "newer version"),
    ],
    ids=["a link", "a device", "a pipe", "a tebibyte", "another format"],
)
def test_list__manifest_that_is_none__is_told_and_the_others_are_listed(two, tmp_path, change, word):
    at = backups.place(tmp_path / "store")
    for folder in two:
        shutil.copytree(folder, at.folder / folder.name)
    path = at.folder / two[1].name / manifest.NAME
    path.rename(path.with_name("kept"))
    change(path)
    damaged, whole = retention.entries(at)
    assert (whole.damage, word in damaged.damage) == ("", True), damaged.damage


HOSTILE = "\x1b]0;x\x07\x9b2J\r\nWarning: all is well\n\u202egnp"


def test_commands__papers_and_folders_of_an_enemy__told_and_no_terminal_is_steered(two, filled, manage, tmp_path):
    """Whoever may write to the folder may write what they like into its papers; every command goes on."""
    at = backups.place(tmp_path / "store")
    changes = (
        {"label": HOSTILE, "database": HOSTILE, "system": HOSTILE}, {"id": HOSTILE}, {"version": HOSTILE},
        {"created_at": "2026-11-27T06:00:00"}, {"created_at": "9999-12-31T23:59:59-23:59"},
        {"server_version": f"18{HOSTILE}", "files": []},
    )  # fmt: skip
    for number, change in enumerate(changes):
        name = f"20261127T06000{number}Z-aaaaaa"
        shutil.copytree(two[1], at.folder / name)
        paper = manifest.read((two[1] / manifest.NAME).read_bytes())
        fresh = replace(paper, **{"id": name} | change)
        (at.folder / name / manifest.NAME).write_bytes(manifest.sealed(fresh))
    for name in ("99999999T999999Z-aaaaaa", "20261327T060000Z-aaaaaa"):
        shutil.copytree(two[1], at.folder / name)
    assert len(at.ids()) == len(changes)
    environment = backups.environment(filled, at.folder)
    said = ""
    for words, code in (
        (("list_backups",), 3),
        (("list_backups", "--json"), 3),
        (("prune_backups", "--keep-daily", "0", "--keep-weekly", "0", "--keep-monthly", "0", "--dry-run"), 0),
        (("verify_backup", "20261127T060000Z-aaaaaa", "--of", "x"), 3),
        (("restore_database", "20261127T060000Z-aaaaaa", "--to", filled.name, "--replace", "--unsigned", "a test"), 3),
        (("restore_database", "latest", "--to", "never_made"), 3),
    ):
        done = manage(*words, **environment)
        assert done.returncode == code, (words, done.stderr, done.stdout)
        said += done.stdout + done.stderr
    assert not set("\x1b\x07\x9b\r\u202e") & set(said)
    assert "\nWarning: all is well" not in said


@pytest.mark.parametrize("form", ["custom", "encrypted"])
def test_forgery__other_forms__read_and_refused_alike(filled, tmp_path, form):
    """The same list holds for one file, and for a stream that is decrypted on the way."""
    identity = pyrage.x25519.Identity.generate()
    key = tmp_path / "key"
    key.write_text(f"{identity}\n")
    at = backups.place(tmp_path / "store")
    options = {"recipients": [str(identity.to_public())]} if form == "encrypted" else {"jobs": 1}
    with filled.connect() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS aaaaaaaaaa (some_column integer, bbbb integer)")
    taken = backups.take(filled, at, **options)
    folder = at.folder / taken.id
    paper = at.manifest(taken.id)
    path = folder / paper.dump
    plain = pyrage.decrypt(path.read_bytes(), [identity]) if form == "encrypted" else path.read_bytes()
    honest = b"CREATE TABLE public.aaaaaaaaaa ("
    evil = plain.replace(honest, b"LOAD '/tmp/x'; CREATE TABLE b (".ljust(len(honest)), 1)
    assert evil != plain
    path.write_bytes(pyrage.encrypt(evil, [identity.to_public()]) if form == "encrypted" else evil)
    forgeries.reseal(folder)
    report = verify.prove(at, taken.id, identity=key, unsigned="by the test")
    assert [finding.kind for finding in report.findings] == [Kind.DUMP_CONTENTS]
    assert "aaaaaaaaaa" in report.findings[0].found


def test_restore__grants_and_owners_of_several__all_as_they_were(new_database, tmp_path):
    """What took a superuser before: owners who may not create in a schema, and grants that others made."""
    database = new_database()
    with database.admin() as connection:
        connection.execute("DO $$ BEGIN CREATE ROLE second_owner; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        connection.execute("DO $$ BEGIN CREATE ROLE third; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        connection.execute(
            """
            CREATE SCHEMA own AUTHORIZATION moeen; CREATE TABLE own.t (a int); ALTER TABLE own.t OWNER TO second_owner;
            CREATE TABLE public.u (a int); ALTER TABLE public.u OWNER TO third;
            GRANT USAGE ON SCHEMA own TO second_owner;
            GRANT SELECT ON public.u TO second_owner WITH GRANT OPTION;
            SET ROLE second_owner; GRANT SELECT ON public.u TO moeen; RESET ROLE;
            GRANT second_owner, third TO moeen;
            """
        )
    at = backups.place(tmp_path)
    taken = backups.take(database, at)
    assert verify.prove(at, taken.id).findings == ()
    new_database.drop(database)


# -- signatures ---------------------------------------------------------------------------------------------------


@pytest.fixture
def copied(two, tmp_path):
    """A copy of a backup, in a store of its own."""
    return backups.copy(backups.place(two[1].parent), two[1].name, tmp_path / "store")


def test_signature__another_key_or_none_or_an_older_format__refused(copied, two, settings, tmp_path):
    name, folder = two[1].name, copied.folder / two[1].name
    assert trust.state(copied, name) == trust.SIGNED
    other = keys.Signer.made()
    for signer, version, state in [(other, 3, trust.WRONG), (None, 3, trust.UNSIGNED), (None, 2, trust.UNSIGNED)]:
        paper = replace(copied.manifest(name), version=version)
        (folder / "manifest.json").write_bytes(manifest.sealed(paper, signer=signer))
        assert trust.state(copied, name) == state
        with pytest.raises(trust.Untrusted, match="Nothing was changed") as caught:
            trust.manifest_of(copied, name)
        assert caught.value.exit_code == FINDINGS
        assert trust.manifest_of(copied, name, unsigned="made by hand") == paper
        with pytest.raises(trust.Untrusted):
            trust.manifest_of(copied, name, unsigned="  ")
    settings.BACKUP_PUBLIC_KEYS = [other.public.text()]
    (folder / "manifest.json").write_bytes(manifest.sealed(paper, signer=other))
    assert trust.state(copied, name) == trust.SIGNED


def test_signature__public_key_alone__verifies_and_no_key_refuses(copied, two, settings, tmp_path):
    public = keys.signer().public.text()
    settings.BACKUP_SIGNING_KEY = tmp_path / "nowhere" / "backup.key"
    with pytest.raises(MoeenError, match="No public key is known") as caught:
        trust.manifest_of(copied, two[1].name)
    assert caught.value.exit_code == FINDINGS
    settings.BACKUP_PUBLIC_KEYS = [public]
    assert trust.manifest_of(copied, two[1].name).id == two[1].name


@pytest.mark.parametrize("opened", ["file", "folder", "owner"])
def test_signature__public_keys_that_others_may_change__none_is_believed(two, settings, tmp_path, manage, opened):
    """Whoever can write there could add a key of their own, and every backup of theirs would be a good one."""
    at = backups.place(tmp_path / "store")
    shutil.copytree(two[1], at.folder / two[1].name)
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o755)
    (folder / "backup.pub").write_text("\n".join(key.text() for key in keys.trusted()))
    settings.BACKUP_SIGNING_KEY = folder / "backup.key"
    assert trust.state(at, two[1].name) == trust.SIGNED
    if opened == "owner":
        if os.geteuid():
            pytest.skip("only root can give a file away")
        os.chown(folder / "backup.pub", pwd.getpwnam("nobody").pw_uid, -1)
    else:
        (folder / "backup.pub" if opened == "file" else folder).chmod(0o666 if opened == "file" else 0o777)
    for look in (trust.state, trust.manifest_of):
        with pytest.raises(MoeenError, match="others may change it") as refusal:
            look(at, two[1].name)
        assert refusal.value.exit_code == 3
    done = manage("list_backups", BACKUP_DIR=str(at.folder), BACKUP_SIGNING_KEY=str(settings.BACKUP_SIGNING_KEY))
    assert (done.returncode, "others may change it" in done.stderr) == (3, True), done.stderr


def test_take__without_a_key__refused_and_made_for_the_embedded_server_alone(filled, settings, tmp_path):
    settings.BACKUP_SIGNING_KEY = tmp_path / "keys" / "backup.key"
    at = backups.place(tmp_path / "store")
    with pytest.raises(MoeenError, match="no key to sign with"):
        backups.take(filled, at)
    assert at.ids() == []
    connection = connections[filled.alias]
    connection.settings_dict["EMBEDDED"] = True
    try:
        taken = backups.take(filled, at)
    finally:
        del connection.settings_dict["EMBEDDED"]
    assert trust.state(at, taken.id) == trust.SIGNED
    assert settings.BACKUP_SIGNING_KEY.stat().st_mode & 0o777 == 0o600


def test_make_backup_keys__again__refused_and_rotated_keeps_older_backups_good(two, copied, manage, tmp_path):
    place = tmp_path / "keys" / "backup.key"
    first = manage("make_backup_keys", BACKUP_SIGNING_KEY=str(place))
    assert first.returncode == 0, first.stderr
    assert place.stat().st_mode & 0o777 == 0o600
    again = manage("make_backup_keys", BACKUP_SIGNING_KEY=str(place))
    assert again.returncode == FINDINGS
    assert "--rotate" in again.stderr
    rotated = manage("make_backup_keys", "--rotate", BACKUP_SIGNING_KEY=str(place))
    assert rotated.returncode == 0
    lines = place.with_suffix(".pub").read_text().split()
    assert lines == [rotated.stdout.strip(), first.stdout.strip()]
    secret = place.read_text().strip()
    assert secret not in first.stdout + first.stderr + rotated.stdout + rotated.stderr


def test_verify_backup__forged__exit_code_3_and_the_way_out_named(copied, two, manage):
    forgeries.reseal(copied.folder / two[1].name)
    done = manage("verify_backup", two[1].name, "--from", f"{copied.folder}/")
    assert done.returncode == FINDINGS
    assert "is not signed" in done.stderr
    assert "--unsigned" in done.stderr
    assert copied.verification(two[1].name) is None
