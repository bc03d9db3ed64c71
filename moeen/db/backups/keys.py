"""The keys of backups: who makes backups signs them with a secret key, who restores them needs the public one alone.

Ed25519 (RFC 8032), by the `cryptography` package. A key is a line of text; a file of public keys holds several, the
newest first, so that backups from before a change of keys can still be checked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings

from moeen.db import secret_files
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, USAGE, MoeenError

_PUBLIC, _SECRET = "moeen-backup-public:", "moeen-backup-secret:"
#: What is signed begins with it, so that no signature of something else can pass for one of a backup.
_PURPOSE = b"moeen backup manifest\n"
#: The name of a key is the beginning of its public part's SHA-256.
_NAME_DIGITS = 16
MAKE = "Make keys with manage.py make_backup_keys, or name their file in BACKUP_SIGNING_KEY."


@dataclass(frozen=True)
class PublicKey:
    """What signatures are checked with; it may be known to everybody."""

    data: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Raises MoeenError for a text that is no public key, without repeating what may be a secret one."""
        return cls(_decoded(text, _PUBLIC))

    @property
    def name(self) -> str:
        return hashlib.sha256(self.data).hexdigest()[:_NAME_DIGITS]

    def text(self) -> str:
        return _PUBLIC + base64.b64encode(self.data).decode()

    def fits(self, signature: bytes, text: bytes, *, purpose: bytes = _PURPOSE) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.data).verify(signature, purpose + text)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """The secret key, and the public one that belongs to it."""

    secret: Ed25519PrivateKey
    public: PublicKey

    @classmethod
    def made(cls) -> Signer:
        return cls._of(Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, text: str) -> Signer:
        """Raises MoeenError for a text that is no secret key, without repeating it."""
        return cls._of(Ed25519PrivateKey.from_private_bytes(_decoded(text, _SECRET)))

    @classmethod
    def _of(cls, secret: Ed25519PrivateKey) -> Signer:
        return cls(secret, PublicKey(secret.public_key().public_bytes_raw()))

    def text(self) -> str:
        return _SECRET + base64.b64encode(self.secret.private_bytes_raw()).decode()

    def sign(self, text: bytes, *, purpose: bytes = _PURPOSE) -> str:
        """The signature, behind the name of the key."""
        return f"{self.public.name}:{base64.b64encode(self.secret.sign(purpose + text)).decode()}"


def is_signed(text: bytes, signature: str, trusted: Iterable[PublicKey], *, purpose: bytes = _PURPOSE) -> bool:
    """Whether one of these keys made that signature of the text, for that purpose."""
    name, _, encoded = signature.partition(":")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return False
    return any(key.name == name and key.fits(data, text, purpose=purpose) for key in trusted)


def secret_file() -> Path:
    """BACKUP_SIGNING_KEY."""
    found: Path = settings.BACKUP_SIGNING_KEY
    return found


def public_file() -> Path:
    """Beside the secret one."""
    return secret_file().with_suffix(".pub")


def make(*, rotate: bool = False) -> Signer:
    """A new pair of keys in their files; returns it. The secret file is its owner's alone (0600).

    Raises MoeenError (3) where there is one, unless `rotate`: older backups then stay as good as they were, by the
    older public keys. Raises OSError where the files cannot be written.
    """
    if secret_files.read(secret_file()) and not rotate:
        raise MoeenError(
            f"There is a key in {secret_file()} already. Nothing was changed.",
            next_step="Use it; or say --rotate for a new one, which leaves older backups as good as they are.",
            exit_code=FINDINGS,
            code=Code.BACKUP_KEY,
        )
    made = Signer.made()
    older = [line for line in secret_files.read(public_file()).splitlines() if line]
    try:
        # The public one first: a secret one without it would sign what nobody can check.
        secret_files.write(public_file(), "\n".join([made.public.text(), *older]) + "\n")
        secret_files.write(secret_file(), made.text() + "\n", first_stays=not rotate)
    except FileExistsError:
        # Another process was faster, and its public key may just have been replaced.
        theirs = signer()
        lines = [theirs.public.text(), *older]
        secret_files.write(public_file(), "\n".join(dict.fromkeys(lines)) + "\n")
        return theirs
    return made


def signer(*, may_make: bool = False) -> Signer:
    """Who signs here. Without a key one is made if `may_make`; otherwise MoeenError (2) says how."""
    found = signer_or_none()
    if found:
        return found
    if may_make:
        return make()
    raise MoeenError(
        f"Backups are signed, and there is no key to sign with in {secret_file()}. Nothing was backed up.",
        next_step=MAKE,
        exit_code=USAGE,
        code=Code.BACKUP_KEY,
    )


def signer_or_none() -> Signer | None:
    """Who signs here, None where no secret key is: a machine that only verifies and restores needs none."""
    text = secret_files.read(secret_file())
    return Signer.parse(text) if text else None


def trusted() -> list[PublicKey]:
    """BACKUP_PUBLIC_KEYS or, without it, those of the file beside the secret key. Raises MoeenError without any."""
    known = trusted_if_any()
    if not known:
        raise MoeenError(
            f"No public key is known that backups could be checked with: neither in {public_file()} nor in "
            "BACKUP_PUBLIC_KEYS.",
            next_step="Let BACKUP_PUBLIC_KEYS hold the public key of the machine that makes the backups "
            "(manage.py make_backup_keys --show), or say --unsigned REASON.",
            exit_code=FINDINGS,
            code=Code.BACKUP_KEY,
        )
    return known


def trusted_if_any() -> list[PublicKey]:
    """The same where none need be known. Raises MoeenError for a text that is no public key, and for a file of them
    that others may change: who can write there would be believed."""
    words: list[str] = list(settings.BACKUP_PUBLIC_KEYS)
    if not words and (text := secret_files.read(public_file())):
        _refuse_changeable(public_file())
        words = text.split()
    return [PublicKey.parse(word) for word in words]


def _refuse_changeable(path: Path) -> None:
    """Raise MoeenError (3) where others than us, root and the project's owner may write it, or put another there.

    A folder that its group may write is no hindrance: where everybody has a group of their own, all are so.
    """
    trusted = {0, os.geteuid(), os.stat(settings.BASE_DIR).st_uid}
    file, folder = path.stat(), path.resolve().parent.stat()
    above = {*path.absolute().parents, *path.resolve().parents}
    is_open = any(facts.st_mode & stat.S_IWOTH and not facts.st_mode & stat.S_ISVTX for facts in map(os.stat, above))
    if is_open or not {file.st_uid, folder.st_uid} <= trusted or file.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise MoeenError(
            f"{path} says whose backups are believed, and others may change it. Nothing was changed.",
            next_step="Look whose keys are in it. Then let it and its folder belong to who runs the commands, and "
            "`chmod go-w` both; or name the keys in BACKUP_PUBLIC_KEYS.",
            exit_code=FINDINGS,
            code=Code.BACKUP_KEY,
        )


def _decoded(text: str, prefix: str) -> bytes:
    try:
        data = base64.b64decode(text.strip().removeprefix(prefix), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not text.strip().startswith(prefix) or len(data) != 32:
        raise MoeenError(f"A key of backups begins with {prefix} and is 32 bytes in base64; this is none.",
                         next_step=MAKE, exit_code=USAGE, code=Code.BACKUP_KEY)  # fmt: skip
    return data
