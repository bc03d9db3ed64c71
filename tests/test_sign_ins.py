"""Sign-ins in the audit log: who came and went, in which role, who tried and could not; or it does not happen."""

import time

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import hashers
from django.db import DatabaseError, connection
from django.test import Client
from django.urls import reverse

from moeen import sessions
from moeen.db.security import identity
from sysadmin.models import AuditLog, Role, User, UserRole
from sysadmin.sessions import SessionStore
from tests import factories

pytestmark = pytest.mark.django_db
FROM = {"REMOTE_ADDR": "203.0.113.7", "HTTP_USER_AGENT": "Browser/1", "HTTP_X_REQUEST_ID": "request-0001"}


@pytest.fixture(autouse=True)
def few_tries(settings, tmp_path):
    settings.CACHE_DIR = tmp_path
    settings.SIGN_IN_TRIES = 3


@pytest.fixture
def person():
    return factories.user(email="noor@example.com", password=factories.PASSWORD, role="admin")


def sign_in(client, email, password):
    return client.post(reverse("admin:login"), {"username": email, "password": password, "next": "/admin/"}, **FROM)


def told(*actions):
    """(action, actor, whom it concerns, before, after) of the entries since the last call's, oldest first."""
    found = AuditLog.objects.filter(action__in=actions or KINDS).order_by("created_at")
    return [(e.action, e.user_id, e.record_id, e.old_values, e.new_values) for e in found]


KINDS = (
    "SIGNED_IN", "SIGNED_OUT", "ROLE_SWITCHED", "PASSWORD_CHANGED", "SESSION_ENDED", "SIGN_IN_FAILED",
    "SIGN_IN_LOCKED_OUT",
)  # fmt: skip


def test_sign_in_and_out__of_a_person__are_entries_with_where_they_came_from(client, person):
    assert sign_in(client, "Noor@Example.com", factories.PASSWORD).status_code == 302
    client.post(reverse("admin:logout"), **FROM)
    assert told() == [
        ("SIGNED_IN", person.pk, person.pk, None, None),
        ("SIGNED_OUT", person.pk, person.pk, None, None),
    ]
    for entry in AuditLog.objects.filter(action__in=KINDS):
        assert (entry.acted_as, entry.table_name, entry.ip_address) == ("auth", "users", FROM["REMOTE_ADDR"])
        assert (entry.user_agent, entry.request_id) == (FROM["HTTP_USER_AGENT"], FROM["HTTP_X_REQUEST_ID"])
    (last_login,) = AuditLog.objects.filter(action="UPDATE", table_name="users", new_values__has_key="last_login")
    assert last_login.user_id == person.pk


