"""Any moment: what is archived is brought back to it, and what was forged is not believed."""

import io
import json
import os
import shutil
import signal
import tarfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pyrage
import pytest
from django.core.management import call_command
from django.db import connections
from psycopg import sql

from moeen.db.archiving import (
    archivist,
    bases,
    checking,
    keeping,
    papers,
    reach,
    receiver,
    recovery,
    segments,
    standing,
)
from moeen.db.archiving.archivist import Archivist, Rules
from moeen.db.archiving.papers import Archive, Base, Segment
from moeen.db.backups import encryption, keys, manifest, store
from moeen.db.backups.login import Login
from moeen.db.backups.manifest import File
from moeen.db.errors import MoeenError
from moeen.db.server import places
from moeen.db.server.processes import is_alive
from tests import servers
from tests.servers import Target


@dataclass(frozen=True)
class Archived:
    """A server and its archive, encrypted; `moment` lies between two writes, after which it was killed."""

    target: Target
    archive: Archive
    identity: Path
    moment: datetime
    own: Path


def running(keeper: Archivist) -> threading.Thread:
    thread = threading.Thread(target=keeper.run)
    thread.start()
    return thread


@contextmanager
def at_work(keeper: Archivist, target: Target):
    """Meanwhile it archives; afterwards nothing of it is left on the server."""
    thread = running(keeper)
    try:
        yield
    finally:
        keeper.stop()
        thread.join()
        with target.connect() as connection:
            receiver.release(connection, keeper.slot)


def keeper_of(target: Target, folder: Path, *, recipients=(), rules=None) -> Archivist:
    return Archivist(
        login=Login.of_url(target.url("postgres")).settled(), folder=folder / "archive", own=folder / "own",
        signer=keys.signer(), recipients=list(recipients), rules=rules or Rules(7, 10**9), patience=1,
    )  # fmt: skip


def archive_of(folder: Path) -> Archive:
    (found,) = papers.archives(folder / "archive")
    return found


def wait_for(condition, *, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)


def reaches(folder: Path, moment: datetime) -> bool:
    try:
        spans = reach.spans(archive_of(folder))
    except (ValueError, OSError):
        return False
    return bool(spans) and spans[-1].until > moment


def kill(target: Target) -> None:
    """As a machine's end does: nobody is told. The children of a server that is killed notice it themselves."""
    pid = int((target.server.data_dir / "postmaster.pid").read_text().split("\n")[0])
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid))


def rows(target: Target, database: str) -> list[int]:
    with target.connect(database) as connection:
        return [row for (row,) in connection.execute("SELECT n FROM notes ORDER BY n")]


