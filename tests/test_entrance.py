"""Clinics beside each other on one server: who may connect to which database, and what one knows of the other."""

import json
import re

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections, transaction

from moeen.db import entrance, schema
from moeen.db.kinds import Kind
from moeen.db.roles import API_ROLES, ROLES
from moeen.db.security import access
from tests import servers

DATABASE = {Kind.DATABASE_CONNECT, Kind.DATABASE_TEMPORARY, Kind.DATABASE_CREATE}
DENIED = psycopg.OperationalError


class Clinic:
    """A database of an owner without CREATEROLE, to whom an administrator granted the roles; with a web's login."""

    def __init__(self, new_database, server, name):
        self.owner, self.web, self.api = f"{name}_owner", f"{name}_web", f"{name}_api"
        with servers.target_of(server).connect() as admin:
            admin.execute(f"CREATE ROLE {self.owner} LOGIN")
        self.database = new_database(server=server, owner=self.owner)
        self.name = self.database.name

    def migrate(self, manage):
        return manage("migrate", DATABASE_URL=self.database.url)

    def make_logins(self):
        """As print_web_role_sql says, and one as PostgREST's of this clinic's own."""
        with self.database.admin() as admin:
            admin.execute(
                access.web_role_sql(login=self.web, database=self.name, api=False).replace("PASSWORD '...'", "")
            )
            admin.execute(f"CREATE ROLE {self.api} LOGIN NOINHERIT; GRANT {', '.join(API_ROLES)} TO {self.api}")
            admin.execute(f'GRANT CONNECT ON DATABASE "{self.name}" TO {self.api}')
        with self.database.connect() as owner:
            owner.execute("INSERT INTO patients (first_name, last_name) VALUES ('of', current_database())")

    def rows(self, *, user, role):
        with self.database.connect(user=user) as connection, connection.transaction():
            connection.execute(f"SET LOCAL ROLE {role}")
            return connection.execute("SELECT current_user").fetchone()[0]

    def findings(self):
        connection = connections[self.database.alias]
        try:
            return schema.validate(connection, advice=True).findings
        finally:
            connection.close()


@pytest.fixture(scope="module")
def server(server_versions):
    """A cluster of its own of each version, for its roles."""
    made = servers.start(bin_dir=server_versions.bin_dir, shape=None)
    yield made
    servers.stop(made)


def grants(stderr):
    return [line.strip() for line in stderr.splitlines() if line.strip().endswith(";")]


@pytest.fixture(scope="module")
def two(new_database, server):
    return [Clinic(new_database, server, name) for name in ("north", "south")]


@pytest.fixture(scope="module")
def told(two, manage):
    """Both are migrated, the second one with the roles that the first one's administrator made."""
    outcomes = []
    for clinic in two:
        refused = clinic.migrate(manage)
        assert refused.returncode == 3, refused.stderr
        assert "Nothing was changed" in refused.stderr
        with clinic.database.connect() as owner:
            assert owner.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
        with clinic.database.admin() as admin:
            for statement in grants(refused.stderr):
                admin.execute(statement)
        done = clinic.migrate(manage)
        assert done.returncode == 0, done.stderr
        clinic.make_logins()
        outcomes.append((refused.stderr, done.stderr))
    return outcomes


def test_migrate__roles_of_a_neighbour_stand__only_the_grant_is_asked_for(two, told):
    (first, _), (second, _) = told
    assert len(grants(first)) == len(ROLES) + 1
    (statement,) = grants(second)
    assert statement.startswith("GRANT ")
    assert two[1].owner in statement


def test_connect__to_the_neighbours_database__is_refused_on_every_road(two, told):
    for mine, other in (two, two[::-1]):
        for login in (mine.owner, mine.web, mine.api):
            with pytest.raises(DENIED, match="permission denied for database"):
                other.database.connect(user=login)
        for login, role in ((mine.owner, "moeen_admin"), (mine.web, "moeen_admin"), (mine.api, "moeen_patient")):
            assert mine.rows(user=login, role=role) == role


def test_database__its_own_login__may_make_no_temporary_table(two, told):
    for clinic in two:
        for login in (clinic.web, clinic.api):
            with (
                clinic.database.connect(user=login) as connection,
                pytest.raises(psycopg.errors.InsufficientPrivilege, match="temporary"),
            ):
                connection.execute("CREATE TEMP TABLE internal_messages (id int)")
        with clinic.database.connect() as owner:
            owner.execute("CREATE TEMP TABLE mine (id int)")


