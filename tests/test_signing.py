"""Keys that sign who a transaction is: their form, their rotation, and what a process without the right one is told."""

import stat
import time

import psycopg
import pytest
from django.db import connections

from moeen.db import secret_files
from moeen.db.errors import ConfigurationError
from moeen.db.security import identity, signing
from tests import servers

PATIENT = identity.person("11111111-1111-4111-8111-111111111111", "patient")


@pytest.fixture
def database(new_database):
    with identity.acting_as_operator():
        made = new_database.migrated()
        yield made
        new_database.drop(made)


def bound(connection, signature, who=PATIENT):
    with connection.transaction(force_rollback=True):
        query = """SELECT set_config('role', %s, true), set_config('request.jwt.claims', %s, true),
                          set_config('moeen.signature', %s, true)"""
        connection.execute(query, [who.role, who.claims, signature])
        return connection.execute("SELECT app.is_bound()").fetchone()[0]


def test_key__text__is_read_back_and_never_shown():
    key = signing.Key.new()
    assert signing.Key.parse(key.text()) == key
    assert key.secret.hex() not in repr(key)
    for text in ("", "x", key.text()[:-1], key.text().upper(), key.text() + "0"):
        with pytest.raises(ConfigurationError) as caught:
            signing.Key.parse(text)
        assert len(text) < 2 or text not in str(caught.value)


def test_signature__each_part_of_it_altered__is_refused(database):
    with database.connect() as owner:
        key = signing.signer_for(owner, configured=None).key
        expiry = int(time.time()) + 60
        good = key.sign(role=PATIENT.role, claims=PATIENT.claims, expiry=expiry)
        assert bound(owner, good) is True
        id_, until, mac = good.split(".")
        stranger = signing.Key.new()
        others = {
            "expired": key.sign(role=PATIENT.role, claims=PATIENT.claims, expiry=int(time.time()) - 1),
            "longer": f"{id_}.{expiry + 60}.{mac}",
            "another role": key.sign(role="moeen_admin", claims=PATIENT.claims, expiry=expiry),
            "other claims": key.sign(role=PATIENT.role, claims=PATIENT.claims + " ", expiry=expiry),
            "unknown key": stranger.sign(role=PATIENT.role, claims=PATIENT.claims, expiry=expiry),
            "another key's name": signing.Key(id_, stranger.secret).sign(
                role=PATIENT.role, claims=PATIENT.claims, expiry=expiry
            ),
            "cut": good[:-1],
            "longer by a digit": good + "0",
            "no number": f"{id_}.999999999x.{mac}",
            "another letter": f"{id_}.{until}.{mac[:-1]}{'0' if mac[-1] != '0' else '1'}",
            "empty": "",
            "a line more": good + "\n",
        }
        assert {name for name, text in others.items() if bound(owner, text)} == set()


def test_keys__rotated__both_are_valid_until_the_older_is_retired(database):
    connection = connections[database.alias]
    (before,) = signing.keys(connection)
    after = signing.Key.new()
    signing.add(connection, after)
    assert signing.keys(connection) == [after, before]
    sign = {"role": PATIENT.role, "claims": PATIENT.claims, "expiry": int(time.time()) + 60}
    with database.connect() as owner:
        assert [bound(owner, key.sign(**sign)) for key in (before, after)] == [True, True]
        assert signing.retire(connection) == [before.id]
        assert [bound(owner, key.sign(**sign)) for key in (before, after)] == [False, True]
        assert signing.signer_for(owner, configured=before).key == after


def test_keys__every_role__may_not_read_them(database):
    with database.connect() as owner:
        for role in ("moeen_admin", "moeen_auth", "moeen_service", "moeen_anon"):
            with owner.transaction(force_rollback=True):
                owner.execute("SELECT set_config('role', %s, true)", [role])
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    owner.execute("SELECT secret FROM app.identity_keys")


def test_signer__clock_of_another_machine__signs_by_the_servers(database, monkeypatch):
    with database.connect() as owner:
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() - 86_400)
        signer = signing.signer_for(owner, configured=None)
        assert 86_300 < signer.offset < 86_500
        assert bound(owner, signer.sign(role=PATIENT.role, claims=PATIENT.claims)) is True


def test_key_file__kept__is_the_owners_alone_and_follows_a_rotation(database):
    connection, path = connections[database.alias], servers.scratch() / "identity_key"
    signing.keep(connection, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert signing.Key.parse(secret_files.read(path)) == signing.keys(connection)[0]
    signing.add(connection, signing.Key.new())
    signing.keep(connection, path)
    assert signing.Key.parse(secret_files.read(path)) == signing.keys(connection)[0]


def test_key_file__two_places_of_data__have_one_each():
    folder = servers.scratch()
    places = [None, folder / "one", folder / "two"]
    assert len({signing.key_file(folder, data_dir=place) for place in places}) == 3


def test_binding__statement__is_seen_without_claims_and_signature(database):
    with identity.bound(PATIENT), connections[database.alias].cursor() as cursor:
        cursor.execute("SELECT 1")
    with database.connect() as owner:
        texts = owner.execute("SELECT query FROM pg_stat_activity WHERE datname = current_database()").fetchall()
    seen = " ".join(text for (text,) in texts)
    assert "set_config" in seen or "COMMIT" in seen
    assert "11111111" not in seen


def test_signer__login_without_a_key__is_told_where_it_comes_from(database):
    with database.connect() as owner:
        owner.execute("SELECT set_config('role', 'moeen_patient', false)")
        with pytest.raises(signing.NotPrepared) as caught:
            signing.signer_for(owner, configured=None)
    assert "rotate_identity_key" in caught.value.next_step


def test_rotate_command__new_print_retire__say_what_to_set(database, manage):
    def run(*words):
        done = manage("rotate_identity_key", *words, DATABASE_URL=database.url)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    first = run("--print")
    assert signing.Key.parse(first.removeprefix("IDENTITY_KEY="))
    second = run()
    assert second != first
    assert run("--print") == second
    assert run("--retire") == f"Retired: {first.removeprefix('IDENTITY_KEY=')[:8]}."
    assert run("--retire") == "There is one key, and it stays."
