"""The seals of the audit log: what a superuser does to sealed entries is found and named, what writers do never is."""

import io
import json
import random
import threading
import time
import uuid
from dataclasses import replace
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections

from moeen.db.backups import keys
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.kinds import Kind
from moeen.db.seals import entry, guards, pruning, seal, sealing, verification
from moeen.db.seals.anchor import Anchor
from moeen.db.security.identity import acting_as_operator
from sysadmin.exposure import touched_trail

#: Of a word or two each, as the audit log has them.
ACTIONS = ("INSERT", "UPDATE", "DELETE", "LOGIN")


@pytest.fixture(scope="module", autouse=True)
def operator():
    with acting_as_operator():
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a signing key of its own."""
    folder = tmp_path_factory.mktemp("seals")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.BACKUP_SIGNING_KEY", folder / "backup.key", raising=False)
        patch.setattr("django.conf.settings.BACKUP_PUBLIC_KEYS", [], raising=False)
        keys.make()
        yield folder


@pytest.fixture(scope="module")
def database(new_database):
    return new_database.migrated()


def write(connection, number, *, table="patients", record=None):
    """Entries in a transaction of their own."""
    with connection.transaction():
        for _ in range(number):
            connection.execute(
                """INSERT INTO audit_logs (user_id, action, table_name, record_id, new_values, transaction_id)
                   VALUES (gen_random_uuid(), %s, %s, %s, %s, pg_current_xact_id()::text::bigint)""",
                [random.choice(ACTIONS), table, record or uuid.uuid4(), json.dumps({"phone": str(uuid.uuid4())})],
            )


def make(database, anchor=None, **options):
    return sealing.make(connections[database.alias], anchor=anchor, **options)


def verify(database, anchor=None, **options):
    return verification.verify(connections[database.alias], anchor=anchor, **options)


class Siege:
    """A sealed log that is laid anew before each attack."""

    def __init__(self, database, place):
        self.database, self.anchor = database, Anchor(str(place / "anchor"))
        with database.connect() as owner, pytest.MonkeyPatch.context() as patch:
            patch.setattr(sealing, "BATCH", 16)
            for _ in range(5):
                for _ in range(10):
                    write(owner, random.randint(1, 4))
                make(database, self.anchor)
            write(owner, 3)  # not sealed yet
        self.admin = database.admin()
        for table in ("audit_logs", "audit_seals"):
            self.admin.execute(f"CREATE SCHEMA IF NOT EXISTS kept; CREATE TABLE kept.{table} AS TABLE public.{table}")
        self.seals = seal.every(self.admin)
        leaves = seal.leaves(self.admin, [one.number for one in self.seals])
        #: (id, seal) of the entries in the order of their sealing.
        self.order = [
            (uuid.UUID(bytes=leaf[:16]), one.number) for one in self.seals for leaf in entry.split(leaves[one.number])
        ]
        self.ids = [key for key, _ in self.order]

    def lay(self):
        """As a superuser does it, with triggers off."""
        for table in ("audit_logs", "audit_seals"):
            self.admin.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL; TRUNCATE {table}")
            self.admin.execute(f"INSERT INTO {table} TABLE kept.{table}")

    def remake(self, start, *, signer=None, **changes):
        """Seals from `start` on as if they had been made of what stands there now."""
        before = next((one for one in self.seals if one.number == start - 1), None)
        for one in self.seals[start - 1 :]:
            ids = [key for key, number in self.order if number == one.number]
            rows = {row.id: row.leaf for row in entry.read(self.admin, one.columns, entry_ids(ids))}
            leaves = [rows[key.bytes] for key in ids if key.bytes in rows]
            fresh = replace(
                one, root=entry.root(leaves), entries=len(leaves), previous=before.hash if before else "",
                total=(before.total if before else 0) + len(leaves), **changes,
            ).signed(signer)  # fmt: skip
            self.admin.execute("DELETE FROM audit_seals WHERE number = %s", [one.number])
            seal.keep(self.admin, fresh, b"".join(leaves))
            before = fresh

    def execute(self, query, *params):
        self.admin.execute(query, params)


def entry_ids(ids):
    return psycopg.sql.SQL("id = ANY ({})").format(psycopg.sql.Literal(ids))


@pytest.fixture(scope="module")
def siege(database, place):
    made = Siege(database, place)
    yield made
    made.lay()
    assert {finding.kind for finding in verify(database, made.anchor).findings} == {Kind.TRAIL_TOUCHED}
    made.admin.close()


REWRITES = {
    "action": "'READ'",
    "table_name": "table_name || 's'",
    "record_id": "gen_random_uuid()",
    "record_id ": "NULL",
    "new_values": """'{"phone": "1"}'""",
    "new_values ": "NULL",
    "old_values": "new_values",
    "user_id": "gen_random_uuid()",
    "ip_address": "'10.0.0.1'",
    "user_agent": "'curl'",
    "created_at": "created_at - interval '1 second'",
    "created_at ": "created_at + interval '3 days'",
    "transaction_id": "transaction_id + 1",
    "transaction_id ": "1000000000",
    "transaction_id  ": "NULL",
    "public_id": "app.generate_public_id('aud_')",
    "id": "gen_random_uuid()",
}


def rewritten(siege, chance):
    column, value = chance.choice(list(REWRITES.items()))
    for key in chance.sample(siege.ids, chance.randint(1, 3)):
        siege.execute(f"UPDATE audit_logs SET {column} = {value} WHERE id = %s", key)
    return {Kind.ENTRY_REWRITTEN}


def deleted(siege, chance):
    siege.execute("DELETE FROM audit_logs WHERE id = ANY (%s)", chance.sample(siege.ids[:-1], chance.randint(1, 5)))
    return {Kind.ENTRY_DELETED}


INSERTS = (
    # A copy among those of its transaction; one of today's transaction that says it is older; ones of no transaction.
    "created_at, transaction_id",
    "created_at - interval '30 days', pg_current_xact_id()::text::bigint",
    "created_at, 4000000000000",
    "created_at, NULL",
    "created_at, transaction_id - 1",
)


def inserted(siege, chance):
    siege.execute(
        f"""INSERT INTO audit_logs (user_id, action, table_name, record_id, new_values, created_at, transaction_id)
            SELECT user_id, 'READ', table_name, record_id, new_values, {chance.choice(INSERTS)}
            FROM audit_logs WHERE id = %s""",
        chance.choice(siege.ids),
    )
    return {Kind.ENTRY_INSERTED}


SWAPS = (
    "created_at = other.created_at",
    "created_at = other.created_at, transaction_id = other.transaction_id",
    "user_id = other.user_id, action = other.action, record_id = other.record_id, new_values = other.new_values",
)


def reordered(siege, chance):
    swap = chance.choice(SWAPS)
    keys = chance.sample(siege.ids, chance.randint(2, 4))
    siege.execute(
        f"""UPDATE audit_logs AS a SET {swap} FROM kept.audit_logs AS other, unnest(%s::uuid[], %s::uuid[]) AS p (a, b)
            WHERE a.id = p.a AND other.id = p.b""",
        keys,
        keys[1:] + keys[:1],
    )
    return {Kind.ENTRIES_REORDERED}


def ids_swapped(siege, chance):
    one, two = chance.sample(siege.ids, 2)
    spare = uuid.uuid4()
    for old, new in ((one, spare), (two, one), (spare, two)):
        siege.execute("UPDATE audit_logs SET id = %s WHERE id = %s", new, old)
    return {Kind.ENTRIES_REORDERED}


def tail_cut(siege, chance):
    siege.execute("DELETE FROM audit_logs WHERE id = ANY (%s)", siege.ids[-chance.randint(1, 40) :])
    return {Kind.TAIL_CUT}


def tail_cut_with_its_seals(siege, chance):
    first = chance.randint(2, len(siege.seals))
    siege.execute("DELETE FROM audit_logs WHERE id = ANY (%s)", [key for key, number in siege.order if number >= first])
    siege.execute("DELETE FROM audit_seals WHERE number >= %s", first)
    return {Kind.TAIL_CUT}


def tail_cut_and_only_its_seals(siege, chance):
    siege.execute("DELETE FROM audit_seals WHERE number >= %s", chance.randint(2, len(siege.seals)))
    return {Kind.TAIL_CUT}


SEALS = {
    "complete_below": "complete_below + 1",
    "sealed_at": "sealed_at + interval '1 day'",
    "entries": "entries - 1",
    "pruned_through": "number",
    "leaves": "leaves || leaves",
    "leaves ": "set_byte(leaves, 3, 0)",
    "root": "repeat('0', 64)",
    "previous": "repeat('0', 64)",
    "hash": "repeat('0', 64)",
    "signature": "''",
    "columns": """'[["id", "uuid"], ["created_at", "text"], ["public_id", "text"], ["transaction_id", "bigint"]]'""",
}


def seal_changed(siege, chance):
    column, value = chance.choice(list(SEALS.items()))
    siege.execute(f"UPDATE audit_seals SET {column} = {value} WHERE number = %s", chance.choice(siege.seals).number)
    return {Kind.SEAL_BROKEN}


def seal_deleted(siege, chance):
    siege.execute("DELETE FROM audit_seals WHERE number = %s", chance.randint(1, len(siege.seals) - 1))
    return {Kind.SEAL_BROKEN}


def seals_made_anew(siege, chance):
    """Entry and seals agree, and every hash; what no longer fits is what is outside, and the signature."""
    key, number = chance.choice(siege.order)
    what = chance.choice(("UPDATE audit_logs SET action = 'READ'", "DELETE FROM audit_logs"))
    siege.execute(f"{what} WHERE id = %s", key)
    signer = chance.choice((None, keys.Signer.made(), keys.signer()))
    siege.remake(number, signer=signer)
    return {Kind.SEAL_BROKEN}


def said_to_be_pruned(siege, chance):
    """Entries are deleted, and a seal that was made anew says that they were pruned."""
    last = siege.seals[-1]
    siege.execute("DELETE FROM audit_logs WHERE id = %s", siege.ids[chance.randint(0, 20)])
    siege.remake(last.number, pruned_through=last.number - 1)
    return {Kind.SEAL_BROKEN}


ATTACKS = (
    rewritten, rewritten, rewritten, deleted, deleted, inserted, inserted, reordered, ids_swapped, tail_cut,
    tail_cut_with_its_seals, tail_cut_and_only_its_seals, seal_changed, seal_deleted, seals_made_anew,
    said_to_be_pruned,
)  # fmt: skip


def attacked(siege, attack, number):
    """What verification says after the attack: (expected kinds, found kinds, text)."""
    siege.lay()
    expected = attack(siege, random.Random(f"{attack.__name__} {number}"))
    found = verify(siege.database, siege.anchor)
    kinds = {finding.kind for finding in found.findings}
    assert Kind.TRAIL_TOUCHED in kinds or Kind.SEAL_BROKEN in kinds  # that triggers were off is found besides
    return expected, kinds - {Kind.TRAIL_TOUCHED}, [finding.pretty() for finding in found.findings]


@pytest.mark.parametrize("attack", dict.fromkeys(ATTACKS), ids=lambda attack: attack.__name__)
def test_verify__sealed_log_attacked_by_a_superuser__is_found_and_named(siege, attack):
    expected, found, text = attacked(siege, attack, 0)
    assert found == expected, text


@pytest.mark.long
def test_verify__two_hundred_attacks__are_found_and_named(siege):
    wrong = []
    for number in range(200):
        attack = ATTACKS[number % len(ATTACKS)]
        expected, found, text = attacked(siege, attack, number)
        if found != expected:
            wrong.append((attack.__name__, number, expected, text))
    assert wrong == []


# --- sealing ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def fresh(new_database, place):
    made = new_database.migrated()
    yield made
    new_database.drop(made)


def test_make__nothing_there__then_entries__then_nothing_new(fresh, place):
    first = make(fresh)
    assert (first.seals, first.entries) == (0, 0)
    with fresh.connect() as owner:
        write(owner, 7)
        done = make(fresh)
        assert (done.seals, done.entries, done.signed, done.newest.number) == (1, 7, True, 1)
        again = make(fresh)
        assert (again.seals, again.newest.hash) == (0, done.newest.hash)
        write(owner, 2)
        assert make(fresh).newest.previous == done.newest.hash
    found = verify(fresh)
    assert (found.ok, found.proven, found.unsealed, found.seals) == (True, 9, 0, 2)


def test_make__transaction_that_runs__waits_for_it_and_holds_nobody_up(fresh):
    with fresh.connect() as slow, fresh.connect() as owner:
        with slow.transaction():
            write(slow, 1)
            write(owner, 5)
            done = make(fresh)
            assert (done.entries, done.waiting) == (0, 5)
            assert verify_unsealed(fresh) == 5
        assert make(fresh).entries == 6
    assert verify(fresh).ok


def verify_unsealed(database):
    """Before the first seal nothing can be proven."""
    with pytest.raises(MoeenError, match="no seal") as error:
        verify(database)
    assert error.value.exit_code == FINDINGS
    with database.connect() as owner:
        return owner.execute("SELECT count(*) FROM audit_logs").fetchone()[0]


def test_make__stopped_between_two_seals__goes_on_and_seals_each_entry_once(fresh, monkeypatch):
    monkeypatch.setattr(sealing, "BATCH", 10)
    kept = seal.keep

    def stop(connection, one, data):
        kept(connection, one, data)
        if one.number == 2:
            raise KeyboardInterrupt

    with fresh.connect() as owner:
        write(owner, 35)
        write(owner, 15)
    monkeypatch.setattr(seal, "keep", stop)
    with pytest.raises(KeyboardInterrupt):
        make(fresh)
    monkeypatch.setattr(seal, "keep", kept)
    assert [one.complete_below for one in every(fresh)] == [0, 0]
    assert make(fresh).entries == 30
    found = verify(fresh)
    assert (found.ok, found.proven, found.seals) == (True, 50, 5)


def every(database):
    with database.connect() as owner:
        return seal.every(owner)


def test_make__another_run_at_work__refused(fresh):
    with fresh.connect() as owner:
        owner.execute("SELECT pg_advisory_lock(%s, %s)", sealing.LOCK)
        with pytest.raises(MoeenError, match="another run") as error:
            make(fresh)
    assert error.value.exit_code == FINDINGS


def test_make__a_day_without_entries__says_so(fresh, monkeypatch):
    with fresh.connect() as owner:
        write(owner, 1)
        make(fresh)
        monkeypatch.setattr(sealing, "QUIET", timedelta(0))
        done = make(fresh)
    assert (done.seals, done.entries, done.newest.number) == (1, 0, 2)
    assert verify(fresh).ok


def test_make__restored_on_another_server__seals_what_came_before_and_after(fresh):
    """There the numbers of transactions begin anew: here, by seals that say they are of another, busier server."""
    with fresh.connect() as owner:
        write(owner, 4)
    make(fresh)
    with fresh.admin() as admin:
        admin.execute("ALTER TABLE audit_logs DISABLE TRIGGER ALL; ALTER TABLE audit_seals DISABLE TRIGGER ALL")
        # As if the four had been written, and a fifth that was not sealed, when the other server had counted further.
        write(admin, 1)
        admin.execute("UPDATE audit_logs SET transaction_id = transaction_id + 5000000")
        first = seal.newest(admin)
        rows = list(entry.read(admin, first.columns, psycopg.sql.SQL("true ORDER BY transaction_id LIMIT 4")))
        leaves = sorted((row.leaf for row in rows), key=lambda leaf: (leaf[16:24], leaf))
        numbers = [row.transaction for row in rows]
        moved = replace(
            first, system="1", root=entry.root(leaves), first_transaction=min(numbers), last_transaction=max(numbers),
            complete_below=first.complete_below + 5_000_000, next_transaction=first.next_transaction + 5_000_000,
        ).signed(keys.signer())  # fmt: skip
        admin.execute("DELETE FROM audit_seals")
        seal.keep(admin, moved, b"".join(leaves))
        admin.execute("ALTER TABLE audit_logs ENABLE TRIGGER ALL; ALTER TABLE audit_seals ENABLE TRIGGER ALL")
    with fresh.connect() as owner:
        write(owner, 3)
        found = verify(fresh)
        assert [finding.kind for finding in found.findings] == [Kind.TRAIL_TOUCHED]
        assert (found.proven, found.unsealed) == (4, 4)
        assert any("another server" in note for note in found.notes)
        assert make(fresh, explain="moved by this test").entries == 4
        write(owner, 2)
        assert make(fresh).entries == 2
    found = verify(fresh)
    assert (found.findings, found.proven, found.unsealed) == ((), 10, 0)


def test_verify__column_added_later__older_seals_hold_and_its_values_are_watched(fresh):
    with fresh.connect() as owner:
        write(owner, 3)
        make(fresh)
        work(fresh, "ALTER TABLE audit_logs ADD COLUMN clinic text")
        write(owner, 2)
        assert verify(fresh).ok
        make(fresh)
        assert [len(one.columns) for one in every(fresh)] == [
            len(every(fresh)[0].columns),
            len(every(fresh)[0].columns) + 1,
        ]
        found = verify(fresh)
        assert (found.ok, found.proven) == (True, 6)  # and the entry of the work
    with fresh.admin() as admin:
        admin.execute("ALTER TABLE audit_logs DISABLE TRIGGER ALL")
        admin.execute(
            "UPDATE audit_logs SET clinic = 'x' WHERE id IN (SELECT id FROM audit_logs ORDER BY created_at LIMIT 1)"
        )
    assert [finding.kind for finding in verify(fresh).findings] == [Kind.ENTRY_REWRITTEN, Kind.TRAIL_TOUCHED]


@pytest.mark.parametrize("settings", [
    "DateStyle = 'SQL, DMY'; TimeZone = 'Asia/Riyadh'; IntervalStyle = 'iso_8601'",
    "bytea_output = 'escape'; extra_float_digits = '-3'; standard_conforming_strings = 'off'; search_path = 'pg_temp'",
])  # fmt: skip
def test_verify__database_with_other_settings__proves_the_same(fresh, settings):
    with fresh.connect() as owner:
        write(owner, 2)
        make(fresh)
        for one in settings.split(";"):
            owner.execute(f'ALTER DATABASE "{fresh.name}" SET {one}')
    assert verify(fresh).proven == 2


def test_anchor__seals_that_the_database_lost__are_named_and_only_said_to_be_lost(fresh, tmp_path):
    anchor = Anchor(str(tmp_path / "worm" / "seals"))
    with fresh.connect() as owner:
        for _ in range(3):
            write(owner, 2)
            make(fresh, anchor)
    with fresh.admin() as admin:  # restored from a backup of before
        admin.execute("ALTER TABLE audit_logs DISABLE TRIGGER ALL; ALTER TABLE audit_seals DISABLE TRIGGER ALL")
        admin.execute(
            """DELETE FROM audit_logs
               WHERE transaction_id >= (SELECT first_transaction FROM audit_seals WHERE number = 3)"""
        )
        admin.execute("DELETE FROM audit_seals WHERE number = 3")
        admin.execute("ALTER TABLE audit_logs ENABLE TRIGGER ALL; ALTER TABLE audit_seals ENABLE TRIGGER ALL")
        write(admin, 1)
    with pytest.raises(MoeenError, match="seals 3 to 3 are gone") as error:
        make(fresh, anchor)
    assert error.value.exit_code == FINDINGS
    assert [finding.kind for finding in verify(fresh, anchor).findings] == [Kind.TAIL_CUT, Kind.TRAIL_TOUCHED]
    done = make(fresh, anchor, lost="restored after a disk failed")
    make(fresh, anchor, explain="as the restore was made here")
    assert (done.newest.number, done.newest.lost_from, done.entries) == (4, 3, 1)
    found = verify(fresh, anchor)
    assert found.ok
    assert any("restored after a disk failed" in note for note in found.notes)


@pytest.mark.parametrize("end", [100, 2000, 65536])
def test_anchor__last_line_longer_than_what_is_read_at_once__is_found_all_the_same(fresh, tmp_path, monkeypatch, end):
    monkeypatch.setattr("moeen.db.seals.anchor._END", end)
    anchor = Anchor(str(tmp_path / "seals"))
    with fresh.connect() as owner:
        for number in range(1, 4):
            write(owner, 1)
            make(fresh, anchor)
            assert anchor.newest().number == number


def test_anchor__unfinished_line__is_passed_over_and_written_again(fresh, tmp_path):
    anchor = Anchor(str(tmp_path / "seals"))
    with fresh.connect() as owner:
        write(owner, 1)
        make(fresh, anchor)
        write(owner, 1)
        last = make(fresh).newest
        with open(tmp_path / "seals", "a", encoding="utf-8") as file:
            file.write(last.as_line()[:50])
        write(owner, 1)
        assert make(fresh, anchor).anchored == 2
    assert [one.number for one in anchor.read()] == [1, 2, 3]
    assert verify(fresh, anchor).ok


class Keeper(ThreadingHTTPServer):
    """A service that adds lines and gives them back. `fails`: in which way it does not, for GET or POST."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.kept, self.fails, self.ranges = b"", {}, False
        self.url = f"http://127.0.0.1:{self.server_address[1]}/seals?key=s3cret"

    def handle_error(self, request, client_address):
        """Of those that broke off, nothing."""


