"""One's own sessions: seen with where they began, ended one by one or all others at once, and recorded."""

import re
import time

import pytest
from django.test import Client
from django.urls import reverse

from moeen import sessions
from sysadmin.models import AuditLog
from sysadmin.sessions import handle
from tests import factories

pytestmark = pytest.mark.django_db
PAGE = "/admin/own-sessions/"


@pytest.fixture
def person():
    return factories.user(role="staff", password=factories.PASSWORD)


def signed_in(person, address="203.0.113.7", agent="Browser/1"):
    client = Client(REMOTE_ADDR=address, HTTP_USER_AGENT=agent)
    answer = client.post(reverse("admin:login"), {"username": person.email, "password": factories.PASSWORD})
    assert answer.status_code == 302
    return client


def is_in(client):
    return client.get("/admin/").status_code == 200


def handles(client):
    return re.findall(r'name="handle" value="(\w+)"', client.get(PAGE).content.decode())


def ended():
    return [
        (entry.user_id, entry.record_id, entry.new_values["why"])
        for entry in AuditLog.objects.filter(action="SESSION_ENDED")
    ]


def test_page__of_several__shows_where_each_began(person):
    here = signed_in(person)
    signed_in(person, "198.51.100.9", "<script>Telephone/2</script>" + "x" * 600)
    signed_in(factories.user(role="admin", password=factories.PASSWORD), "192.0.2.1", "Stranger")
    page = here.get(PAGE).content.decode()
    for word in ("203.0.113.7", "Browser/1", "198.51.100.9", "&lt;script&gt;Telephone/2"):
        assert word in page
    assert "192.0.2.1" not in page
    assert page.index("203.0.113.7") < page.index("198.51.100.9")  # this one comes first
    assert len(handles(here)) == 1


def test_end__one_or_all_others__at_once_and_recorded(person):
    here, second, third = (signed_in(person) for _ in range(3))
    stranger = signed_in(factories.user(password=factories.PASSWORD))
    one, _other = handles(here)
    here.post(PAGE, {"handle": one})
    assert [is_in(client) for client in (here, second, third)].count(True) == 2
    assert ended() == [(person.pk, person.pk, "its person")]
    here.post(PAGE)
    assert [is_in(client) for client in (here, second, third, stranger)] == [True, False, False, True]
    assert len(ended()) == 2


def test_end__of_somebody_else_s_or_this_one__is_none(person):
    here = signed_in(person)
    boss = signed_in(factories.user(role="admin", password=factories.PASSWORD))
    second = signed_in(person)
    (foreign,) = handles(second)
    boss.post(PAGE, {"handle": foreign})
    here.post(PAGE, {"handle": handle(here.session.session_key)})
    assert all(map(is_in, (here, boss, second)))
    assert ended() == []


def test_page__sessions_that_are_over__are_not_among_them(person, monkeypatch):
    signed_in(person)
    now = time.time() + 1801
    monkeypatch.setattr(sessions.time, "time", lambda: now)
    here = signed_in(person)
    assert handles(here) == []
    signed_in(person)
    assert len(handles(here)) == 1
    person.set_password("a-Longer-secret-77")
    person.save()
    assert not is_in(here)


def test_page__without_signing_in__is_none(client):
    assert client.get(PAGE).status_code == 302
