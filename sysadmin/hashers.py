"""Passwords as older applications kept them: bcrypt's own text (`$2b$12$...`), without Django's name before it."""

from __future__ import annotations

import re
from typing import Any

import bcrypt
from django.contrib.auth import hashers

_BARE = re.compile(r"\$2[aby]\$")


def named(stored: str) -> str:
    """The hash in the form that Django knows its hashers by: the algorithm's name first."""
    return f"{Bcrypt.algorithm}${stored}" if _BARE.match(stored) else stored


class Bcrypt(hashers.BCryptPasswordHasher):
    """As other languages' libraries work: what comes after 72 bytes of a password is not looked at.

    None but the first of PASSWORD_HASHERS makes hashes, so a right password is hashed anew at the next sign-in.
    """

    def encode(self, password: str, salt: Any) -> str:
        """``salt``: bytes of a setting or of a whole hash. Raises ValueError for what is neither."""
        return named(bcrypt.hashpw(password.encode()[:72], salt).decode("ascii"))
