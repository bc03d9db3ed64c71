"""How often something was tried: by account and address, for a quarter of an hour, and by nothing forgotten."""

import os
from multiprocessing import get_context

import pytest
from django.test import RequestFactory

from moeen import throttle
from moeen.middleware import origin
from sysadmin.checks import check_client_address

ACCOUNT, ADDRESS = "noor@example.com", "203.0.113.7"


@pytest.fixture(autouse=True)
def few_tries(settings, tmp_path):
    settings.CACHE_DIR = tmp_path
    settings.SIGN_IN_TRIES, settings.SIGN_IN_TRIES_OF_ADDRESS = 3, 1000


@pytest.fixture
def clock(monkeypatch):
    """Seconds to be added to what the clock says."""
    ahead, now = [0], throttle.time.time_ns
    monkeypatch.setattr(throttle.time, "time_ns", lambda: now() + ahead[0] * 10**9)
    return ahead


def waits(account=ACCOUNT, address=""):
    return throttle.is_exhausted(throttle.marks(account, address))


def tries(number, account=ACCOUNT, address=""):
    for _ in range(number):
        throttle.count(throttle.marks(account, address))


def test_tries__three_in_a_quarter_of_an_hour__wait_until_the_first_is_as_old(clock):
    for _ in range(3):
        assert not waits()
        tries(1)
        clock[0] += 290
    assert waits()
    tries(50)  # whoever goes on locks nobody out for longer
    clock[0] += 40
    assert not waits()
    tries(1)
    assert waits()


def test_tries__of_a_thousand_others__are_nobody_else_s():
    tries(3)
    for number in range(1000):
        tries(1, f"nobody{number}@example.com")
    assert waits()


def test_tries__of_several_processes_at_once__are_all_counted(settings):
    settings.SIGN_IN_TRIES = 100
    work = get_context("fork").Process
    workers = [work(target=tries, args=(25,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert waits()
    settings.SIGN_IN_TRIES = 101
    assert not waits()


@pytest.mark.parametrize(
    "written", ["NOOR@example.com", " noor@example.com\t", "noor@example.com\N{COMBINING DOT ABOVE}"]
)
def test_account__however_it_is_written__is_one(written):
    tries(3, written)
    assert waits()


def test_account__with_a_letter_that_the_database_makes_another__is_one():
    tries(3, "ali@example.com")
    assert waits("AL\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}@example.com")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "::ffff:203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
def test_address__that_somebody_has_more_of__is_one(settings, one, other, same):
    settings.SIGN_IN_TRIES, settings.SIGN_IN_TRIES_OF_ADDRESS = 1000, 3
    tries(3, address=one)
    assert waits(address=one)
    assert waits(address=other) is same


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", ""])
def test_address__of_this_machine__says_nothing(settings, address):
    settings.SIGN_IN_TRIES, settings.SIGN_IN_TRIES_OF_ADDRESS = 1000, 3
    tries(3, address=address)
    assert not waits(address=address)


def test_files__old__are_swept_and_no_others(tmp_path, monkeypatch):
    tries(1, "old@example.com")
    (old,) = (tmp_path / "tries").iterdir()
    os.utime(old, (1, 1))
    tries(1)
    assert old.exists()  # not looked for with each try
    monkeypatch.setattr(throttle, "_swept", {tmp_path / "tries": 0})
    tries(1)
    (left,) = (tmp_path / "tries").iterdir()
    assert left != old
    assert (left.stat().st_mode & 0o777, left.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(
    ("header", "sent", "seen"),
    [
        ("", "203.0.113.7", "10.0.0.9"),  # anybody can send it
        ("HTTP_X_FORWARDED_FOR", "203.0.113.7", "203.0.113.7"),
        ("HTTP_X_FORWARDED_FOR", "198.51.100.1, 203.0.113.7", "203.0.113.7"),  # the first is the client's own word
        ("HTTP_X_FORWARDED_FOR", "2001:DB8::1", "2001:db8::1"),
        ("HTTP_X_FORWARDED_FOR", "unknown", ""),
        ("HTTP_X_FORWARDED_FOR", None, "10.0.0.9"),
    ],
)
def test_client_s_address__behind_a_proxy__is_what_the_proxy_says(settings, header, sent, seen):
    settings.CLIENT_ADDRESS_HEADER = header
    told = {} if sent is None else {"HTTP_X_FORWARDED_FOR": sent}
    assert origin(RequestFactory().get("/", REMOTE_ADDR="10.0.0.9", **told))["address"] == seen


@pytest.mark.parametrize(
    ("proxy", "header", "found"),
    [
        (None, "", []),
        (("HTTP_X_FORWARDED_PROTO", "https"), "", ["moeen.W127"]),
        (("HTTP_X_FORWARDED_PROTO", "https"), "HTTP_X_FORWARDED_FOR", []),
    ],
)
def test_check_deploy__proxy_that_says_not_for_whom__is_a_warning(settings, proxy, header, found):
    settings.SECURE_PROXY_SSL_HEADER, settings.CLIENT_ADDRESS_HEADER = proxy, header
    assert [message.id for message in check_client_address(None)] == found
