"""Passwords as older applications kept them: bcrypt's own text (`$2b$12$...`), without Django's name before it."""

from __future__ import annotations

import re
import time
from typing import Any

import bcrypt
from django.contrib.auth import hashers

_BARE = re.compile(r"\$2[aby]\$")


def named(stored: str) -> str:
    """The hash in the form that Django knows its hashers by: the algorithm's name first."""
    return f"{Bcrypt.algorithm}${stored}" if _BARE.match(stored) else stored


#: Of the work of the first hasher, the part by which its pace is measured.
_PROBE = 50


def even_out(password: str, stored: str, *, spent: float) -> None:
    """After a wrong password was compared, which took `spent` seconds of this thread: as long as for no account at all.

    A hash of an older form is quicker than the first hasher, which works where there is no such account. What is left
    of that work is done here. The thread's own time tells how much it is, whatever else the machine does.
    """
    first, algorithm = hashers.get_hasher(), stored.partition("$")[0]
    is_older = algorithm != first.algorithm and algorithm in hashers.get_hashers_by_algorithm()
    if not is_older or not isinstance(first, hashers.PBKDF2PasswordHasher):
        return
    begun, probe = time.thread_time(), first.iterations // _PROBE
    first.encode(password, first.salt(), probe)
    of_one = (time.thread_time() - begun) / probe
    left = first.iterations - probe - int(spent / of_one)
    if left > 0:
        first.encode(password, first.salt(), left)


class Bcrypt(hashers.BCryptPasswordHasher):
    """As other languages' libraries work: what comes after 72 bytes of a password is not looked at.

    None but the first of PASSWORD_HASHERS makes hashes, so a right password is hashed anew at the next sign-in.
    """

    def encode(self, password: str, salt: Any) -> str:
        """``salt``: bytes of a setting or of a whole hash. Raises ValueError for what is neither."""
        return named(bcrypt.hashpw(password.encode()[:72], salt).decode("ascii"))
