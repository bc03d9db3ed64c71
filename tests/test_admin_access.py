"""The access room: what a role and a person may do, and why or why not, served over a login that owns nothing."""

import re

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from moeen.db.roles import PEOPLE
from moeen.db.security import identity
from sysadmin import permissions, sessions
from sysadmin.models import User
from tests.access import world as rows
from tests.access.matrix import MATRIX
from tests.access.roads import parse

MOST_QUERIES = 12


@pytest.fixture(scope="module")
def owner(served_database):
    """The owner's own connection, and the rows that the matrix speaks of; pages go through the web's login."""
    with served_database.connect() as connection:
        connection.world = rows.make(connection)
        yield connection


@pytest.fixture(autouse=True)
def serving(owner):
    identity.serve()
    yield
    identity.operate()


def person(owner, name):
    with identity.acting_as_auth():
        return User.objects.get(pk=owner.world.keys["users"][name])


@pytest.fixture
def boss(owner, client):
    user = person(owner, "a1")
    client.force_login(user)
    return user


def public_id(owner, table, label):
    key = owner.world.keys[table][label]
    return owner.execute(f"SELECT public_id FROM {table} WHERE id = %s", [key]).fetchone()[0]


def room(owner, page, name):
    return reverse(f"admin:sysadmin_user_{page}", args=[owner.world.keys["users"][name]])


def got(client, address, query=None):
    """The page's HTML, in few enough queries."""
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(address, query)
    assert answer.status_code == 200
    asked = [each["sql"][:100] for each in captured if not re.match("BEGIN|ROLLBACK|SAVEPOINT|RELEASE", each["sql"])]
    assert len(asked) <= MOST_QUERIES, asked
    return answer.content.decode()


@pytest.mark.parametrize(
    ("language", "said"), [("ar", "ما يُسمح له به بصفة طبيب"), ("en", "What they may do as Doctor")]
)
def test_person__their_room__shows_roles_what_is_theirs_and_what_they_may_do(owner, client, boss, language, said):
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
    html = got(client, room(owner, "access", "d2"))
    assert said in html
    assert 'href="?role=staff"' in html  # held besides
    assert "nurse" in html  # the clinic's own
    assert reverse("admin:healthcare_doctor_change", args=[owner.world.keys["doctors"]["d2"]]) in html
    assert "app.my_doctor_id()" in html
    as_staff = got(client, room(owner, "access", "d2"), {"role": "staff"})
    assert "insurance_claims_update_staff" in as_staff
    assert client.get(room(owner, "access", "d2"), {"role": "admin"}).status_code == 404


@pytest.mark.parametrize("name", ["v1", "s1", "d1", "p1"])
def test_room__whoever_gives_no_roles__may_not_enter(owner, client, name):
    client.force_login(person(owner, name))
    for page in ("access", "why"):
        assert client.get(room(owner, page, name)).status_code == 403
    assert client.post(room(owner, "end_sessions", name)).status_code == 403
    listed = client.get(reverse("admin:sysadmin_user_change", args=[owner.world.keys["users"][name]]))
    assert room(owner, "access", name) not in listed.content.decode()


@pytest.mark.parametrize(
    ("name", "label", "command", "answer", "says"),
    [
        ("d1", "p1", "SELECT", "yes", "patients_select_doctor"),
        ("d1", "p2", "SELECT", "no", "لا توجد سياسة تسمح بهذا السجل."),
        ("d1", "p1", "DELETE", "no", "ليست للدور هذه الصلاحية على الجدول."),
        ("s1", "walk-in", "UPDATE", "yes", "patients_identity_keep"),
    ],
)
def test_why__asked_on_the_page__is_told_in_ones_language(owner, client, boss, name, label, command, answer, says):
    asked = {"row": public_id(owner, "patients", label), "command": command, "column": "", "role": rows.PEOPLE[name]}
    before = owner.execute("SELECT count(*) FROM audit_logs").fetchone()
    html = got(client, room(owner, "why", name), asked)
    assert f'<span class="answer-{answer}">' in html
    assert says in html
    assert owner.execute("SELECT count(*) FROM audit_logs").fetchone() == before  # no clinical text was read for it


def test_why__a_column__is_asked_about_by_itself(owner, client, boss):
    row = public_id(owner, "patients", "p1")
    asked = {"row": row, "command": "UPDATE", "role": "patient"}
    assert 'class="answer-yes"' in got(client, room(owner, "why", "p1"), asked | {"column": "phone"})
    refused = got(client, room(owner, "why", "p1"), asked | {"column": "allergies"})
    assert "لا يُسمح للدور بذلك على هذا العمود." in refused
    unknown = got(client, room(owner, "why", "p1"), asked | {"column": "nothing\0"})
    assert "لا يوجد عمود بهذا الاسم." in unknown or "errorlist" in unknown


