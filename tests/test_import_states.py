"""Older generations of databases, by the mappings in docs/import: nothing is lost, old ids and passwords work."""

import tomllib
from decimal import Decimal

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import ProgrammingError, connections
from django.urls import reverse

from healthcare.models import Doctor, Patient
from moeen.db import importing, public_ids
from moeen.db.importing.mapping import MappingError
from moeen.db.security import identity
from sysadmin.models import User
from tests import generations, servers

SAME = tomllib.loads((generations.SCRIPTS / "nothing_lost.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def imported(new_database, tmp_path_factory):
    """`imported(name, server)` -> (source, database) on that server, the latter with an import of the former."""
    made = {}

    def make(name, server):
        if (name, server.bin_dir) not in made:
            source = generations.source(new_database, name, server=server)
            target = new_database.migrated(server=server)
            receipt = generations.run(source, target, generations.mapping_of(name), tmp_path_factory.mktemp(name))
            assert receipt.ok
            assert [one.counts.refused for one in receipt.tables] == [0] * len(receipt.tables)
            made[name, server.bin_dir] = source, target
        return made[name, server.bin_dir]

    return make


def rows(database, statement):
    with database.connect(options="-c row_security=off -c TimeZone=UTC") as connection:
        return sorted(repr([plain(value) for value in row]) for row in connection.execute(statement).fetchall())


def plain(value):
    """A number is the same whatever digits it was written with."""
    return value.normalize() if isinstance(value, Decimal) else value


@pytest.mark.parametrize("name", generations.NAMES)
def test_generation__its_mapping__loses_nothing(imported, server_versions, name):
    source, target = imported(name, server_versions)
    assert set(SAME) == set(generations.NAMES)
    for words in SAME[name].values():
        theirs = rows(source, words["source"])
        assert len(theirs) > 1
        assert rows(target, words["target"]) == theirs


@pytest.fixture(scope="module")
def here(imported):
    """`here(name)`: the same on the session's server: what is asked does not depend on the version."""
    return lambda name: imported(name, servers.session_target().server)


def test_public_id__of_any_form__leads_to_its_row_for_ever(here):
    source, target = here("uuid_codes")
    with source.connect() as connection:
        ((patient, code, account),) = connection.execute(
            "SELECT p.id, patient_code, user_code FROM people AS p JOIN accounts USING (account_id) LIMIT 1"
        ).fetchall()
    with identity.acting_as_operator():
        patients = Patient.objects.using(target.alias)
        assert patients.get_by_public_id(code).pk == patient
        assert public_ids.look_up(code, using=target.alias) == patients.get(pk=patient)
        assert isinstance(public_ids.look_up(account, using=target.alias), User)
        for text in (code.lower(), code + "0", account, "", "\0", "\ud800", "x" * 256, None):
            with pytest.raises(Patient.DoesNotExist):
                patients.get_by_public_id(text)
        with pytest.raises(Doctor.DoesNotExist):
            Doctor.objects.using(target.alias).get_by_public_id(code)
        for text in (code + "0", "", None):
            with pytest.raises(ObjectDoesNotExist):
                public_ids.look_up(text, using=target.alias)
    with identity.bound(identity.SERVICE):  # who may read patients, but no aliases
        assert Patient.objects.using(target.alias).get_by_public_id(code).pk == patient
        assert public_ids.look_up(code, using=target.alias).pk == patient
    told = set()
    for text in (code, code + "0"):  # who may read no patients is told the same of both
        with identity.bound(identity.ANONYMOUS):
            with pytest.raises(ProgrammingError):
                Patient.objects.using(target.alias).get_by_public_id(text)
            with pytest.raises(ObjectDoesNotExist) as error:
                public_ids.look_up(text, using=target.alias)
            told.add((error.type, str(error.value)))
    assert len(told) == 1


def test_public_id__of_a_row_that_shares_its_key_with_another__leads_to_the_table_it_was_of(here):
    _, target = here("shared_keys")
    with target.connect() as connection, connection.transaction(force_rollback=True):
        ((key,),) = connection.execute("SELECT min(id::text)::uuid FROM patients").fetchall()
        connection.execute(
            "INSERT INTO public_id_aliases (alias, table_name, row_id) VALUES ('U 1/2', 'users', %s)", [key]
        )
        found = connection.execute("SELECT * FROM app.bearer_of_alias('U 1/2')").fetchall()
        assert found == [("users", key)]
        plan = connection.execute(
            "SET LOCAL enable_seqscan = off; EXPLAIN SELECT FROM public_id_aliases AS a WHERE a.alias = 'x'::text"
        )
        plan.nextset()
        assert "Index" in plan.fetchone()[0]


def test_password__of_the_old_platform__signs_in_and_is_hashed_anew(here):
    _, target = here("shared_keys")
    with identity.acting_as_operator():
        user = User.objects.using(target.alias).get(email="person1@example.test")
        assert user.password.startswith("$2a$08$")
        assert not user.check_password("another")
        assert user.check_password("old-password-2019")
        user.refresh_from_db()
        assert not user.password.startswith("$2a$")
        assert user.check_password("old-password-2019")


def test_password__of_the_old_platform__signs_in_by_the_page(here, as_default, client):
    _, target = here("shared_keys")
    with as_default(target):
        for password, status in (("another", 200), ("old-password-2019", 302)):
            words = {"username": "person12@example.test", "password": password, "next": "/admin/"}
            assert client.post(reverse("admin:login"), words).status_code == status
        assert client.get("/admin/").status_code == 200


def test_password__that_the_role_may_not_read__is_told_with_its_line(here):
    source, target = here("shared_keys")
    with source.admin() as connection:
        connection.execute(
            "CREATE ROLE import_reader LOGIN; GRANT USAGE ON SCHEMA auth TO import_reader;"
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO import_reader;"
            "GRANT SELECT (id, email) ON auth.users TO import_reader"
        )
    try:
        url = source.target.url(source.name, user="import_reader")
        with (
            identity.acting_as_operator(),
            pytest.raises(MappingError, match=r"shared_keys.toml, line 7: .*permission denied for table users"),
        ):
            importing.check(connections[target.alias], url, generations.mapping_of("shared_keys"), told=lambda *_: None)
    finally:
        with source.admin() as connection:
            connection.execute("DROP OWNED BY import_reader; DROP ROLE import_reader")


OTHERS = [generations.SCRIPTS / "others" / f"{name}.sql" for name in ("schemas", "slots")]
OTHERS += [generations.SCRIPTS / "unseen" / f"{name}.sql" for name in ("access", "branches", "hopital")]


@pytest.mark.parametrize("script", OTHERS, ids=lambda script: script.stem)
def test_database__of_another_shape__comes_over_and_again_as_it_is(new_database, tmp_path, script):
    """Names with blanks, capitals and accents; keys of several columns; soft deletes in several schemas."""
    source, target = new_database(), new_database.migrated()
    with source.connect() as connection:
        connection.execute(script.read_text(encoding="utf-8"))
    first = generations.run(source, target, script.with_suffix(".toml"), tmp_path)
    second = generations.run(source, target, script.with_suffix(".toml"), tmp_path)
    for receipt in (first, second):
        assert receipt.ok
        assert all(one.counts.read == one.standing.rows > 0 for one in receipt.tables)
    assert all(one.counts.read == one.counts.same for one in second.tables)
    new_database.drop(source)
    new_database.drop(target)
