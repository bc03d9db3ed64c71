"""How often something was tried, by account and by address, for a quarter of an hour: wrong passwords, and the like.

Each mark is a file of moments in CACHE_DIR, eight bytes for a try. Nothing but time takes a try away again: Django's
cache would forget counts while somebody else's are written.
"""

from __future__ import annotations

import ipaddress
import os
import time
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from django.conf import settings
from django.utils.crypto import salted_hmac

SECONDS = 15 * 60
#: Bytes of a moment, in nanoseconds since 1970.
_MOMENT = 8

#: The name of a file, and the number of tries after which it is exhausted.
Mark = tuple[str, int]
#: Folder -> when this process last looked for old files there.
_swept: dict[Path, float] = {}


def marks(account: str, address: str, *, of: str = "", most: int | None = None, browser: str = "") -> list[Mark]:
    """What a try counts against: the account, and the address unless it is this machine's, which is a proxy's.

    `of`: what is tried, "" for signing in; `most`: how often for an account, where it is not SIGN_IN_TRIES; `browser`:
    one whose tries at the account are counted apart.
    """
    found = [(_key(f"{of}account {_plain(account)} {browser}"), most or settings.SIGN_IN_TRIES)]
    if network := _network(address):
        found.append((_key(f"{of}address {network}"), settings.SIGN_IN_TRIES_OF_ADDRESS))
    return found


def of_account(account: str) -> str:
    """The same for one account, however it is written; without the secret key it says nothing of whose it is."""
    return _key(_plain(account))


def is_exhausted(marks: Sequence[Mark]) -> bool:
    """Whether, of one of them, the last but so many is no older than SECONDS."""
    since = time.time_ns() - SECONDS * 10**9
    return any(_last_but(key, most) > since for key, most in marks)


def count(marks: Sequence[Mark]) -> None:
    """One more of each that is not exhausted: whoever goes on trying locks nobody out for longer."""
    now = time.time_ns()
    for key, most in marks:
        if not is_exhausted([(key, most)]):
            _folder().mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(_folder() / key, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with open(file, "ab", buffering=0) as opened:
                opened.write(now.to_bytes(_MOMENT, "big"))  # whole, whoever else writes
    _sweep()


def forget(marks: Sequence[Mark]) -> None:
    for key, _most in marks:
        (_folder() / key).unlink(missing_ok=True)


def _folder() -> Path:
    return Path(settings.CACHE_DIR, "tries")


def _last_but(key: str, number: int) -> int:
    """When the try was made after which there were `number` with it; 0 where there were fewer."""
    with suppress(FileNotFoundError), open(_folder() / key, "rb") as file:
        place = file.seek(0, os.SEEK_END) // _MOMENT - number
        if place >= 0:
            file.seek(place * _MOMENT)
            return int.from_bytes(file.read(_MOMENT), "big")
    return 0


def _sweep() -> None:
    """Remove what is of no use any more, now and then."""
    folder, now = _folder(), time.time()
    if now - _swept.setdefault(folder, now) < SECONDS:
        return
    _swept[folder] = now
    with suppress(FileNotFoundError), os.scandir(folder) as files:
        for file in files:
            with suppress(FileNotFoundError):  # another process was there first
                if now - file.stat().st_mtime > SECONDS:
                    os.unlink(file)


def _plain(account: str) -> str:
    """At least what the database takes for the same address: it makes an İ an i."""
    letters = unicodedata.normalize("NFKD", account.strip().casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _network(address: str) -> str:
    """What belongs to one of those who try: of IPv6, somebody has a whole /64. "" where that says nothing of them."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found
    if found.is_loopback:
        return ""
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)


def _key(text: str) -> str:
    """Without the secret key of the installation it says nothing of whose it is."""
    return salted_hmac("moeen.throttle", text, algorithm="sha256").hexdigest()