@pytest.fixture(scope="module")
def quickly():
    """An archivist that looks after its server twice a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archivist, "SHIP_SECONDS", 0.5)
        patch.setattr(archivist, "RETRY_SECONDS", 0.5)
        yield


@pytest.fixture(scope="module")
def archived(quickly, new_database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("archived")
    folder.chmod(0o755)
    secret = pyrage.x25519.Identity.generate()
    (folder / "identity").write_text(str(secret))
    server = servers.start(shape=None, settings=(("synchronous_commit", "on"),))
    target = servers.target_of(server)
    keeper = keeper_of(target, folder, recipients=[str(secret.to_public())])
    thread = running(keeper)
    try:
        with target.connect("moeen", user="moeen") as connection:
            connection.execute("CREATE TABLE notes (n int PRIMARY KEY, words text)")
            wait_for(lambda: (folder / "archive").exists() and reaches(folder, datetime(2000, 1, 1, tzinfo=UTC)))
            connection.execute("INSERT INTO notes VALUES (1, 'a secret of a patient')")
            ((moment,),) = connection.execute("SELECT clock_timestamp() FROM pg_sleep(0.2)").fetchall()
            connection.execute("SELECT pg_sleep(0.2)")
            connection.execute("INSERT INTO notes VALUES (2, '')")
            ((second,),) = connection.execute("SELECT clock_timestamp()").fetchall()
            wait_for(lambda: reaches(folder, second))
            connection.execute("INSERT INTO notes VALUES (3, '')")
        kill(target)
        thread.join(30)
        assert not thread.is_alive()
    finally:
        keeper.stop()
        thread.join()
    server.ensure_running()
    yield Archived(target, archive_of(folder), folder / "identity", moment, folder / "own")
    servers.stop(server)


@pytest.fixture
def copy(archived, tmp_path):
    """A copy of the archive, to be tampered with."""
    shutil.copytree(archived.archive.folder, tmp_path / "archive" / archived.archive.system)
    return archive_of(tmp_path)


def restored(archived, settings, at: str, name: str) -> list[int]:
    settings.ARCHIVE_DIR = archived.archive.folder.parent
    url = archived.target.url(name, user="moeen")
    call_command("restore_database", at=at, to=url, identity=archived.identity, of="moeen")
    found = rows(archived.target, name)
    archived.target.drop(name)
    return found


def test_restore__latest_after_the_server_was_killed__every_commit_that_was_reached(archived, settings):
    assert {1, 2} <= set(restored(archived, settings, "latest", "latest"))


def test_restore__moment_between_two_writes__the_first_alone(archived, settings, capsys):
    assert restored(archived, settings, archived.moment.isoformat(), "then") == [1]
    assert "restored and verified" in capsys.readouterr().out


def test_restore__moment_before_or_after_the_archive__refused_with_what_can_be_had(archived):
    for at in (archived.moment - timedelta(days=1), archived.moment + timedelta(days=1)):
        with pytest.raises(MoeenError, match=r"It reaches: \d{4}-.* to \d{4}-.*\+03:00\.") as refusal:
            recovery.moment(archived.archive, at)
        assert refusal.value.exit_code == 3


def test_restore__moment_in_place__the_database_of_then_and_the_one_of_now_kept(archived, settings, tmp_path):
    settings.ARCHIVE_DIR = archived.archive.folder.parent
    url = archived.target.url("moeen", user="moeen")
    words = {"to": url, "of": "moeen", "identity": archived.identity, "store": f"{tmp_path}/backups"}
    at = archived.moment.isoformat()
    for more, code in (
        ({}, 3),
        ({"replace": True, "yes": True}, 2),
        ({"replace": True, "yes": True, "expect": "postgres"}, 2),
    ):
        with pytest.raises(MoeenError, match="not empty") as refusal:
            call_command("restore_database", at=at, **words, **more)
        assert refusal.value.exit_code == code
    now = rows(archived.target, "moeen")
    assert now[:2] == [1, 2]
    call_command("restore_database", at=at, **words, replace=True, yes=True, expect="moeen")
    assert rows(archived.target, "moeen") == [1]
    with archived.target.connect() as connection:
        ((kept,),) = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'moeen_before_%'")
        assert rows(archived.target, kept) == now
        connection.execute("DROP DATABASE moeen")
        connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO moeen").format(sql.Identifier(kept)))
    ((paper,),) = [[store.of(words["store"]).manifest(name)] for name in store.of(words["store"]).ids()]
    assert (paper.purpose, paper.database, paper.rows) == (manifest.RESTORE, "moeen", len(now))


@pytest.mark.parametrize("words", ["yesterday", "2026-13-01 09:30", "", "0001-01-01 00:00"])
def test_parse__no_moment__wrong_usage(words):
    with pytest.raises(MoeenError, match="is no moment") as refusal:
        recovery.parse(words)
    assert refusal.value.exit_code == 2


def test_parse__moment_without_a_zone__the_projects():
    assert recovery.parse("2026-11-24 09:30") == datetime(2026, 11, 24, 6, 30, tzinfo=UTC)
    assert recovery.parse("2026-11-24 09:30+00:00") == datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def test_archive__encrypted__nothing_in_the_clear_but_papers(archived):
    for path in archived.archive.folder.rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & 0o077 == 0
            assert b"a secret of a patient" not in path.read_bytes()
    with (
        pytest.raises(MoeenError, match="no identity was given"),
        recovery.recovered(recovery.moment(archived.archive, None)),
    ):
        pass


def test_check__archive_as_it_was_made__nothing_to_say(archived):
    assert checking.check(archived.archive) == []


def another_paper(archive: Archive, name: str, signer) -> bytes:
    said, end, rest = (archive.wal / name).read_bytes().partition(b"\n}\n")
    paper = manifest.read_as(Segment, said + end, name=name)
    return manifest.sealed(paper, signer=signer) + rest


def flip(data: bytes) -> bytes:
    """Its last byte is another one."""
    return data[:-1] + bytes([data[-1] ^ 1])


def forge_bytes_of_a_piece(archive, name, base):
    (archive.wal / name).write_bytes(flip((archive.wal / name).read_bytes()))


def forge_time_of_a_piece(archive, name, base):
    data = (archive.wal / name).read_bytes()
    at = data.index(b'"until": "') + 10
    (archive.wal / name).write_bytes(data[:at] + b"3" + data[at + 1 :])


def forge_signature_of_a_piece(archive, name, base):
    (archive.wal / name).write_bytes(another_paper(archive, name, keys.Signer.made()))


def forge_no_signature(archive, name, base):
    (archive.wal / name).write_bytes(another_paper(archive, name, None))


def forge_piece_under_anothers_name(archive, name, base):
    shutil.copy(archive.wal / name, archive.wal / base.segment(base.start))


def forge_link_for_a_piece(archive, name, base):
    (archive.wal / name).rename(archive.folder / "elsewhere")
    (archive.wal / name).symlink_to(archive.folder / "elsewhere")


def forge_bytes_of_a_base(archive, name, base):
    path = archive.bases.folder / base.id / base.files[0].path
    path.write_bytes(flip(path.read_bytes()))


def forge_paper_of_a_base(archive, name, base):
    path = archive.bases.folder / base.id / manifest.NAME
    path.write_bytes(manifest.sealed(replace(base, superuser="evil"), signer=keys.Signer.made()))


def forge_base_under_anothers_id(archive, name, base):
    (archive.bases.folder / base.id).rename(archive.bases.folder / f"{base.id[:-6]}ffffff")


FORGERIES = [made for name, made in list(globals().items()) if name.startswith("forge_")]


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_forgery__refused_before_anything_is_run__and_found_by_check(forge, archived, copy):
    started = set(Path("/tmp").glob("moeen-moment-*"))
    forge(copy, copy.segments()[-1], copy.all_bases()[0])
    with (
        pytest.raises(MoeenError) as refusal,
        recovery.recovered(recovery.moment(copy, None), identity=archived.identity),
    ):
        pass
    assert refusal.value.exit_code == 3
    assert set(Path("/tmp").glob("moeen-moment-*")) == started
    assert checking.check(copy) != []


def test_reach__piece_missing__moments_behind_it_cannot_be_had(archived, copy):
    first = copy.all_bases()[0]
    (copy.wal / first.segment(first.start)).unlink()
    assert reach.spans(copy) == []
    with pytest.raises(MoeenError, match="It reaches: nothing"):
        recovery.moment(copy, archived.moment)


def put_behind(copy: Archive, paper: Segment) -> None:
    """A piece that follows the last one, whole and empty, so that the last one is one of those before."""
    name = papers.following(paper.name, size=1 << 24)
    until = datetime.fromisoformat(paper.until) + timedelta(minutes=1)
    segments.write(copy, name, bytes(1 << 24), until=until, lsn=papers.end_of(name, size=1 << 24),
                   signer=keys.signer(), recipients=[])  # fmt: skip


def test_reach__older_state_of_a_piece__moments_behind_it_cannot_be_had(archived, copy):
    """It was signed once, when it was the last one; put back later, it would end every recovery before its time."""
    paper = segments.paper(copy, copy.segments()[-1])
    put_behind(copy, paper)
    (span,) = reach.spans(copy)
    assert (span.lsn, "older state" in span.gap) == (paper.lsn, True)
    assert recovery.moment(copy, archived.moment).base == copy.all_bases()[0]
    for at in (None, span.until + timedelta(seconds=1)):
        with pytest.raises(MoeenError, match=f"there is a gap: wal/{paper.name} is an older state") as refusal:
            recovery.moment(copy, at)
        assert refusal.value.exit_code == 3


def test_recover__pieces_of_two_lives_of_a_server__refused_and_not_taken_for_the_end(archived, copy):
    """Both are of the same number and signed by the same key; PostgreSQL ends at the first that does not follow."""
    paper = segments.paper(copy, copy.segments()[-1])
    data = segments.read(copy, paper.name, encryption.identities(archived.identity))
    segments.write(copy, paper.name, data, until=datetime.fromisoformat(paper.until),
                   lsn=papers.end_of(paper.name, size=1 << 24), signer=keys.signer(), recipients=[])  # fmt: skip
    put_behind(copy, paper)
    with (
        pytest.raises(MoeenError, match="does not follow the one before") as refusal,
        recovery.recovered(recovery.moment(copy, None), identity=archived.identity),
    ):
        pass
    assert refusal.value.exit_code == 3


def test_moment__increment_whose_base_is_gone__the_one_before_it_is_used(tmp_path):
    archive = Archive(tmp_path / "archive" / "123", "123")
    archive.wal.mkdir(parents=True)
    whole = made_base(archive, 3, position=1)
    made_base(archive, 2, parent="20260101T000000Z-abcdef", position=2)
    for position in (1, 2):
        end = papers.end_of(whole.segment(position << 24), size=1 << 24)
        segments.write(archive, whole.segment(position << 24), b"x", until=datetime.now(UTC), lsn=end,
                       signer=keys.signer(), recipients=[])  # fmt: skip
    assert recovery.moment(archive, None).base == whole


def test_recover__base_swapped_after_it_was_checked__refused_before_anything_of_it_runs(archived, copy, monkeypatch):
    """Whoever may write there knows to whom it is encrypted; what they put there is unpacked and thrown away."""
    base = copy.all_bases()[0]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in ("PG_VERSION", bases.LIST):
            tar.addfile(tarfile.TarInfo(name))

    def check(archive, base):
        path = archive.bases.folder / base.id
        with (path / base.files[0].path).open("wb") as file:
            encryption.encrypt(io.BytesIO(packed.getvalue()), file, encryption.recipients(base.recipients))
        return path

    monkeypatch.setattr(bases, "check", check)
    with (
        pytest.raises(manifest.Damaged, match="changed while it was read"),
        recovery.recovered(recovery.moment(copy, None), identity=archived.identity),
    ):
        pass
    assert base.recipients


def test_moment__base_that_is_damaged__the_others_are_used_and_it_is_told(tmp_path):
    archive = Archive(tmp_path / "archive" / "123", "123")
    archive.wal.mkdir(parents=True)
    older, newer = made_base(archive, 3, position=1), made_base(archive, 2, position=2)
    for position in (1, 2):
        end = papers.end_of(newer.segment(position << 24), size=1 << 24)
        segments.write(archive, newer.segment(position << 24), b"x", until=datetime.now(UTC), lsn=end,
                       signer=keys.signer(), recipients=[])  # fmt: skip
    path = archive.bases.folder / older.id / manifest.NAME
    path.write_bytes(flip(path.read_bytes()))
    assert recovery.moment(archive, None).base == newer
    (said,) = archive.refused()
    assert older.id in said
    with pytest.raises(MoeenError, match=older.id):
        recovery.moment(archive, datetime.now(UTC) - timedelta(days=3) + timedelta(minutes=1))


def test_segment_name__positions__as_the_server_names_them(archived):
    with archived.target.connect() as connection:
        for position in ("0/1", "0/2000028", "1/FF000000", "12/ABCDEF01"):
            ((name,),) = connection.execute("SELECT pg_walfile_name(%s)", [position]).fetchall()
            number = papers.lsn(position)
            assert papers.segment_name(number, timeline=int(name[:8], 16), size=1 << 24) == name
            ((after,),) = connection.execute("SELECT pg_walfile_name(%s::pg_lsn + 16777216)", [position]).fetchall()
            assert papers.following(name, size=1 << 24) == after


def test_archivist__disk_nearly_full__lets_the_server_go_on_and_tells(archived, quickly, tmp_path, monkeypatch):
    told = tmp_path / "told"
    monkeypatch.setattr(archivist, "PROMISED_SECONDS", 0)
    rules = Rules(7, 10**9, on_trouble=f"/bin/sh -c 'cat >{told}'")
    keeper = keeper_of(archived.target, tmp_path, rules=rules)
    with at_work(keeper, archived.target):
        wait_for(lambda: (tmp_path / "archive").exists() and archive_of(tmp_path).segments())
        with archived.target.connect() as connection:
            slots = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s"
            assert connection.execute(slots, [keeper.slot]).fetchone() == (1,)
            monkeypatch.setattr(places, "RESERVE_BYTES", 1 << 60)
            monkeypatch.setattr(places, "RESERVE_PART", 1)
            wait_for(lambda: told.exists() and told.stat().st_size)
            assert connection.execute(slots, [keeper.slot]).fetchone() == (0,)
        event = json.loads(told.read_text())
        assert (event["command"], event["outcome"]) == ("archive", "failed")
        assert "so that the server can go on" in event["message"]
        assert "so that the server can go on" in (keeper.own / archivist.TROUBLE).read_text()
        monkeypatch.setattr(places, "RESERVE_BYTES", 0)
        wait_for(lambda: not (keeper.own / archivist.TROUBLE).exists())


def test_archivist__fell_too_far_behind__told_and_begun_anew(archived, quickly, tmp_path):
    keeper = keeper_of(archived.target, tmp_path)
    with archived.target.connect() as connection:
        receiver.hold(connection, keeper.slot)
        connection.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
        connection.execute("SELECT pg_reload_conf()")
        try:
            lost = "SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s"
            for _ in range(12):
                for _ in range(2):
                    connection.execute("SELECT pg_logical_emit_message(true, 'test', 'x'), pg_switch_wal()")
                connection.execute("CHECKPOINT")
                if connection.execute(lost, [keeper.slot]).fetchone() == ("lost",):
                    break
            assert connection.execute(lost, [keeper.slot]).fetchone() == ("lost",)
            assert receiver.hold(connection, keeper.slot) == receiver.LOST
            assert receiver.hold(connection, keeper.slot) == receiver.HELD
        finally:
            connection.execute("ALTER SYSTEM RESET max_slot_wal_keep_size")
            connection.execute("SELECT pg_reload_conf()")
            receiver.release(connection, keeper.slot)


def test_archivist__piece_that_the_server_never_wrote__put_aside_told_and_no_end_of_the_archive(
    archived, quickly, tmp_path
):
    """Left there it would be the last piece: each base a gap before it, and the next archivist would not begin."""
    keeper = keeper_of(archived.target, tmp_path)
    forged = "F" * 24

    def planted_and_passed():
        (archive_of(tmp_path).wal / forged).write_bytes(b"x")
        ((now, _),) = connection.execute("SELECT clock_timestamp(), pg_switch_wal()::text IS NULL").fetchall()
        wait_for(lambda: not (archive_of(tmp_path).wal / forged).exists() and reaches(tmp_path, now))

    with archived.target.connect() as connection:
        thread = running(keeper)
        try:
            wait_for(lambda: (tmp_path / "archive").exists() and reaches(tmp_path, datetime(2000, 1, 1, tzinfo=UTC)))
            planted_and_passed()
            keeper.stop()
            thread.join()
            (archive_of(tmp_path).wal / forged).write_bytes(b"x")
            keeper = keeper_of(archived.target, tmp_path)
            thread = running(keeper)
            planted_and_passed()
        finally:
            keeper.stop()
            thread.join()
            receiver.release(connection, keeper.slot)
    archive = archive_of(tmp_path)
    assert len(archive.all_bases()) == 1
    assert [span.gap for span in reach.spans(archive)] == [""]
    assert [forged in line for line in archive.refused()] == [True]


def test_archivist__key_that_is_not_believed_here__says_so_and_makes_no_bases(archived, quickly, settings, tmp_path):
    settings.BACKUP_PUBLIC_KEYS = [keys.Signer.made().public.text()]
    keeper = keeper_of(archived.target, tmp_path)
    with at_work(keeper, archived.target):
        wait_for(lambda: (keeper.own / archivist.TROUBLE).exists())
        assert "BACKUP_PUBLIC_KEYS does not hold" in (keeper.own / archivist.TROUBLE).read_text()
        time.sleep(2)
        assert archive_of(tmp_path).bases.ids() == []
        settings.BACKUP_PUBLIC_KEYS = []
        wait_for(lambda: reaches(tmp_path, datetime(2000, 1, 1, tzinfo=UTC)))


def test_archivist__trouble_of_one_that_has_ended__over_once_all_is_well(archived, quickly, tmp_path):
    keeper = keeper_of(archived.target, tmp_path)
    keeper.own.mkdir()
    (keeper.own / archivist.TROUBLE).write_text("The programs were missing.")
    with at_work(keeper, archived.target):
        wait_for(lambda: not (keeper.own / archivist.TROUBLE).exists())


def test_archivist__newest_piece_damaged__written_anew(archived, quickly, tmp_path):
    for _ in range(2):
        keeper = keeper_of(archived.target, tmp_path)
        thread = running(keeper)
        try:
            with archived.target.connect() as connection:
                ((now,),) = connection.execute("SELECT clock_timestamp()").fetchall()
            wait_for(lambda now=now: (tmp_path / "archive").exists() and reaches(tmp_path, now))
        finally:
            keeper.stop()
            thread.join()
        archive = archive_of(tmp_path)
        last = archive.wal / archive.segments()[-1]
        last.write_bytes(last.read_bytes()[:100])
    with archived.target.connect() as connection:
        receiver.release(connection, keeper.slot)
    assert len(archive.all_bases()) == 1


def test_archivist__base_dated_in_the_future__another_is_due_and_moments_can_be_had(tmp_path):
    """A clock was wrong when it was made: nothing of what comes after would be reached until then."""
    archive = Archive(tmp_path / "7", "7")
    wrong = made_base(archive, -400, position=3)
    keeper = Archivist(
        login=Login({}), folder=tmp_path, own=tmp_path / "own", signer=keys.signer(), recipients=[],
        rules=Rules(7, 10**9),
    )  # fmt: skip
    (keeper.own / "lists").mkdir(parents=True)
    (keeper.own / "lists" / wrong.id).touch()
    archive.wal.mkdir()
    assert keeper._is_due(archive, wrong)
    assert keeper._parent(archive, wrong) is None
    right = made_base(archive, 0, position=5)
    now = datetime.now(UTC) + timedelta(seconds=2)
    for number in (3, 4, 5):
        name = papers.segment_name(number << 24, timeline=1, size=1 << 24)
        segments.write(archive, name, b"x", until=now, lsn=(number + 1) << 24, signer=keys.signer(), recipients=[])
    assert archive.all_bases() == [wrong, right]
    assert not keeper._is_due(archive, right)
    assert recovery.moment(archive, now - timedelta(seconds=1)).base == right


def test_hold__server_without_a_bound_and_a_role_that_may_not_set_one__refused(archived, tmp_path):
    with archived.target.connect() as connection:
        connection.execute("ALTER SYSTEM RESET max_slot_wal_keep_size")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CREATE ROLE replicator LOGIN REPLICATION")
        with archived.target.connect(user="replicator") as own:
            with pytest.raises(MoeenError, match="without a bound") as refusal:
                receiver.hold(own, "of_nobody")
            assert "max_slot_wal_keep_size = '1024MB'" in refusal.value.next_step
            assert own.execute(
                "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'of_nobody'"
            ).fetchone() == (0,)
        connection.execute("DROP ROLE replicator")


def made_base(archive: Archive, days_ago: int, *, parent: str = "", position: int) -> Base:
    """A base with its paper and nothing of a server's in it."""
    at = datetime.now(UTC) - timedelta(days=days_ago)
    name = f"{at:%Y%m%dT%H%M%SZ}-{position:06x}"
    folder = archive.bases.folder / name
    folder.mkdir(parents=True)
    (folder / papers.FILES).write_bytes(b"x" * 1000)
    base = Base(
        id=name, system=archive.system, created_at=at.isoformat(), server_version="18.4", superuser="postgres",
        databases=["moeen"], timeline=1, segment_bytes=1 << 24, start=position << 24, end=(position << 24) + 100,
        parent=parent, recipients=[], seconds=1.0, files=[File(papers.FILES, 1000, "0" * 64)],
    )  # fmt: skip
    (folder / manifest.NAME).write_bytes(manifest.sealed(base, signer=keys.signer()))
    return base