class Answer(BaseHTTPRequestHandler):
    def log_message(self, *words):
        """Nothing."""

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"]))
        if "POST" not in self.server.fails and self.headers["Content-Type"] == "application/x-ndjson":
            self.server.kept += text
        self.give(b"")

    def do_GET(self):
        wanted = self.headers.get("Range", "")
        cut = self.server.ranges and wanted.startswith("bytes=-")
        self.give(
            self.server.kept[-int(wanted.removeprefix("bytes=-")) :] if cut else self.server.kept, 206 if cut else 200
        )

    def give(self, text, status=200):
        fault = self.server.fails.get(self.command)
        if fault == "silent":
            time.sleep(2)
        if fault in ("hung up", "silent"):
            self.close_connection = True
            return
        if fault == "elsewhere":
            self.send_response(302)
            self.send_header("Location", self.path)
        else:
            self.send_response(fault if isinstance(fault, int) else status)
        self.send_header("Content-Length", str(len(text) + (9 if fault == "broken off" else 0)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def keeper(monkeypatch):
    monkeypatch.setattr("moeen.db.seals.anchor.SECONDS", 0.5)
    with Keeper() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


def told(database, name, *words):
    """The exit code and all that a command says."""
    out = io.StringIO()
    try:
        call_command(name, *words, database=database.alias, stdout=out, stderr=out)
    except SystemExit as ended:
        return ended.code, out.getvalue()
    except MoeenError as error:
        return error.exit_code, out.getvalue() + str(error)
    return 0, out.getvalue()


@pytest.mark.parametrize("ranges", [False, True])
def test_anchor__by_address__keeps_seals_and_tells_a_cut_tail(fresh, keeper, monkeypatch, ranges):
    keeper.ranges = ranges
    monkeypatch.setattr("moeen.db.seals.anchor._END", 2000)
    with fresh.connect() as owner, fresh.admin() as admin:
        for number in range(1, 8):
            write(owner, 2)
            assert told(fresh, "seal_audit_log", "--anchor", keeper.url)[0] == 0
            assert len(keeper.kept.splitlines()) == number
        assert len(keeper.kept) > 4000
        assert told(fresh, "verify_audit_log", "--anchor", keeper.url)[0] == 0
        admin.execute(
            """ALTER TABLE audit_logs DISABLE TRIGGER ALL; ALTER TABLE audit_seals DISABLE TRIGGER ALL;
               DELETE FROM audit_seals WHERE number > 5;
               DELETE FROM audit_logs WHERE transaction_id >= (SELECT max(complete_below) FROM audit_seals)"""
        )
        code, words = told(fresh, "verify_audit_log", "--anchor", keeper.url)
        assert (code, "cut tail" in words, "s3cret" in words) == (FINDINGS, True, False)
        write(owner, 2)
        code, words = told(fresh, "seal_audit_log", "--anchor", keeper.url)
        assert (code, "seals 6 to 7 are gone" in words) == (FINDINGS, True)
        assert len(keeper.kept.splitlines()) == 7


@pytest.mark.parametrize("fault", [500, 403, "hung up", "silent", "elsewhere", "broken off"])
def test_anchor__address_that_fails__is_told_and_the_next_run_makes_up_for_it(fresh, keeper, fault):
    with fresh.connect() as owner:
        write(owner, 2)
        keeper.fails = {"POST": fault}
        code, words = told(fresh, "seal_audit_log", "--anchor", keeper.url)
        assert (code, "127.0.0.1" in words, "s3cret" in words) == (1, True, False), words
        assert "The entries are sealed" in words
        assert owner.execute("SELECT count(*) FROM audit_seals").fetchone() == (1,)
        keeper.fails = {"GET": fault}
        write(owner, 2)
        for command in ("seal_audit_log", "verify_audit_log"):
            code, words = told(fresh, command, "--anchor", keeper.url)
            assert (code, "s3cret" in words) == (1, False), words
            assert "cannot be read" in words
        assert owner.execute("SELECT count(*) FROM audit_seals").fetchone() == (1,)
        keeper.fails = {}
        assert told(fresh, "seal_audit_log", "--anchor", keeper.url)[0] == 0
        assert [json.loads(line)["number"] for line in keeper.kept.splitlines()] == [1, 2]
        assert told(fresh, "verify_audit_log", "--anchor", keeper.url)[0] == 0


@pytest.mark.parametrize("kept", [b"<html>Sign in</html>", b"[1]\n", b"\xff\xfe\n"])
def test_anchor__address_of_something_else__is_refused_and_nothing_sealed(fresh, keeper, kept):
    keeper.kept = kept
    with fresh.connect() as owner:
        write(owner, 2)
        for command in ("seal_audit_log", "verify_audit_log"):
            code, words = told(fresh, command, "--anchor", keeper.url)
            assert (code, "is no seal" in words) == (FINDINGS, True), words
        assert owner.execute("SELECT count(*) FROM audit_seals").fetchone() == (0,)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("http://", 2),
        ("http://[::1/x", 2),
        ("ftp://host/x", 2),
        ("http://a:s3cret@127.0.0.1/x", 1),
        ("http://127.0.0.1:1/a b", 1),
        ("http://127.0.0.1:1/", 1),
    ],
)
def test_anchor__no_address_that_can_be_asked__is_refused_without_repeating_it(fresh, words, code):
    with fresh.connect() as owner:
        write(owner, 1)
    found, said = told(fresh, "seal_audit_log", "--anchor", words)
    assert (found, "s3cret" in said) == (code, False), said