def test_sign_in__failed__tells_account_and_address_and_never_a_password(client, person):
    for typed in ("NOOR@example.com", "nobody@example.com", "my-s3cret-Password", "P@ssw0rd1"):
        sign_in(client, typed, "wrong-s3cret")
    assert [(record, after) for _, _, record, _, after in told("SIGN_IN_FAILED")] == [
        (person.pk, {"account": "NOOR@example.com"}),
        (None, {"account": "nobody@example.com"}),
        (None, {"account": "[no e-mail address]"}),
        (None, {"account": "[no e-mail address]"}),
    ]
    assert set(AuditLog.objects.filter(action="SIGN_IN_FAILED").values_list("ip_address", flat=True)) == {
        FROM["REMOTE_ADDR"]
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(a::text, ' ') FROM audit_logs AS a")
        text = cursor.fetchone()[0]
    assert not [secret for secret in ("s3cret", "P@ssw0rd1", factories.PASSWORD) if secret in text]


def test_sign_in__too_often__is_told_as_a_lock_out_and_bounded(client, person, settings):
    for _ in range(3):
        sign_in(client, person.email, "wrong")
    assert sign_in(client, person.email, factories.PASSWORD).status_code == 200
    assert [action for action, *_ in told()] == ["SIGN_IN_FAILED"] * 3 + ["SIGN_IN_LOCKED_OUT"]
    settings.SIGN_IN_TRIES = 10_000
    for _ in range(25):
        sign_in(client, person.email, "wrong")
    failures = told("SIGN_IN_FAILED")
    assert len(failures) == 20
    assert "more" in failures[-1][-1]
    assert sign_in(client, person.email, factories.PASSWORD).status_code == 302
    assert told("SIGNED_IN")


@pytest.mark.parametrize("typed", [factories.PASSWORD, "wrong"])
def test_sign_in__cannot_be_recorded__does_not_happen(client, person, typed):
    with identity.acting_as_operator(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_logs ADD CONSTRAINT obstacle CHECK (action NOT LIKE 'SIGN%') NOT VALID")
    with pytest.raises(DatabaseError):
        sign_in(client, person.email, typed)
    assert client.get("/admin/").status_code == 302
    assert told() == []
    assert User.objects.get(pk=person.pk).last_login is None


def test_role__switched__tells_from_which_to_which(client, person):
    UserRole.objects.create(user=person, role=Role.objects.get(name="staff"))
    client.force_login(person)
    client.post(reverse("admin:switch_role"), {"role": "staff"})
    client.post(reverse("admin:switch_role"), {"role": "admin"})
    assert told("ROLE_SWITCHED") == [
        ("ROLE_SWITCHED", person.pk, person.pk, {"role": "admin"}, {"role": "staff"}),
        ("ROLE_SWITCHED", person.pk, person.pk, {"role": "staff"}, {"role": "admin"}),
    ]


def test_password__changed_by_oneself_or_an_administrator__says_who(client, person):
    other = factories.user(password=factories.PASSWORD)
    client.force_login(person)
    passwords = {"new_password1": "a-Longer-secret-77", "new_password2": "a-Longer-secret-77"}
    client.post(reverse("admin:password_change"), {"old_password": factories.PASSWORD, **passwords})
    passwords = {"password1": "a-Longer-secret-78", "password2": "a-Longer-secret-78"}
    client.post(reverse("admin:auth_user_password_change", args=[other.pk]), passwords)
    changed = told("PASSWORD_CHANGED")
    assert changed == [
        ("PASSWORD_CHANGED", person.pk, person.pk, None, None),
        ("PASSWORD_CHANGED", person.pk, other.pk, None, None),
    ]


def test_password__hashed_anew_at_a_sign_in__was_not_changed(client, person, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher", *settings.PASSWORD_HASHERS]
    hashers.get_hashers.cache_clear()
    before = User.objects.get(pk=person.pk).password
    assert sign_in(client, person.email, factories.PASSWORD).status_code == 302
    assert User.objects.get(pk=person.pk).password != before
    assert told("PASSWORD_CHANGED") == []


@pytest.mark.parametrize(("seconds", "why"), [(1801, "idle"), (13 * 3600, "idle")])
def test_session__left_alone__has_ended_of_itself(client, person, monkeypatch, seconds, why):
    client.force_login(person)
    now = time.time() + seconds
    monkeypatch.setattr(sessions.time, "time", lambda: now)
    assert client.get("/admin/", **FROM).status_code == 302
    assert told("SESSION_ENDED", "SIGNED_OUT") == [("SESSION_ENDED", None, person.pk, None, {"why": why})]
    entry = AuditLog.objects.get(action="SESSION_ENDED")
    assert (entry.ip_address, entry.request_id) == (FROM["REMOTE_ADDR"], FROM["HTTP_X_REQUEST_ID"])


def test_session__of_a_day_s_work__has_ended_of_itself(client, person, monkeypatch, settings):
    client.force_login(person)
    now = time.time() + 1000
    monkeypatch.setattr(sessions.time, "time", lambda: now)
    settings.SESSION_COOKIE_AGE = 900
    assert client.get("/admin/").status_code == 302
    assert told("SESSION_ENDED") == [("SESSION_ENDED", None, person.pk, None, {"why": "old"})]


@pytest.mark.parametrize(
    ("why", "change"),
    [
        ("administrator", {"action": "end_sessions", "_selected_action": "{other}"}),
        ("deactivated", {"email": "other@example.com", "name": "", "phone": "", "role": "staff"}),
        ("password changed", {"password1": "a-Longer-secret-78", "password2": "a-Longer-secret-78"}),
        ("deleted", {"post": "yes"}),
    ],
)
def test_session__ended_by_an_administrator__at_once(client, person, why, change):
    other = factories.user(email="other@example.com", password=factories.PASSWORD, role="staff")
    theirs, own = Client(), Client()
    theirs.force_login(other)
    own.force_login(factories.user(role="staff"))
    client.force_login(person)
    page = {
        "administrator": reverse("admin:sysadmin_user_changelist"),
        "deactivated": reverse("admin:sysadmin_user_change", args=[other.pk]),
        "password changed": reverse("admin:auth_user_password_change", args=[other.pk]),
        "deleted": reverse("admin:sysadmin_user_delete", args=[other.pk]),
    }[why]
    answer = client.post(page, {name: value.replace("{other}", str(other.pk)) for name, value in change.items()})
    assert answer.status_code == 302, answer.context["errors"]
    assert theirs.get("/admin/").status_code == 302
    assert own.get("/admin/").status_code == client.get("/admin/").status_code == 200
    assert told("SESSION_ENDED") == [("SESSION_ENDED", person.pk, other.pk, None, {"why": why})]


def test_session__ended_by_staff__is_no_action_of_theirs(client, person):
    client.force_login(person)
    staff = factories.user(role="staff")
    client.force_login(staff)
    client.post(
        reverse("admin:sysadmin_user_changelist"), {"action": "end_sessions", "_selected_action": str(person.pk)}
    )
    assert told("SESSION_ENDED") == []


def test_sessions__expired_and_swept__are_told(client, person):
    client.force_login(person)
    with identity.acting_as_auth():
        SessionStore.get_model_class().objects.update(expire_date="2020-01-01T00:00:00+00:00")
    SessionStore.clear_expired()
    with identity.acting_as_auth():
        assert not SessionStore.get_model_class().objects.exists()
    assert told("SESSION_ENDED") == [("SESSION_ENDED", None, person.pk, None, {"why": "expired"})]


def test_user__deleted_with_django_s_log__leaves_every_entry(client, person):
    sign_in(client, person.email, "wrong")
    sign_in(client, person.email, factories.PASSWORD)
    client.post(reverse("admin:logout"))
    before = told()
    client.force_login(factories.user(role="admin"))
    client.post(reverse("admin:sysadmin_user_delete", args=[person.pk]), {"post": "yes"})
    assert not User.objects.filter(pk=person.pk).exists()
    LogEntry.objects.all().delete()
    assert told()[: len(before)] == before
    assert len(before) == 3
