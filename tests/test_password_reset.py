"""A new password by mail: nothing tells whether there is an account, letters are few, and all of it is recorded."""

import html
import re
import smtplib
import time

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from moeen import password_reset
from moeen.env import Environment
from sysadmin.models import AuditLog, User
from tests import factories

pytestmark = pytest.mark.django_db
ASK = "/admin/password-reset/"
NEW = "a-Longer-secret-77"


@pytest.fixture(autouse=True)
def counts(settings, tmp_path):
    settings.CACHE_DIR = tmp_path


@pytest.fixture
def person():
    return factories.user(email="noor@example.com", password=factories.PASSWORD, role="staff")


@pytest.fixture
def ask(client, django_capture_on_commit_callbacks):
    """Asks for a letter, and waits until whatever was to be sent is sent."""

    def do(email, **headers):
        with django_capture_on_commit_callbacks() as sending:
            answer = client.post(ASK, {"email": email}, **headers)
        for send in sending:
            before = len(mail.outbox)
            send()
            for _ in range(100):
                if len(mail.outbox) > before:
                    break
                time.sleep(0.02)
        return answer

    return do


def link():
    return re.search(r"http://testserver(/\S+)", mail.outbox[-1].body)[1]


def follow(client, address):
    """The page behind a link, after its own redirect; and its address."""
    answer = client.get(address, follow=True)
    return answer, answer.redirect_chain[-1][0] if answer.redirect_chain else address


def set_password(client, address, password=NEW):
    _, page = follow(client, address)
    return client.post(page, {"new_password1": password, "new_password2": password})


def told(*actions):
    found = AuditLog.objects.filter(action__in=actions).order_by("created_at")
    return [(entry.action, entry.user_id, entry.record_id, entry.new_values) for entry in found]


def test_reset__by_the_letter_s_link__sets_the_password_and_ends_sessions(client, ask, person):
    elsewhere = Client()
    elsewhere.force_login(person)
    assert ASK in client.get(reverse("admin:login")).content.decode()
    assert ask("NOOR@Example.com").status_code == 302
    (letter,) = mail.outbox
    assert letter.to == ["noor@example.com"]
    assert set_password(client, link()).status_code == 302
    assert User.objects.get(pk=person.pk).check_password(NEW)
    assert elsewhere.get("/admin/").status_code == 302
    assert client.get("/admin/").status_code == 302  # the link signs nobody in
    assert told("PASSWORD_RESET_ASKED", "PASSWORD_CHANGED", "SESSION_ENDED") == [
        ("PASSWORD_RESET_ASKED", None, person.pk, {"account": "NOOR@Example.com"}),
        ("PASSWORD_CHANGED", person.pk, person.pk, None),
        ("SESSION_ENDED", person.pk, person.pk, {"why": "password reset"}),
    ]


@pytest.mark.parametrize("who", ["unknown", "deactivated", "without a password"])
def test_ask__for_who_gets_none__is_answered_as_for_who_does(client, ask, person, who):
    address = {"unknown": "nobody@example.com"}.get(who, "other@example.com")
    if who != "unknown":
        is_off = who == "deactivated"
        factories.user(email=address, password=factories.PASSWORD if is_off else None, is_active=not is_off)
    answers, queries = [], []
    for email in ("noor@example.com", address):
        with CaptureQueriesContext(connection) as made:
            answers.append(ask(email))
        queries.append(len(made))
    assert answers[0].headers["Location"] == answers[1].headers["Location"]
    assert queries[0] == queries[1]
    assert [letter.to for letter in mail.outbox] == [["noor@example.com"]]
    asked = [account["account"] for *_, account in told("PASSWORD_RESET_ASKED")]
    assert asked == ["noor@example.com", address]


def test_ask__again_and_again__sends_few_letters_and_is_recorded_up_to_a_bound(client, ask, person):
    for _ in range(6):
        assert ask(person.email, REMOTE_ADDR="203.0.113.7").status_code == 302
    assert len(mail.outbox) == password_reset.LETTERS
    assert len(told("PASSWORD_RESET_ASKED")) == 6
    answer = client.post(reverse("admin:login"), {"username": person.email, "password": factories.PASSWORD})
    assert answer.status_code == 302  # asking locks nobody out