def test_verify__about_somebody_in_a_log_that_was_cut__proves_no_absence(fresh):
    patient = uuid.uuid4()
    with fresh.connect() as owner, fresh.admin() as admin:
        write(owner, 3)
        write(owner, 1, record=patient)
        make(fresh)
        code, words = told(fresh, "verify_audit_log", "--about", str(uuid.uuid4()))
        assert code == 0, words
        admin.execute("ALTER TABLE audit_logs DISABLE TRIGGER ALL")
        admin.execute("DELETE FROM audit_logs WHERE record_id = %s", [patient])
        code, words = told(fresh, "verify_audit_log", "--about", str(patient))
        assert code == FINDINGS
        assert f"0 entries of seals 1 to 1 name {patient}, but the log is not as it was sealed." in words


def test_verify__about_a_patient__lists_its_entries_and_no_others(fresh):
    patient = uuid.uuid4()
    with fresh.connect() as owner:
        write(owner, 3)
        write(owner, 1, record=patient)
        owner.execute(
            """INSERT INTO audit_logs (action, table_name, old_values, transaction_id)
               VALUES ('DELETE', 'appointments', %s, pg_current_xact_id()::text::bigint)""",
            [json.dumps({"patient_id": str(patient)})],
        )
        make(fresh)
        write(owner, 1, record=patient)
        make(fresh)
    assert [one.seal for one in verify(fresh, about=verification.Question(patient)).mentions] == [1, 1, 2]
    assert [one.seal for one in verify(fresh, about=verification.Question(patient, last=1)).mentions] == [1, 1]
    assert verify(fresh, about=verification.Question(uuid.uuid4())).mentions == ()