@pytest.mark.parametrize("row", ["pat_aaaaaaaaaaaaaaaaaaaaaaaa", "x", "\0", "x" * 101, "ses_'; DROP TABLE users"])
def test_why__no_such_row__is_said_in_the_form(owner, client, boss, row):
    html = got(client, room(owner, "why", "d1"), {"row": row, "command": "SELECT", "column": "", "role": "doctor"})
    assert "errorlist" in html
    assert "answer-" not in html


def test_sessions__on_the_page__are_ended_one_by_one_or_all(owner, client, boss):
    user = person(owner, "s2")
    browsers = [type(client)() for _ in range(3)]
    for browser in browsers:
        browser.force_login(user)
    html = got(client, room(owner, "access", "s2"))
    open_ones = sessions.of(user.pk)
    assert len(open_ones) == 3
    assert all(one.handle in html for one in open_ones)
    first = sessions.handle(browsers[0].session.session_key)
    client.post(room(owner, "end_sessions", "s2"), {"session": first})
    assert {one.handle for one in sessions.of(user.pk)} == {one.handle for one in open_ones} - {first}
    assert browsers[0].get("/admin/").status_code == 302
    assert browsers[1].get("/admin/").status_code == 200
    client.post(room(owner, "end_sessions", "d1"), {"session": sessions.handle(browsers[1].session.session_key)})
    assert len(sessions.of(user.pk)) == 2  # it is somebody else's
    client.post(room(owner, "end_sessions", "s2"))
    assert sessions.of(user.pk) == []


@pytest.mark.parametrize("role", PEOPLE)
def test_role__of_the_system__shows_the_matrix_that_rules(owner, client, boss, role):
    key = owner.world.keys["roles"][f"system {role}"]
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "en"
    answer = client.get(reverse("admin:sysadmin_role_change", args=[key]))
    found = {line.table: {c.command for c in line.cells if c.says} for line in answer.context["matrix"]}
    words = {"S": "See", "I": "Add", "U": "Change", "D": "Delete"}
    wanted = {table: {words[letter] for letter in parse(cells.get(role, ""))} for table, cells in MATRIX.items()}
    assert found == {table: commands for table, commands in wanted.items() if commands}
    assert answer.context["differs"] is False


def test_role__right_taken_and_right_given__stand_out_in_red(owner, client, boss):
    address = reverse("admin:sysadmin_role_change", args=[owner.world.keys["roles"]["system staff"]])
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "en"
    assert 'class="differs"' not in got(client, address)
    owner.execute("REVOKE INSERT ON crm_leads FROM moeen_staff; GRANT SELECT ON sessions TO moeen_staff")
    owner.execute("CREATE POLICY wide ON sessions FOR SELECT TO moeen_staff USING (true)")
    try:
        html = got(client, address)
        assert html.count('<td data-command="Add" class="differs">') == 1
        assert "declared: nothing" in html
        assert "declared: some rows" in html
    finally:
        owner.execute("DROP POLICY wide ON sessions; REVOKE SELECT ON sessions FROM moeen_staff")
        owner.execute("GRANT INSERT ON crm_leads TO moeen_staff")
    assert 'class="differs"' not in got(client, address)


def test_role__of_the_clinics_own__says_that_its_permissions_do_nothing(owner, client, boss):
    owner.execute("UPDATE roles SET permissions = '[\"patients:read:own\", \"bed:make\"]' WHERE name = 'nurse'")
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "en"
    html = got(client, reverse("admin:sysadmin_role_change", args=[owner.world.keys["roles"]["nurse"]]))
    assert "Nothing. What people may do is decided by the five system roles." in html
    assert "Patients: see (their own)" in html or "patients: see (their own)" in html
    assert "not a word that is known" in html


def test_permissions__nothing_in_the_database__asks_for_them(owner):
    """What the page says of them is so: no policy, view or function of ours looks at the column, or it is named."""
    asking = owner.execute(
        """SELECT p.polname FROM pg_depend d JOIN pg_policy p ON p.oid = d.objid
           JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
           WHERE d.classid = 'pg_policy'::regclass AND a.attrelid = 'roles'::regclass AND a.attname = 'permissions'
           UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'app'::regnamespace
             AND prosrc LIKE '%permissions%'"""
    ).fetchall()
    assert {name for (name,) in asking} == set(permissions.ASKED_BY.values())


def test_list__of_roles__counts_usual_and_assigned_holders(owner, client, boss):
    answer = client.get(reverse("admin:sysadmin_role_changelist"))
    found = {role.name: (role.usual_total, role.holder_total) for role in answer.context["cl"].result_list}
    assert found["admin"] == (2, 0)  # one of them deactivated
    assert found["staff"] == (2, 1)
    assert found["nurse"] == (None, len(rows.PEOPLE))