@pytest.mark.parametrize(("limit", "left"), [(10**9, [9, 8, 3]), (4_000, [3])])
def test_prune__older_bases__kept_while_they_reach_a_moment_and_there_is_room(limit, left, tmp_path):
    archive = Archive(tmp_path / "archive" / "123", "123")
    archive.wal.mkdir(parents=True)
    bases = {}
    for days, parent, position in ((20, None, 1), (19, 20, 2), (9, None, 3), (8, 9, 4), (3, None, 5)):
        bases[days] = made_base(archive, days, parent=bases[parent].id if parent else "", position=position)
        segments.write(archive, bases[days].segment(position << 24), b"x" * 100, until=datetime.now(UTC),
                       lsn=0, signer=keys.signer(), recipients=[])  # fmt: skip
    keeper = Archivist(Login({"dbname": "x"}), tmp_path, tmp_path / "own", keys.signer(), [], Rules(7, limit))
    keeper.own.mkdir()
    keeper._prune(archive)
    assert [base.id for base in archive.all_bases()] == [bases[days].id for days in left]
    assert len(archive.segments()) == len(left)
    # The key of a base that is left still fits.
    assert reach.spans(archive) == [] or reach.spans(archive)[-1].newest.id == bases[3].id


def test_manage__embedded_server__archived_by_itself_until_it_stops(manage, tmp_path):
    folder = servers.scratch()
    words = {"EMBEDDED_DATA_DIR": str(folder / "data"), "DATABASE_URL": "", "ARCHIVE": "true",
             "ARCHIVE_DIR": str(folder / "archive"), "ARCHIVE_STATE": str(folder / "state")}  # fmt: skip
    try:
        assert manage("embedded_server", "start", **words).returncode == 0
        pid_file = folder / "state" / "lock"
        wait_for(lambda: pid_file.exists() and pid_file.read_text())
        pid = int(pid_file.read_text())
        status = json.loads(manage("archive", "status", "--json", **words).stdout)
        assert (status["on"], status["pid"]) == (True, pid)
        assert json.loads(manage("archive", "start", "--json", **words).stdout)["pid"] == pid
        wait_for(lambda: "ok" in json.loads(manage("archive", "check", "--json", **words).stdout))
    finally:
        assert manage("embedded_server", "stop", **words).returncode == 0
    assert not is_alive(pid)