@pytest.mark.parametrize("why", ["used", "password changed", "signed in", "deactivated", "an hour ago", "forged"])
def test_link__that_is_void__changes_nothing(client, ask, person, monkeypatch, why):
    ask(person.email)
    address = link()
    if why == "used":
        set_password(client, address)
    elif why == "password changed":
        person.set_password(NEW)
        person.save()
    elif why == "signed in":
        Client().post(reverse("admin:login"), {"username": person.email, "password": factories.PASSWORD})
    elif why == "deactivated":
        User.objects.filter(pk=person.pk).update(is_active=False)
    elif why == "an hour ago":
        from django.contrib.auth import tokens

        later = tokens.default_token_generator._now()
        monkeypatch.setattr(tokens.PasswordResetTokenGenerator, "_now", lambda self: later.replace(year=later.year + 1))
    else:
        address = address[:-2] + ("0/" if address[-2] != "0" else "1/")
    before = User.objects.get(pk=person.pk).password
    other = Client()
    answer, _ = follow(other, address)
    assert answer.context["validlink"] is False
    set_password(other, address, "yet-Another-secret-78")
    assert User.objects.get(pk=person.pk).password == before


def test_reset__after_too_many_wrong_passwords__lets_its_person_in(client, ask, person, settings):
    settings.SIGN_IN_TRIES = 2
    for _ in range(3):
        client.post(reverse("admin:login"), {"username": person.email, "password": "wrong"})
    ask(person.email)
    set_password(client, link())
    answer = client.post(reverse("admin:login"), {"username": person.email, "password": NEW})
    assert answer.status_code == 302


def test_password__too_simple__is_refused(client, ask, person):
    ask(person.email)
    assert set_password(client, link(), "12345678").status_code == 200


def test_letter__that_cannot_be_sent__is_logged_without_whom(client, ask, person, monkeypatch, caplog):
    def refuse(*args):
        raise smtplib.SMTPRecipientsRefused({"noor@example.com": (550, b"no")})

    letter = mail.EmailMessage("s", "b", to=["noor@example.com"])
    monkeypatch.setattr(letter, "send", refuse)
    password_reset._send(letter)
    assert "SMTPRecipientsRefused" in caplog.text
    assert "noor" not in caplog.text


@pytest.mark.parametrize("language", ["ar", "en"])
def test_pages_and_letter__in_both_languages__are_the_person_s(client, ask, person, language):
    client.cookies["django_language"] = language
    pages = [client.get(ASK), client.get(ask(person.email).headers["Location"])]
    pages.append(follow(client, link())[0])
    texts = [re.sub(r"(?s)<(script|style|head).*?</\1>|<[^>]+>", " ", page.content.decode()) for page in pages]
    texts.append(mail.outbox[-1].subject)
    for text in texts:
        found = set(re.findall(r"[a-z]+", html.unescape(text).lower()))
        assert bool({"password", "please"} & found) == (language == "en"), text


def server(host, port, user="", password="", *, starttls=False, tls=False):
    return {"host": host, "port": port, "user": user, "password": password, "starttls": starttls, "tls": tls}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", {}),
        ("smtp://mail", server("mail", 25)),
        ("smtp+tls://u%40x:p%3Aw@mail.example:2525", server("mail.example", 2525, "u@x", "p:w", starttls=True)),
        ("smtps://u:p@[::1]/", server("::1", 465, "u", "p", tls=True)),
    ],
)
def test_email_url__of_a_server__is_read(tmp_path, url, expected):
    assert Environment(tmp_path / ".env", variables={"EMAIL_URL": url}).mail("EMAIL_URL") == expected


@pytest.mark.parametrize(
    "url", ["mail.example", "http://mail", "smtp://", "smtp://u:s3cret@", "smtp://u:s3cret@m:99999"]
)
def test_email_url__malformed__is_refused_without_its_value(tmp_path, url):
    with pytest.raises(Exception, match="EMAIL_URL is malformed") as caught:
        Environment(tmp_path / ".env", variables={"EMAIL_URL": url}).mail("EMAIL_URL")
    assert "s3cret" not in str(caught.value)