def test_commands__seal_and_verify__say_what_they_did(fresh, tmp_path, settings):
    settings.AUDIT_ANCHOR = str(tmp_path / "seals")
    with fresh.connect() as owner:
        write(owner, 3)
    out = io.StringIO()
    call_command("seal_audit_log", database=fresh.alias, json=True, stdout=out)
    assert json.loads(out.getvalue())["newest"]["total"] == 3
    out = io.StringIO()
    call_command("verify_audit_log", database=fresh.alias, json=True, stdout=out)
    assert json.loads(out.getvalue())["proven"] == 3
    with fresh.admin() as admin:
        admin.execute("ALTER TABLE audit_logs DISABLE TRIGGER ALL; DELETE FROM audit_logs")
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("verify_audit_log", database=fresh.alias, stdout=out)
    assert ended.value.code == FINDINGS
    assert "cut tail" in out.getvalue()


# --- what writes and keeps the log -----------------------------------------------------------------------------------

SILENCED = {
    "a trigger off and on again": (
        "ALTER TABLE patients DISABLE TRIGGER patients_audit_update",
        "ALTER TABLE patients ENABLE ALWAYS TRIGGER patients_audit_update",
    ),
    "all of a table in one transaction": (
        "BEGIN; ALTER TABLE patients DISABLE TRIGGER USER",
        "ALTER TABLE patients ENABLE TRIGGER USER; COMMIT",
    ),
    "the trigger made anew": (
        "DROP TRIGGER patients_audit_update ON patients",
        "SELECT app.audit('patients', patient => 'id')",
    ),
    "its function replaced for a while": (
        "ALTER FUNCTION app.audit_statement() RENAME TO kept; CREATE FUNCTION app.audit_statement() RETURNS trigger "
        "LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE OR REPLACE TRIGGER patients_audit_update AFTER UPDATE "
        "ON patients FOR EACH STATEMENT EXECUTE FUNCTION app.audit_statement()",
        "DROP FUNCTION app.audit_statement() CASCADE; ALTER FUNCTION app.kept() RENAME TO audit_statement; "
        "SELECT app.audit('patients', patient => 'id')",
    ),
    "values computed by the table's definition": (
        "ALTER TABLE patients ALTER COLUMN phone TYPE varchar(50) USING '0'",
        "SELECT 1",
    ),
    "a rule that leaves entries out": (
        "CREATE RULE nothing AS ON INSERT TO audit_logs DO INSTEAD NOTHING",
        "DROP RULE nothing ON audit_logs",
    ),
    "another log for a while": (
        "ALTER TABLE audit_logs RENAME TO kept; CREATE TABLE audit_logs (LIKE kept INCLUDING DEFAULTS)",
        "DROP TABLE audit_logs; ALTER TABLE kept RENAME TO audit_logs",
    ),
    "the log's own trigger": (
        "ALTER TABLE audit_logs DISABLE TRIGGER audit_logs_append_only",
        "ALTER TABLE audit_logs ENABLE ALWAYS TRIGGER audit_logs_append_only",
    ),
}


