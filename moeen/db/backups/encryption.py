"""Encryption with age: to any number of recipients, streaming, in pieces; a cut or changed stream does not decrypt."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pyrage

from moeen.db.codes import Code
from moeen.db.errors import USAGE, MoeenError, of_file


class WrongKey(MoeenError):
    """None of the identities opens the backup."""

    default_code = Code.BACKUP_KEY


def recipients(words: Sequence[str]) -> list[Any]:
    """Parsed recipients: age1..., ssh-ed25519 ..., ssh-rsa ...; raises MoeenError naming the malformed one."""
    found = []
    for word in words:
        try:
            kind = pyrage.ssh.Recipient if word.startswith("ssh-") else pyrage.x25519.Recipient
            found.append(kind.from_str(word))
        except pyrage.RecipientError as error:
            shown = "an identity, which is secret" if word.upper().startswith("AGE-SECRET") else repr(word[:12] + "...")
            raise MoeenError(
                f"{shown} is no age recipient.",
                next_step="A recipient is public and begins with age1, ssh-ed25519 or ssh-rsa.",
                exit_code=USAGE,
                code=Code.BACKUP_KEY,
            ) from error
    return found


def identities(path: Path | None) -> list[Any]:
    """The secret keys in a file as age-keygen or ssh-keygen writes it. Without a path there are none."""
    if path is None:
        return []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MoeenError(
            f"The identity file {path} cannot be read: {of_file(error)}.",
            next_step="Name the file with the age or SSH secret key in --identity or BACKUP_IDENTITY.",
            exit_code=USAGE,
            code=Code.BACKUP_KEY,
        ) from error
    try:
        if "PRIVATE KEY-----" in text:
            return [pyrage.ssh.Identity.from_buffer(text.encode())]
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        return [pyrage.x25519.Identity.from_str(line) for line in lines]
    except pyrage.IdentityError as error:
        raise MoeenError(
            f"{path} holds no age identity.",
            next_step="It holds a line AGE-SECRET-KEY-1... (`age-keygen -o FILE`), or is an unencrypted SSH key.",
            exit_code=USAGE,
            code=Code.BACKUP_KEY,
        ) from error


def encrypt(source: IO[bytes], target: IO[bytes], to: Sequence[Any]) -> None:
    """Raises the OSError of source or target."""
    try:
        pyrage.encrypt_io(source, target, list(to))
    except pyrage.EncryptError as error:
        # The words are all that is left of the error behind it.
        found = re.search(r"\[Errno (\d+)\]", str(error))
        number = int(found[1]) if found else errno.EIO
        raise OSError(number, os.strerror(number)) from error


def decrypt(source: IO[bytes], target: IO[bytes], keys: Sequence[Any]) -> None:
    """Raises WrongKey without a key that fits; an OSError of the target passes through."""
    if not keys:
        raise WrongKey(
            "The backup is encrypted, and no identity was given.",
            next_step="Name the file with the secret key: --identity FILE, or BACKUP_IDENTITY.",
            exit_code=USAGE,
        )
    try:
        pyrage.decrypt_io(source, target, list(keys))
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            raise WrongKey(
                "None of the identities opens this backup.",
                next_step="Its recipients are in its manifest.json; name the file with one of their secret keys.",
            ) from error
        raise
