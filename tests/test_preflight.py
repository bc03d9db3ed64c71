"""Rights that are missing are all named before anything is changed, each with the statement that mends it."""

import pytest
from django.core.management import call_command
from django.db import connections

from moeen.db import catalog
from moeen.db.errors import FINDINGS
from moeen.db.migrate import adoption_report, preflight
from moeen.db.migrate.refusals import AnotherApplication
from tests import servers, states


@pytest.fixture
def guest(new_database):
    """A database and the name of a login that may do nothing there."""
    if servers.session_target().server is None:
        pytest.skip("needs a server of one's own: DATABASE_URL's may not let us make logins")
    database = new_database()
    name = f"guest_{database.name}"
    with database.admin() as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN")
    yield database, name
    with database.admin() as connection:
        connection.execute(f"DROP OWNED BY {name} CASCADE")
        connection.execute(f"DROP ROLE {name}")
    new_database.drop(database)


def grants(stderr):
    lines = stderr.split("Let an administrator run:\n", 1)[1].splitlines()
    return [line.strip() for line in lines if line.strip().endswith(";")]


def test_migrate__role_without_rights__names_every_grant_and_works_when_they_are_given(guest, manage):
    database, name = guest
    url = database.target.url(database.name, user=name)
    refused = manage("migrate", DATABASE_URL=url)
    assert refused.returncode == 3
    assert "Nothing was changed" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert catalog.read(connections[database.alias]).tables == {}
    with database.admin() as connection:
        for statement in grants(refused.stderr):
            connection.execute(statement)
    done = manage("migrate", DATABASE_URL=url)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_migrate__tables_of_another_owner__asks_for_the_least_and_works_when_it_is_given(new_database, guest, manage):
    _, name = guest
    database = states.database(new_database, "core")
    url = database.target.url(database.name, user=name)
    refused, planned = manage("migrate", DATABASE_URL=url), manage("migrate", "--plan", DATABASE_URL=url)
    assert (refused.returncode, planned.returncode) == (3, 3), planned.stderr
    # Whoever may do what the owner may needs no further right in the database.
    membership, *roles = grants(refused.stderr)
    assert membership == f'GRANT "moeen" TO "{name}";'
    assert [line for line in roles if "moeen_anon" not in line] == []
    assert grants(planned.stderr) == [membership, *roles]
    assert "table patients: membership in moeen" in refused.stderr
    with database.admin() as connection:
        for statement in (membership, *roles):
            connection.execute(statement)
    done = manage("migrate", "--no-backup", "test", DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    with database.admin() as connection:
        connection.execute(f"REASSIGN OWNED BY {name} TO moeen; DROP OWNED BY {name}")
    new_database.drop(database)


def test_migrate__member_that_inherits_nothing__is_told_what_gives_it_the_rights(new_database, guest, manage):
    _, name = guest
    database = states.database(new_database, "core")
    with database.admin() as admin:
        admin.execute(f"ALTER ROLE {name} NOINHERIT; GRANT moeen TO {name}")
        refused = manage("migrate", DATABASE_URL=database.target.url(database.name, user=name))
        assert refused.returncode == 3
        assert "table patients: membership in moeen" in refused.stderr
        for statement in grants(refused.stderr):
            admin.execute(statement)
        assert admin.execute("SELECT pg_has_role(%s, 'moeen', 'USAGE')", [name]).fetchone() == (True,)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "WIN1256"])
def test_migrate__database_of_another_encoding__is_refused_with_the_way(new_database, manage, encoding):
    database = new_database()
    with database.target.connect() as server:
        server.execute(f"DROP DATABASE {database.name}")
        server.execute(
            f"CREATE DATABASE {database.name} OWNER {database.owner} TEMPLATE template0 ENCODING '{encoding}'"
            " LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    with database.connect() as connection:
        connection.execute("CREATE TABLE users (id uuid PRIMARY KEY)")
    for way in (("migrate",), ("migrate", "--plan")):
        refused = manage(*way, DATABASE_URL=database.url)
        assert refused.returncode == 3, refused.stderr
        assert encoding in refused.stderr
        assert "ENCODING 'UTF8'" in refused.stderr


def test_migrate__database_of_another_application__is_asked_about_before_anything_changes(new_database):
    database = new_database()
    words = {"database": database.alias, "verbosity": 0, "no_backup": "test", "no_rehearsal": "test", "plan": True}
    with database.connect() as connection:
        connection.execute("CREATE TABLE shop_orders (id int); CREATE TABLE django_session (session_key text)")
        for changing in ({}, {"plan": False}):
            with pytest.raises(AnotherApplication, match="shop_orders") as refused:
                call_command("migrate", **words | changing)
            assert refused.value.exit_code == FINDINGS
            assert "--yes-here" in refused.value.next_step
        with pytest.raises(AnotherApplication):
            adoption_report.report(connections[database.alias])
        assert set(catalog.read(connections[database.alias]).tables) == {"django_session", "shop_orders"}
        preflight.refuse_another_application(connections[new_database.migrated().alias])
        connection.execute("DROP TABLE shop_orders")
        preflight.refuse_another_application(connections[database.alias])
    call_command("migrate", **words, yes_here=True)
    new_database.drop(database)
