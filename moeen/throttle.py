"""How often something was tried, by account and by address, for a quarter of an hour: wrong passwords, and the like."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from contextlib import suppress

from django.conf import settings
from django.core.cache import cache
from django.utils.crypto import salted_hmac

SECONDS = 15 * 60

#: A key of the cache, and the number of wrong passwords after which it is exhausted.
Mark = tuple[str, int]


def marks(account: str, address: str, *, of: str = "", most: int | None = None) -> list[Mark]:
    """What a try counts against: the account, and the address unless it is this machine's, which is a proxy's.

    `of`: what is tried, "" for signing in; `most`: how often for an account, where it is not SIGN_IN_TRIES.
    """
    found = [(_key(f"{of}account {account.strip().casefold()}"), most or settings.SIGN_IN_TRIES)]
    with suppress(ValueError):
        if not ipaddress.ip_address(address).is_loopback:
            found.append((_key(f"{of}address {address}"), settings.SIGN_IN_TRIES_OF_ADDRESS))
    return found


def is_exhausted(marks: Sequence[Mark]) -> bool:
    return any((cache.get(key) or 0) >= most for key, most in marks)


def count(marks: Sequence[Mark]) -> None:
    for key, _most in marks:
        cache.add(key, 0, SECONDS)
        with suppress(ValueError):  # it ran out this moment
            cache.incr(key)


def forget(marks: Sequence[Mark]) -> None:
    for key, _most in marks:
        cache.delete(key)


def _key(text: str) -> str:
    """Without the secret key of the installation it says nothing of whose it is."""
    return f"sign-in {salted_hmac('moeen.throttle', text).hexdigest()}".replace(" ", "-")