@pytest.mark.parametrize("means", SILENCED.values(), ids=list(SILENCED))
def test_verify__trail_silenced_between_two_seals__is_found_until_it_is_explained(fresh, tmp_path, means):
    """Whoever silenced it left no entry, and everything stands as before."""
    anchor = Anchor(str(tmp_path / "seals"))
    before, after = means
    with fresh.connect() as owner, fresh.admin() as admin:
        owner.execute("INSERT INTO patients (first_name, last_name, phone) VALUES ('a', 'b', '1')")
        make(fresh, anchor)
        for table in ("pg_trigger", "pg_proc", "pg_attribute", "patients"):
            admin.execute(f"VACUUM (FULL, FREEZE) {table}")
        make(fresh, anchor)
        owner.execute("ALTER TABLE patients ADD own text; GRANT SELECT (phone) ON patients TO moeen_staff")
        assert verify(fresh, anchor).findings == ()
        owner.execute(before)
        owner.execute("UPDATE patients SET phone = '2'")
        owner.execute(after)
        for _ in range(2):  # before it is sealed, and afterwards
            found = verify(fresh, anchor)
            assert [finding.kind for finding in found.findings] == [Kind.TRAIL_TOUCHED], found
            assert [finding.kind for finding in touched_trail(connections[fresh.alias])] == [Kind.TRAIL_TOUCHED]
            write(owner, 1)
            make(fresh, anchor)
        make(fresh, anchor, explain="a repair by hand")
        found = verify(fresh, anchor)
        assert found.ok
        assert any("a repair by hand" in note for note in found.notes)
        with pytest.raises(MoeenError, match="nothing to explain"):
            make(fresh, anchor, explain="once more")
    assert list(touched_trail(connections[fresh.alias])) == []