def test_validate__beside_a_neighbour__speaks_of_none_of_its_logins(two, told, settings):
    for mine, other in (two, two[::-1]):
        settings.WEB_LOGIN = mine.web
        found = mine.findings()
        words = json.dumps([finding.as_dict() for finding in found])
        for login in (other.owner, other.web, other.api):
            assert login not in words
        # This one is no setting's, and may connect here.
        expected = {("role members", mine.api)}
        if connections[mine.database.alias].pg_version < 160000:  # there CREATEROLE gives itself any role
            assert [f.object for f in found if f.kind == "powerful login"] == ["moeen CREATEROLE"]
            expected |= {("powerful login", "a login with it")}
        assert {(f.kind, f.found) for f in found} == expected


def test_validate__neighbours_may_connect__closes_the_database_and_takes_nothing_from_them(two, told, settings):
    mine, other = two
    settings.WEB_LOGIN = mine.web
    with mine.database.connect() as owner:
        owner.execute(f'GRANT CONNECT, TEMPORARY ON DATABASE "{mine.name}" TO PUBLIC')
        found = [finding for finding in mine.findings() if finding.kind in DATABASE]
        assert [(finding.object, finding.kind) for finding in found] == [
            (mine.name, "database CONNECT"),
            (mine.name, "database TEMPORARY"),
        ]
        assert {str(finding.severity) for finding in found} == {"unsafe"}
        assert other.owner in found[0].found
        script = "\n".join(finding.fix.pretty() for finding in mine.findings() if finding.kind != "role members")
        assert not any(login in script for login in (other.owner, other.web, other.api))
        for finding in found:
            owner.execute(finding.fix.pretty())
        assert [finding for finding in mine.findings() if finding.kind in DATABASE] == []
        owner.execute(f'GRANT CONNECT ON DATABASE "{mine.name}" TO {other.owner}')
        (known,) = [finding for finding in mine.findings() if finding.kind is Kind.NEIGHBOURS_LOGIN]
        assert known.object == other.owner
        owner.execute(known.fix.pretty())
    for login in (mine.owner, mine.web, mine.api):
        mine.database.connect(user=login).close()
    with pytest.raises(DENIED):
        mine.database.connect(user=other.web)


def test_validate__database_of_another__says_who_may_close_it(two, told, settings):
    clinic = two[0]
    settings.WEB_LOGIN = clinic.web
    with clinic.database.admin() as admin:
        admin.execute(f'ALTER DATABASE "{clinic.name}" OWNER TO postgres')
        admin.execute(f'GRANT CONNECT, TEMPORARY ON DATABASE "{clinic.name}" TO PUBLIC')
        try:
            found = [finding for finding in clinic.findings() if finding.kind in DATABASE]
            assert all(finding.fix.is_advice for finding in found)
            assert f'REVOKE CONNECT, TEMPORARY ON DATABASE "{clinic.name}" FROM PUBLIC' in found[0].fix.pretty()
            assert clinic.owner in found[0].fix.pretty()
            assert "-- as postgres" in found[0].fix.pretty()
        finally:
            admin.execute(f'REVOKE CONNECT, TEMPORARY ON DATABASE "{clinic.name}" FROM PUBLIC')
            admin.execute(f'ALTER DATABASE "{clinic.name}" OWNER TO {clinic.owner}')


def test_migrate__logins_that_lose_the_way_in__are_told_and_recorded(two, told):
    """The first one met the owner of the second; both stand in the plan, on the terminal and in the ledger."""
    first, second = two
    with first.database.connect() as owner:
        (note,) = owner.execute("SELECT note FROM migration_steps WHERE name = '0010_database'").fetchone()
    for text in (told[0][1], note):
        (losing,) = re.findall(r"May connect no more: ([^;]*);", text)
        assert second.owner in losing.split(", ")