def test_archive__off__start_says_how_to_turn_it_on(settings):
    settings.ARCHIVE = False
    with pytest.raises(MoeenError, match="ARCHIVE=true") as refusal:
        call_command("archive", "start")
    assert refusal.value.exit_code == 2


def test_run__another_runs_here__refused(settings, tmp_path):
    settings.ARCHIVE_STATE = tmp_path
    assert keeping.pid() is None
    with keeping._alone():
        assert keeping.pid() == os.getpid()
        with pytest.raises(MoeenError, match="runs here already"):
            keeping.run()
    assert keeping.pid() is None


def test_standing__server_ahead_of_its_archive__what_a_crash_would_lose(archived, settings):
    settings.ARCHIVE_DIR = archived.archive.folder.parent
    with Login.of_url(archived.target.url("moeen", user="moeen")).settled().in_django("archived"):
        found = standing.look(connections["archived"])
    assert found.lost_seconds > 0
    assert found.as_dict()["reach"][0]["base"] == archived.archive.all_bases()[0].id
    assert "would cost" in found.pretty()


@pytest.mark.parametrize(("on", "worries"), [(True, 2), (False, 0)])
def test_standing__archivist_of_another_server_where_archiving_is_off__no_worry(
    archived, settings, tmp_path, on, worries
):
    """The embedded server's runs on where DATABASE_URL names another server for one command."""
    settings.ARCHIVE, settings.ARCHIVE_DIR, settings.ARCHIVE_STATE = on, tmp_path / "none", tmp_path
    (tmp_path / archivist.TROUBLE).write_text("The disk is full.")
    with keeping._alone():
        os.utime(tmp_path / "lock", (0, 0))
        with Login.of_url(archived.target.url("moeen", user="moeen")).settled().in_django("archived"):
            found = standing.look(connections["archived"])
    assert len(found.worries) == worries, found.worries


def test_unknown_error__of_the_server__is_waited_for(quickly, tmp_path, archived):
    """A server that never was is no trouble: the archivist ends after its patience."""
    keeper = keeper_of(archived.target, tmp_path)
    keeper.login = Login({**keeper.login.parameters, "host": str(tmp_path)})
    started = time.monotonic()
    keeper.run()
    assert time.monotonic() - started < 15
    with pytest.raises(psycopg.OperationalError):
        keeper.login.connect(application="test")