EVENTS = ("delete", "insert", "truncate", "update")
ANEW = "SELECT app.audit('patients', patient => 'id')"


def work(database, *statements):
    """What a migration does in such a run."""
    wrapper = connections[database.alias]
    with guards.recorded(wrapper, "crm.0099_trail applied"), database.connect() as owner:
        for statement in statements:
            owner.execute(statement)


def test_verify__triggers_made_anew_by_migrate__are_a_note(fresh):
    with fresh.connect() as owner:
        write(owner, 1)
        make(fresh)
        for sealed in (False, True):
            for _ in range(2):
                work(fresh, ANEW)
            if sealed:
                make(fresh)
            found = verify(fresh)
            assert found.ok, found
            assert [note for note in found.notes if "made anew: crm.0099_trail applied (" in note]
        ((said,),) = owner.execute("SELECT new_values FROM audit_logs WHERE action = 'MIGRATE' LIMIT 1").fetchall()
    assert said["work"] == "crm.0099_trail applied"
    assert sorted(said["guards"]) == [f"trigger patients_audit_{event} on public.patients" for event in EVENTS]


@pytest.mark.parametrize("order", ["before", "after", "another table", "by hand"])
def test_verify__trail_silenced_about_a_run_of_migrate__is_found(fresh, order):
    """A run explains what it made anew itself, from what it was at the seal to what it is."""
    off = "ALTER TABLE {0} DISABLE TRIGGER {0}_audit_update; ALTER TABLE {0} ENABLE ALWAYS TRIGGER {0}_audit_update"
    with fresh.connect() as owner:
        write(owner, 1)
        make(fresh)
        if order == "by hand":
            owner.execute(
                "INSERT INTO migration_runs (actor, database_role, from_version, outcome) VALUES ('x', 'x', '', 'done')"
            )
        if order in ("before", "by hand"):
            owner.execute(off.format("patients"))
        if order != "by hand":
            work(fresh, ANEW)
        if order in ("after", "another table"):
            owner.execute(off.format("patients" if order == "after" else "users"))
        for _ in range(2):
            (finding,) = verify(fresh).findings
            assert finding.kind is Kind.TRAIL_TOUCHED
            table = "users" if order == "another table" else "patients"
            assert finding.found.startswith(f"trigger {table}_audit_update on public.{table} was written by")
            assert ";" not in finding.found
            make(fresh)


