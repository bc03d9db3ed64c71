"""The second factor: set up, asked for, used up; required where a setting says so; removed, and all of it recorded."""

import html
import re
import time

import pyotp
import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from moeen import sign_in as doors
from moeen import throttle
from moeen.db.errors import MoeenError
from moeen.db.security import identity
from sysadmin import second_factors
from sysadmin.checks import check_second_factor
from sysadmin.models import AuditLog, Role, SecondFactor, User, UserRole
from tests import factories

pytestmark = pytest.mark.django_db
CODE, SET_UP = "/admin/login/code/", "/admin/second-factor/"
NEW = "a-Longer-secret-77"


@pytest.fixture(autouse=True)
def few_tries(settings, tmp_path):
    settings.CACHE_DIR = tmp_path
    settings.SIGN_IN_TRIES = 3


@pytest.fixture
def clock(monkeypatch):
    """Seconds since 1970 that the codes go by, in the middle of a step; `clock[0] += 30` is the next one."""
    now = [int(time.time()) // 30 * 30 + 15]
    monkeypatch.setattr(second_factors.time, "time", lambda: now[0])
    return now


@pytest.fixture
def person():
    return factories.user(email="noor@example.com", password=factories.PASSWORD, role="staff")


def sign_in(client, person, password=factories.PASSWORD, address="/admin/"):
    return client.post(reverse("admin:login"), {"username": person.email, "password": password, "next": address})


def give(client, code):
    return client.post(CODE, {"code": code})


def is_in(client):
    return client.get("/admin/").status_code == 200


def code_of(secret, clock, steps=0):
    return pyotp.TOTP(secret).at(clock[0] + 30 * steps)


def shown_secret(client):
    return re.search(r'<code dir="ltr">([A-Z2-7 ]+)</code>', client.get(SET_UP).content.decode())[1].replace(" ", "")


def confirm(client, clock):
    """Sets up what was begun: the secret, and the recovery codes."""
    secret = shown_secret(client)
    answer = client.post(SET_UP, {"do": "confirm", "code": code_of(secret, clock)})
    return secret, re.findall(r"<li><code>([a-z2-7-]+)</code>", answer.content.decode())


def set_up(client, person, clock):
    client.force_login(person)
    assert client.post(SET_UP, {"do": "begin", "password": factories.PASSWORD}).status_code == 302
    return confirm(client, clock)


def told(*actions):
    found = AuditLog.objects.filter(action__in=actions or EVENTS).order_by("created_at")
    return [(e.action, e.user_id, e.record_id, e.new_values) for e in found]


EVENTS = (
    "SIGNED_IN", "SECOND_FACTOR_SET_UP", "SECOND_FACTOR_REMOVED", "SECOND_FACTOR_FAILED", "RECOVERY_CODE_USED",
    "RECOVERY_CODES_MADE", "SIGN_IN_LOCKED_OUT", "SESSION_ENDED",
)  # fmt: skip


def test_sign_in__of_who_has_set_one_up__is_none_before_the_code(client, person, clock):
    secret, codes = set_up(client, person, clock)
    assert len(set(codes)) == second_factors.RECOVERY_CODES
    assert is_in(client)
    before = told()
    other = Client()
    answer = sign_in(other, person, address="/admin/password_change/")
    assert answer.headers["Location"] == CODE
    assert not is_in(other)
    mine = (person.pk, person.pk, None)
    assert told() == before == [("SIGNED_IN", *mine), ("SECOND_FACTOR_SET_UP", *mine)]
    clock[0] += 30
    answer = give(other, code_of(secret, clock))
    assert answer.headers["Location"] == "/admin/password_change/"
    assert is_in(other)
    assert told()[2:] == [("SIGNED_IN", *mine)]
    assert not AuditLog.objects.filter(action__startswith="SECOND").exclude(acted_as="auth").exists()


def test_sign_in__without_one__is_as_before(client, person):
    assert sign_in(client, person).headers["Location"] == "/admin/"
    assert is_in(client)
    assert client.get(CODE).status_code == 302


def test_sign_in__to_another_site__stays_here(client, person, clock):
    secret, _ = set_up(client, person, clock)
    other = Client()
    sign_in(other, person, address="https://evil.example/")
    assert give(other, code_of(secret, clock, 1)).headers["Location"] == "/admin/"


@pytest.mark.parametrize(
    ("steps", "is_right"), [(-2, False), (-1, False), (0, False), (1, True), (2, False), (None, False)]
)
def test_code__used_or_too_early_or_too_late__is_refused(client, person, clock, steps, is_right):
    """The code of the step of setting up was used then."""
    secret, _ = set_up(client, person, clock)
    other = Client()
    sign_in(other, person)
    typed = "" if steps is None else code_of(secret, clock, steps)
    assert (give(other, typed).status_code == 302) == is_right == is_in(other)


def test_code__given_twice__is_refused_the_second_time(client, person, clock):
    secret, _ = set_up(client, person, clock)
    clock[0] += 30
    first, second = Client(), Client()
    for each in (first, second):
        sign_in(each, person)
    code = code_of(secret, clock)
    assert give(first, code).status_code == 302
    assert give(second, code).status_code == 200
    assert not is_in(second)
    assert told("SECOND_FACTOR_FAILED") == [("SECOND_FACTOR_FAILED", person.pk, person.pk, None)]


@pytest.mark.parametrize("form", ["{}", " {} ", "{:Arabic}", "{:spaced}"])
def test_code__as_people_type_it__is_taken(client, person, clock, form):
    secret, _ = set_up(client, person, clock)
    code = code_of(secret, clock, 1)
    typed = {
        "{:Arabic}": code.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")),
        "{:spaced}": f"{code[:3]} {code[3:]}",
    }.get(form) or form.format(code)
    other = Client()
    sign_in(other, person)
    assert give(other, typed).status_code == 302


def test_code__wrong_too_often__waits_and_the_right_password_does_not_help(client, person, clock, monkeypatch):
    secret, codes = set_up(client, person, clock)
    other = Client()
    for _ in range(3):
        sign_in(other, person)
        assert give(other, "000000").status_code == 200
    assert give(other, code_of(secret, clock, 1)).status_code == 200
    assert give(other, codes[0]).status_code == 200
    assert sign_in(other, person).status_code == 200
    assert not is_in(other)
    assert [event for event, *_ in told()][2:] == ["SECOND_FACTOR_FAILED"] * 3 + ["SIGN_IN_LOCKED_OUT"] * 3
    monkeypatch.setattr(throttle, "SECONDS", 0)  # a quarter of an hour later
    sign_in(other, person)
    assert give(other, codes[0]).status_code == 302


def test_recovery_code__each__signs_in_once(client, person, clock):
    _, codes = set_up(client, person, clock)
    for number, typed in enumerate((codes[3], codes[4].upper().replace("-", " ")), start=1):
        other = Client()
        sign_in(other, person)
        assert give(other, typed).status_code == 302
        assert told("RECOVERY_CODE_USED")[-1] == ("RECOVERY_CODE_USED", person.pk, person.pk, {"left": 10 - number})
        sign_in(other, person)
        assert give(other, typed).status_code == 200


@pytest.mark.parametrize("what", ["time", "password", "deactivated", "removed"])
def test_held_sign_in__of_before_something_changed__is_over(client, person, clock, monkeypatch, what):
    secret, _ = set_up(client, person, clock)
    other = Client()
    sign_in(other, person)
    if what == "time":
        now = time.time() + 601
        monkeypatch.setattr(doors.time, "time", lambda: now)
    elif what == "password":
        person.set_password(NEW)
        person.save()
    elif what == "deactivated":
        User.objects.filter(pk=person.pk).update(is_active=False)
    else:
        SecondFactor.objects.all().delete()
    assert give(other, code_of(secret, clock, 1)).status_code == (200 if what == "removed" else 302)
    assert not is_in(other)


# --- setting it up ------------------------------------------------------------------------------------------------


def test_set_up__by_who_finds_the_desk_open__needs_the_password(client, person, clock):
    client.force_login(person)
    for typed in ("", "wrong"):
        assert client.post(SET_UP, {"do": "begin", "password": typed}).status_code == 200
    assert not SecondFactor.objects.exists()
    client.post(SET_UP, {"do": "begin", "password": factories.PASSWORD})
    shown_secret(client)
    other = Client()  # where nobody has typed the password
    other.force_login(person)
    page = other.get(SET_UP).content.decode()
    assert "qr-code" not in page
    assert other.post(SET_UP, {"do": "confirm", "code": code_of(shown_secret(client), clock)}).status_code == 302
    assert not second_factors.is_set_up(person)


def test_set_up__wrong_code_or_begun_again__is_none_yet(client, person, clock):
    client.force_login(person)
    client.post(SET_UP, {"do": "begin", "password": factories.PASSWORD})
    first = shown_secret(client)
    assert client.post(SET_UP, {"do": "confirm", "code": "000000"}).status_code == 200
    client.post(SET_UP, {"do": "begin", "password": factories.PASSWORD})
    assert client.post(SET_UP, {"do": "confirm", "code": code_of(first, clock)}).status_code == 200
    assert told("SECOND_FACTOR_SET_UP") == []
    assert sign_in(Client(), person).headers["Location"] == "/admin/"
    secret, _ = confirm(client, clock)
    assert secret != first
    # Set up, it is not begun anew, nor confirmed again.
    for do in ("begin", "confirm"):
        client.post(SET_UP, {"do": do, "password": factories.PASSWORD, "code": code_of(secret, clock, 1)})
    clock[0] += 30
    sign_in(client, person)
    assert give(client, code_of(secret, clock)).status_code == 302


def test_picture__of_the_secret__is_drawn_here_and_harmless(client, person, clock):
    client.force_login(person)
    client.post(SET_UP, {"do": "begin", "password": factories.PASSWORD})
    answer = client.get(SET_UP)
    picture = re.search(r'qr-code"[^>]*>(.*?)</div>', answer.content.decode(), re.S)[1]
    assert picture.startswith("<svg")
    assert not re.search(r"style|script|href|xlink|url\(", picture)
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("do", ["renew", "remove"])
def test_own__changed_with_a_code__and_not_without(client, person, clock, do):
    secret, codes = set_up(client, person, clock)
    assert client.post(SET_UP, {"do": do, "code": "000000"}).status_code == 200
    assert client.post(SET_UP, {"do": do}).status_code == 200
    answer = client.post(SET_UP, {"do": do, "code": code_of(secret, clock, 1)})
    other = Client()
    sign_in(other, person)
    if do == "remove":
        assert is_in(other)
        assert told("SECOND_FACTOR_REMOVED") == [("SECOND_FACTOR_REMOVED", person.pk, person.pk, None)]
        return
    renewed = re.findall(r"<li><code>([a-z2-7-]+)</code>", answer.content.decode())
    assert not set(renewed) & set(codes)
    assert give(other, codes[0]).status_code == 200
    assert give(other, renewed[0]).status_code == 302
    assert [event for event, *_ in told("RECOVERY_CODES_MADE")] == ["RECOVERY_CODES_MADE"]


# --- required -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["administrators", "everybody"])
@pytest.mark.parametrize("role", ["admin", "staff", "staff who is an administrator too"])
def test_required__by_role__is_set_up_before_anybody_is_signed_in(client, person, clock, settings, asked, role):
    settings.SECOND_FACTOR = asked
    if role == "admin":
        User.objects.filter(pk=person.pk).update(role="admin")
    elif role != "staff":
        UserRole.objects.create(user=person, role=Role.objects.get(name="admin"))
    must = asked == "everybody" or role != "staff"
    answer = sign_in(client, person)
    assert answer.headers["Location"] == (SET_UP if must else "/admin/")
    assert is_in(client) != must
    if not must:
        return
    assert told("SIGNED_IN") == []
    page = client.get(SET_UP).content.decode()
    assert 'name="password"' not in page
    assert client.post(SET_UP, {"do": "begin"}).status_code == 302
    secret, codes = confirm(client, clock)
    assert len(codes) == 10
    assert is_in(client)
    assert [event for event, *_ in told()] == ["SECOND_FACTOR_SET_UP", "SIGNED_IN"]
    other = Client()
    assert sign_in(other, person).headers["Location"] == CODE
    assert other.get(SET_UP).headers["Location"] == CODE  # the password alone changes nothing of it
    assert other.post(SET_UP, {"do": "remove", "code": codes[0]}).headers["Location"] == CODE
    assert give(other, code_of(secret, clock, 1)).status_code == 302
    if role == "staff who is an administrator too":
        other.post(reverse("admin:switch_role"), {"role": "admin"})
    assert is_in(other)


def test_required__of_who_became_an_administrator_meanwhile__ends_the_session(client, person, clock, settings):
    settings.SECOND_FACTOR = "administrators"
    sign_in(client, person)
    assert is_in(client)
    User.objects.filter(pk=person.pk).update(role="admin")
    assert not is_in(client)
    assert told("SESSION_ENDED") == [("SESSION_ENDED", None, person.pk, {"why": "no second factor"})]
    assert sign_in(client, person).headers["Location"] == SET_UP


# --- the secret ---------------------------------------------------------------------------------------------------


def test_secret__in_the_table__is_encrypted_and_its_person_s(client, person, clock, settings, caplog):
    secret, codes = set_up(client, person, clock)
    with identity.acting_as_operator(), connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(f::text, ' ') FROM second_factors AS f")
        (kept,) = cursor.fetchone()
        cursor.execute("SELECT string_agg(a::text, ' ') FROM audit_logs AS a")
        (log,) = cursor.fetchone()
    for text in (secret, *codes, *(code.replace("-", "") for code in codes)):
        assert text not in kept
        assert text not in log
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another"
    clock[0] += 30
    assert second_factors.check(person, code_of(secret, clock))
    assert second_factors.check(person, codes[0])
    settings.SECRET_KEY_FALLBACKS = []
    clock[0] += 30
    assert not second_factors.check(person, code_of(secret, clock))
    assert "SECRET_KEY_FALLBACKS" in caplog.text
    assert secret not in caplog.text


def test_secret__of_another_person__opens_nothing(client, person, clock):
    secret, _ = set_up(client, person, clock)
    other = factories.user(password=factories.PASSWORD)
    SecondFactor.objects.filter(user=person).update(user=other)
    clock[0] += 30
    assert not second_factors.check(other, code_of(secret, clock))


# --- lost ---------------------------------------------------------------------------------------------------------


def test_lost__removed_by_an_administrator__is_recorded_and_ends_sessions(client, person, clock):
    set_up(client, person, clock)
    boss = factories.user(role="admin", password=factories.PASSWORD)
    office = Client()
    own_secret, _ = set_up(office, boss, clock)
    rows = {str(factor.user_id): factor.pk for factor in SecondFactor.objects.all()}
    page = office.get(reverse("admin:sysadmin_secondfactor_changelist")).content.decode()
    assert person.name in page
    for pk, is_removed in ((rows[str(boss.pk)], False), (rows[str(person.pk)], True)):
        office.post(reverse("admin:sysadmin_secondfactor_delete", args=[pk]), {"post": "yes"})
        assert SecondFactor.objects.filter(pk=pk).exists() != is_removed
    assert told("SECOND_FACTOR_REMOVED", "SESSION_ENDED") == [
        ("SECOND_FACTOR_REMOVED", boss.pk, person.pk, None),
        ("SESSION_ENDED", boss.pk, person.pk, {"why": "second factor removed"}),
    ]
    assert not is_in(client)
    assert own_secret not in page
    assert sign_in(client, person).headers["Location"] == "/admin/"


def test_lost__with_its_user__goes_too(client, person, clock):
    set_up(client, person, clock)
    office = Client()
    office.force_login(factories.user(role="admin"))
    assert office.get(reverse("admin:sysadmin_user_delete", args=[person.pk])).status_code == 200
    office.post(reverse("admin:sysadmin_user_delete", args=[person.pk]), {"post": "yes"})
    assert not User.objects.filter(pk=person.pk).exists()
    assert not SecondFactor.objects.exists()


def test_reset_second_factor__by_an_operator__keeps_the_reason(client, person, clock, capsys):
    set_up(client, person, clock)
    with identity.acting_as_operator():
        call_command("reset_second_factor", "NOOR@example.com", reason="telephone lost, came in person")
        assert capsys.readouterr().out == "Removed; sessions ended: 1.\n"
        call_command("reset_second_factor", person.email, reason="again")
        with pytest.raises(MoeenError) as caught:
            call_command("reset_second_factor", "nobody@example.com", reason="x")
    assert caught.value.exit_code == 2
    assert capsys.readouterr().out == "There is none to remove.\n"
    (removed,) = told("SECOND_FACTOR_REMOVED")
    assert removed[1:] == (None, person.pk, {"reason": "telephone lost, came in person"})
    assert AuditLog.objects.get(action="SECOND_FACTOR_REMOVED").acted_as.startswith("operator:")
    assert not is_in(client)


@pytest.mark.parametrize("language", ["ar", "en"])
def test_pages__in_both_languages__say_it_in_the_person_s(client, person, clock, settings, language):
    client.cookies["django_language"] = language
    client.force_login(person)
    pages = [client.get(SET_UP)]
    client.post(SET_UP, {"do": "begin", "password": factories.PASSWORD})
    pages.append(client.get(SET_UP))
    secret = shown_secret(client)
    pages.append(client.post(SET_UP, {"do": "confirm", "code": code_of(secret, clock)}))
    pages.append(client.get(SET_UP))
    other = Client()
    other.cookies["django_language"] = language
    sign_in(other, person)
    pages += [other.get(CODE), give(other, "000000")]
    for page in pages:
        text = html.unescape(re.sub(r"(?s)<(script|style|svg|head).*?</\1>|<[^>]+>", " ", page.content.decode()))
        english = {"authenticator", "code", "codes", "second", "telephone", "recovery", "Begin", "wrong"}
        assert bool(english & set(re.findall(r"[A-Za-z]+", text))) == (language == "en"), text


@pytest.mark.parametrize(("asked", "found"), [("optional", ["moeen.W125"]), ("administrators", []), ("everybody", [])])
def test_check_deploy__optional__is_a_warning(settings, asked, found):
    settings.SECOND_FACTOR = asked
    assert [message.id for message in check_second_factor(None)] == found
