"""The web's own login, made as print_web_role_sql says: known to the validation by its setting, and only so."""

from django.db import connections

from moeen.db import schema
from moeen.db.roles import ROLES

MEMBERS = {(role, "role members") for role in ROLES}


def found(database):
    return {(finding.object, finding.kind) for finding in schema.validate(connections[database.alias]).findings}


def test_validate__login_of_the_web__is_known_by_its_setting(web_database, settings):
    settings.WEB_LOGIN = "moeen_web"
    assert found(web_database) == set()
    settings.WEB_LOGIN = ""
    assert found(web_database) == MEMBERS


def test_validate__login_of_the_web_holds_rights_all_the_time__is_found(web_database, settings):
    settings.WEB_LOGIN = "moeen_web"
    grant = f"GRANT {', '.join(ROLES)} TO moeen_web WITH INHERIT"
    with web_database.admin() as administrator:
        administrator.execute("ALTER ROLE moeen_web INHERIT")
        # Since PostgreSQL 16 the membership says it, before the role.
        administrator.execute(f"{grant} TRUE")
        assert found(web_database) == MEMBERS
        administrator.execute(f"ALTER ROLE moeen_web NOINHERIT; {grant} FALSE")