def test_verify__migrations_run_back_and_forth__explain_themselves(fresh):
    with fresh.connect() as owner:
        write(owner, 1)
        make(fresh)
        run = partial(call_command, "migrate", "crm", database=fresh.alias, verbosity=0, no_backup="test",
                      no_rehearsal="test", interactive=False)  # fmt: skip
        for target in ("0005", "0006"):
            run(target)
        # What is made where nothing stood is no change of what was sealed.
        owner.execute("SELECT app.audit('crm_leads')")
        found = verify(fresh)
    (finding,) = found.findings
    names = [words.partition(" was written by ")[0] for words in finding.found.split("; ")]
    assert names == [f"trigger crm_leads_audit_{event} on public.crm_leads" for event in EVENTS]
    assert any("crm.0006_audit applied" in note for note in found.notes)


def test_recorded__no_seal_or_none_any_more__enters_nothing(fresh):
    with fresh.connect() as owner:
        work(fresh, ANEW)
        assert owner.execute("SELECT count(*) FROM audit_logs WHERE action = 'MIGRATE'").fetchone() == (0,)
        make(fresh)
        work(fresh, "SELECT 1")
        assert owner.execute("SELECT count(*) FROM audit_logs WHERE action = 'MIGRATE'").fetchone() == (0,)
        work(fresh, ANEW, "ALTER TABLE audit_seals DROP COLUMN guards", "DROP TABLE audit_logs")


def test_seal__of_the_first_format__stays_what_it_was(fresh, tmp_path):
    """A seal says what it said when it was made; guards come with the next."""
    with fresh.connect() as owner:
        write(owner, 1)
        made = make(fresh).newest
        older = replace(made, format=1, guards={}).signed(keys.signer())
        assert "guards" not in older.stated()
        assert seal.Seal.of_line(older.as_line()) == older
        with fresh.admin() as admin:
            admin.execute("ALTER TABLE audit_seals DISABLE TRIGGER audit_seals_append_only; DELETE FROM audit_seals")
            leaves = [row.leaf for row in entry.read(admin, made.columns, psycopg.sql.SQL("true"))]
            seal.keep(admin, older, b"".join(leaves))
            admin.execute("ALTER TABLE audit_seals ENABLE ALWAYS TRIGGER audit_seals_append_only")
        assert verify(fresh).ok
        assert make(fresh).newest.guards
        assert verify(fresh).ok


# --- what nobody may do, and pruning ----------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["audit_logs", "audit_seals"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET public_id = public_id", "DELETE FROM {}", "TRUNCATE {}"])
def test_tables__changed_by_owner_or_superuser__refused_and_replication_role_is_no_way_around(siege, table, statement):
    siege.lay()
    siege.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only")
    if table == "audit_logs":
        siege.execute("ALTER TABLE audit_logs ENABLE ALWAYS TRIGGER audit_logs_prune_only")
    for replicating in ("origin", "replica"):
        with siege.admin.transaction(force_rollback=True):
            siege.execute(f"SET LOCAL session_replication_role = {replicating}")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                siege.execute(statement.format(table))


