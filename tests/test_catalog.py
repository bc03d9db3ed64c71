"""The catalog: everything that decides what a database is, in a number of queries that no table adds to."""

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from moeen.db import catalog
from moeen.db.catalog import normal
from moeen.db.names import ObjectName
from moeen.db.roles import ROLES
from moeen.db.schema import canonical
from moeen.db.security import trust
from tests import states

A, B = ObjectName("public", "a"), ObjectName("public", "b")


@pytest.fixture(scope="module")
def connection(new_database):
    return connections[states.migrated(new_database).alias]


def whole(connection, **options):
    return catalog.read_whole(connection, roles=ROLES, platform_roles=trust.PLATFORM_ROLES, **options)


def test_read_whole__migrated_database__has_every_kind_of_object(connection):
    found = whole(connection)
    assert found.owner == "moeen"
    assert set(found.schemas) == {"public", "app"}
    assert set(found.roles) == set(ROLES)
    assert found.tables["users"].grants["moeen_admin"]
    assert "SELECT" in found.tables["users"].columns["password_hash"].grants["moeen_auth"]
    assert found.functions["app.generate_public_id(prefix text)"].grants.keys() >= {"moeen_admin"}
    assert found.sequences["django_migrations_id_seq"].column == ObjectName("public", "django_migrations", "id")
    assert "auth.uid()" in found.platform
    assert found.platform_is_ours


def test_read_whole__many_tables_beside__takes_no_more_queries_and_leaves_their_parts_out(connection):
    known = set(whole(connection).tables)
    with transaction.atomic(using=connection.alias):
        with CaptureQueriesContext(connection) as before:
            whole(connection, only=known)
        with connection.cursor() as cursor:
            for number in range(50):
                cursor.execute(f"CREATE TABLE beside_{number} (id int PRIMARY KEY)")
        with CaptureQueriesContext(connection) as after:
            found = whole(connection, only=known)
        transaction.set_rollback(True, using=connection.alias)
    assert len(after) == len(before) <= 16
    assert found.tables["beside_1"].columns == {}
    assert found.tables["users"].columns


def test_read_whole__callers_search_path__stays_as_it_was(connection):
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SET LOCAL search_path = app, public")
        whole(connection)
        cursor.execute("SHOW search_path")
        assert cursor.fetchone() == ("app, public",)


@pytest.mark.parametrize(
    ("shown", "same"),
    [
        (
            "CHECK (((role)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))",
            "CHECK (((role)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])))",
        ),
        ("(ARRAY['it''s'::character varying])::text[]", "ARRAY[('it''s'::character varying)::text]"),
        ("(a > 0)", "(a > 0)"),
    ],
)
def test_expression__written_and_restored__are_one(shown, same):
    assert normal.expression(shown) == normal.expression(same) == same


def test_expression__one_letter_differs__stays_different():
    one = "(ARRAY['a'::character varying])::text[]"
    assert normal.expression(one) != normal.expression(one.replace("'a'", "'b'"))


def test_read_tables__constraint_restored_from_a_dump__is_the_same_as_written(connection):
    """Adoption compares what stands with what the model makes, so it need not replace what only looks otherwise."""
    before = catalog.read_tables(connection, ["users"])["users"].constraints["users_role_check"]
    with transaction.atomic(using=connection.alias):
        with connection.cursor() as cursor:
            shown = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'users_role_check'"
            cursor.execute(shown)
            (written,) = cursor.fetchone()
            cursor.execute("ALTER TABLE users DROP CONSTRAINT users_role_check")
            cursor.execute(f"ALTER TABLE users ADD CONSTRAINT users_role_check {written}")
            cursor.execute(shown)
            (restored,) = cursor.fetchone()
        after = catalog.read_tables(connection, ["users"])["users"].constraints["users_role_check"]
        transaction.set_rollback(True, using=connection.alias)
    assert restored != written
    assert after == before


def test_fingerprint__order_of_columns_and_objects__does_not_matter():
    one = canonical.Form({"table": {A: {"x": 1, "y": 2}, B: {}}}, {}, "", "")
    other = canonical.Form({"table": {B: {}, A: {"y": 2, "x": 1}}}, {}, "me", "18")
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != canonical.Form({"table": {B: {}, A: {"x": 1}}}, {}, "", "").fingerprint