@pytest.mark.slow
def test_drop__one_clinic__leaves_the_others_whole(two, told, server, manage, settings, new_database):
    gone, stays = Clinic(new_database, server, "east"), two[0]
    settings.WEB_LOGIN = stays.web
    with gone.database.admin() as admin:
        admin.execute(f"GRANT {', '.join(ROLES)} TO {gone.owner}")
    done = gone.migrate(manage)
    assert done.returncode == 0, done.stderr
    gone.make_logins()
    before = stays.findings()
    words = ["migrate", "sysadmin", "zero", "--no-input", "--no-backup", "test"]
    back = manage(*words, DATABASE_URL=gone.database.url)
    assert back.returncode == 0, back.stderr
    gone.database.connect(user=stays.web).close()  # the way back opens it again
    new_database.drop(gone.database)
    with stays.database.admin() as admin:
        for login in (gone.owner, gone.web, gone.api):
            admin.execute(f"DROP ROLE {login}")
    assert stays.findings() == before
    for login, role in ((stays.owner, "moeen_admin"), (stays.web, "moeen_staff"), (stays.api, "moeen_patient")):
        assert stays.rows(user=login, role=role) == role


# --- whose logins -------------------------------------------------------------------------------------------------


@pytest.fixture
def alone(new_database, server_versions):
    server = servers.start(bin_dir=server_versions.bin_dir, shape=None)
    yield server, new_database(server=server)
    servers.stop(server)


def test_look__logins_of_every_kind__own_ones_are_named(alone, new_database, settings):
    server, database = alone
    settings.WEB_LOGIN = "web"
    call_command("migrate", database=database.alias, verbosity=0)
    new_database(server=server, owner="postgres", name="elsewhere")
    with database.admin() as admin:
        admin.execute("CREATE ROLE group_of_readers; CREATE ROLE member LOGIN NOINHERIT IN ROLE group_of_readers")
        for login in ("web", "reader", "acting", "stranger", "neighbour", "let_in", "reading_neighbour"):
            admin.execute(f"CREATE ROLE {login} LOGIN")
        admin.execute("CREATE ROLE root LOGIN SUPERUSER")
        admin.execute("GRANT SELECT ON settings TO group_of_readers, reader, reading_neighbour")
        admin.execute("GRANT moeen_staff TO acting, neighbour, let_in")
        admin.execute("CREATE DATABASE another OWNER neighbour")
        admin.execute("GRANT CONNECT ON DATABASE elsewhere TO let_in")
        admin.execute("CREATE DATABASE further OWNER reading_neighbour")
        admin.execute(f'GRANT CONNECT, TEMPORARY ON DATABASE "{database.name}" TO PUBLIC')
    try:
        found = entrance.look(connections[database.alias])
        assert found.own == ("acting", "member", "reader", "web")
        assert found.losing == ("let_in", "neighbour", "reading_neighbour", "stranger")
        with database.admin() as admin:  # another clinic on the server: whose is a member of our roles?
            admin.execute("CREATE DATABASE clinic")
            with psycopg.connect(database.target.url("clinic"), autocommit=True) as clinic:
                clinic.execute("CREATE TABLE t (); GRANT SELECT ON t TO moeen_staff")
        assert entrance.look(connections[database.alias]).own == ("member", "reader", "web")
    finally:
        connections[database.alias].close()


def test_look__on_a_platforms_cluster__every_login_but_neighbours_is_its_own(alone):
    _, database = alone
    with database.admin() as admin:
        for role in ("anon", "authenticated", "service_role"):
            admin.execute(f"CREATE ROLE {role}")
        for login in ("authenticator", "supabase_auth_admin", "dashboard", "neighbour"):
            admin.execute(f"CREATE ROLE {login} LOGIN")
        admin.execute("CREATE DATABASE another OWNER neighbour")
        admin.execute("GRANT CONNECT ON DATABASE another TO authenticator")
    found = entrance.look(connections[database.alias])
    assert found.own == ("authenticator", "dashboard", "supabase_auth_admin")
    assert found.losing == ("neighbour",)
    connections[database.alias].close()


def test_operation__forwards_and_back__changes_what_public_may(new_database):
    database = new_database()
    connection = connections[database.alias]
    operation = entrance.CloseDatabase()
    with transaction.atomic(using=database.alias), connection.schema_editor() as editor:
        operation.database_forwards("sysadmin", editor, None, None)
        assert entrance.look(connection).public == ()
        assert entrance.look(connection).actions() == []
        operation.database_backwards("sysadmin", editor, None, None)
        assert entrance.look(connection).public == ("CONNECT", "TEMPORARY")
    with connection.schema_editor(collect_sql=True) as editor:
        operation.database_forwards("sysadmin", editor, None, None)
    # Who is let in first only the database itself knows.
    assert editor.collected_sql == ["-- REVOKE CONNECT, TEMPORARY ON DATABASE FROM PUBLIC, where it is the owner's;"]
    connection.close()
    new_database.drop(database)