@pytest.fixture
def old(fresh, monkeypatch):
    """Forty entries of eleven years ago and five of today, in seals of ten."""
    monkeypatch.setattr(sealing, "BATCH", 10)
    with fresh.connect() as owner:
        owner.execute(
            """INSERT INTO audit_logs (action, table_name, created_at, transaction_id)
               SELECT 'LOGIN', 'users', now() - interval '11 years' + n * interval '1 day',
                      pg_current_xact_id()::text::bigint FROM generate_series(1, 40) AS n"""
        )
        make(fresh)
        write(owner, 5)
        make(fresh)
    return fresh


def count(database):
    with database.connect() as owner:
        return owner.execute("SELECT count(*) FROM audit_logs").fetchone()[0]


def prune(database, **options):
    return pruning.prune(connections[database.alias], years=10, **options)


def test_prune__old_entries__go_by_whole_seals_and_the_rest_is_proven(old, tmp_path):
    anchor = Anchor(str(tmp_path / "seals"))
    make(old, anchor)
    assert (prune(old, dry_run=True).entries, count(old)) == (40, 45)
    done = prune(old, anchor=anchor)
    assert (done.through, done.entries, count(old)) == (4, 40, 6)
    with old.connect() as owner:
        told = owner.execute("SELECT new_values FROM audit_logs WHERE action = 'PRUNE'").fetchone()[0]
        assert (told["seals"], told["entries"]) == ([1, 4], 40)
        # What is left is as safe as before: the seal says of whom it lets through.
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute("DELETE FROM audit_logs")
    found = verify(old, anchor)
    assert (found.findings, found.proven, found.pruned) == ((), 6, 40)
    assert prune(old, anchor=anchor).entries == 0
    out = io.StringIO()
    call_command("prune_audit_log", "--older-than", "10y", "--json", database=old.alias, stdout=out)
    assert json.loads(out.getvalue())["entries"] == 0


def test_prune__stopped_in_between__goes_on(old, monkeypatch):
    removed = pruning._remove

    def stop(connection, one):
        if one.number == 3:
            raise KeyboardInterrupt
        return removed(connection, one)

    monkeypatch.setattr(pruning, "_remove", stop)
    with pytest.raises(KeyboardInterrupt):
        prune(old)
    assert verify(old).findings == ()
    monkeypatch.setattr(pruning, "_remove", removed)
    assert (prune(old).entries, count(old)) == (20, 6)
    assert verify(old).findings == ()


def test_prune__log_that_was_changed__refused_and_nothing_removed(old):
    with old.admin() as admin:
        admin.execute("ALTER TABLE audit_logs DISABLE TRIGGER ALL")
        admin.execute("UPDATE audit_logs SET action = 'READ' WHERE id IN (SELECT id FROM audit_logs LIMIT 1)")
    with pytest.raises(MoeenError, match="rewritten entry") as error:
        prune(old)
    assert (error.value.exit_code, count(old)) == (FINDINGS, 45)


def test_prune__nothing_old_enough__says_so(fresh):
    with fresh.connect() as owner:
        write(owner, 3)
        make(fresh)
        write(owner, 1)
        make(fresh)
    assert (prune(fresh).entries, count(fresh)) == (0, 4)


# --- writers ----------------------------------------------------------------------------------------------------------


def besieged_by_writers(database, *, seconds, writers=8):
    """Writers of all habits, a sealer and a verifier; returns (seals, entries). Every verification found nothing."""
    ends = time.monotonic() + seconds
    failed = []

    def run(number):
        chance = random.Random(number)
        try:
            with database.connect() as connection:
                while time.monotonic() < ends:
                    habits = chance.choice((plain, rolled_back, savepoints, late, many))
                    habits(connection, chance)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    seals = 0
    while time.monotonic() < ends:
        seals += make(database).seals
        if seals:
            assert verify(database).findings == ()
    for thread in threads:
        thread.join()
    assert failed == []
    make(database)
    found = verify(database)
    with database.connect() as owner:
        ((entries,),) = owner.execute("SELECT count(*) FROM audit_logs").fetchall()
    assert (found.findings, found.unsealed, found.proven) == ((), 0, entries)
    return seals, entries


def plain(connection, chance):
    connection.execute("INSERT INTO patients (first_name, last_name) VALUES ('a', 'b')")
    write(connection, 1)


def rolled_back(connection, chance):
    with connection.transaction(force_rollback=True):
        write(connection, 3)


def savepoints(connection, chance):
    with connection.transaction():
        write(connection, 1)
        with connection.transaction(force_rollback=True):
            write(connection, 2)
        write(connection, 1)


def late(connection, chance):
    """The number is taken long before the end, or long after the beginning."""
    with connection.transaction():
        connection.execute("SELECT pg_current_xact_id()" if chance.random() < 0.5 else "SELECT 1")
        time.sleep(chance.random() * 0.3)
        write(connection, 2)
        time.sleep(chance.random() * 0.3)


def many(connection, chance):
    connection.execute("INSERT INTO patients (first_name, last_name) SELECT n::text, 'b' FROM generate_series(1, 50) n")


def test_make__eight_writers_for_five_seconds__no_false_alarm(fresh):
    seals, entries = besieged_by_writers(fresh, seconds=5)
    assert seals > 3
    assert entries > 100


@pytest.mark.long
def test_make__eight_writers_for_a_minute__no_false_alarm(fresh):
    print(besieged_by_writers(fresh, seconds=60))
