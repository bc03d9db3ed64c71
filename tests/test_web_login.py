"""The web's own login, made as print_web_role_sql says: known to the validation by its setting, and only so."""

import pytest
from django.core.management import call_command
from django.db import connections

from moeen.db import schema
from moeen.db.access import web_role_sql
from moeen.db.roles import ROLES
from tests import servers

MEMBERS = {(role, "role members") for role in ROLES}


@pytest.fixture(scope="module")
def database(new_database):
    """On a cluster of its own: a login belongs to the whole cluster, and others would meet it."""
    server = servers.start()
    made = new_database(server=server)
    call_command("migrate", database=made.alias, verbosity=0)
    with made.admin() as administrator:
        administrator.execute(
            web_role_sql(login="moeen_web", database=made.name, api=False).replace("PASSWORD '...'", "")
        )
    yield made
    new_database.drop(made)
    servers.stop(server)


def found(database):
    return {(finding.object, finding.kind) for finding in schema.validate(connections[database.alias]).findings}


def test_validate__login_of_the_web__is_known_by_its_setting(database, settings):
    settings.WEB_LOGIN = "moeen_web"
    assert found(database) == set()
    settings.WEB_LOGIN = ""
    assert found(database) == MEMBERS


def test_validate__login_of_the_web_holds_rights_all_the_time__is_found(database, settings):
    settings.WEB_LOGIN = "moeen_web"
    with database.admin() as administrator:
        administrator.execute("ALTER ROLE moeen_web INHERIT")
        # Since PostgreSQL 16 the membership says it, before the role.
        administrator.execute(f"GRANT {', '.join(ROLES)} TO moeen_web WITH INHERIT TRUE")
    assert found(database) == MEMBERS
