"""Second factors: a code of the person's authenticator (TOTP, RFC 6238), or one of their recovery codes.

A row is read and written as moeen_auth in its person's own name: whoever uses this module has seen that person's
password, or their session. Row security shows moeen_auth no other person's row, and nobody's in nobody's name.

The tables of django-otp and django-allauth would be written as whoever is bound, hold the secret in the clear and keys
that count up; so what is taken from a library is what a standard says: the codes (pyotp) and the picture (segno).
"""

from __future__ import annotations

import base64
import logging
import os
import secrets
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pyotp
import segno
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import IntegrityError, router, transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from moeen.db.security import identity, sign_ins
from sysadmin.declared_settings import value_of
from sysadmin.models import SecondFactor, User

#: Seconds that a code lasts, and the steps by which a clock may be wrong, before and after.
STEP, DRIFT = 30, 1
#: How many recovery codes there are, and their letters: 80 bits each, so that a keyed hash is as good as a slow one.
RECOVERY_CODES, LETTERS = 10, 16

_logger = logging.getLogger(__name__)


def find(user: User) -> SecondFactor | None:
    """The person's, whether it is set up or only begun."""
    with identity.bound(sign_ins.door(user)):
        return SecondFactor.objects.filter(user=user.pk).first()


def is_set_up(user: User) -> bool:
    """Whether signing in asks this person for a code."""
    found = find(user)
    return found is not None and found.confirmed_at is not None


def begin(user: User) -> None:
    """Make a secret, in place of one that was begun and not confirmed. One that is set up stays."""
    with identity.bound(sign_ins.door(user)):
        mine = SecondFactor.objects.filter(user=user.pk)
        if mine.filter(confirmed_at=None).update(secret=_sealed(user, pyotp.random_base32())) or mine.exists():
            return
        # Begun in another window this moment: that one counts.
        with suppress(IntegrityError), transaction.atomic(using=router.db_for_write(SecondFactor)):
            SecondFactor.objects.create(user=user, secret=_sealed(user, pyotp.random_base32()))


def shown(user: User, factor: SecondFactor) -> tuple[str, str] | None:
    """The secret in groups of four letters, and as an SVG picture for the authenticator; None if it is unreadable."""
    secret = _opened(user, factor)
    if secret is None:
        return None
    address = pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=value_of("clinic.name"))
    picture = segno.make(address, error="m").svg_inline(scale=5, border=4, light="#fff")
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)), picture


def confirm(user: User, code: str) -> list[str] | None:
    """Set up what was begun, if the code is right: the recovery codes, which nobody can read again."""
    with _locked(user) as factor:
        step = _step(user, factor, code) if factor and factor.confirmed_at is None else None
        if factor is None or step is None:
            return None
        codes = _new_codes()
        factor.last_step, factor.confirmed_at = step, timezone.now()
        factor.recovery_codes = [_hashed(user, code) for code in codes]
        factor.save(update_fields=["last_step", "confirmed_at", "recovery_codes"])
        return codes


def check(user: User, code: str) -> bool:
    """Whether a code of the authenticator, or a recovery code, is right. It is used up; a wrong one is recorded."""
    with _locked(user) as factor:
        if factor is not None and factor.confirmed_at is not None:
            if (step := _step(user, factor, code)) is not None:
                factor.last_step = step
                factor.save(update_fields=["last_step"])
                return True
            tried = {_hashed(user, code, key=key) for key in _keys()}
            left = [kept for kept in factor.recovery_codes if kept not in tried]
            if len(left) < len(factor.recovery_codes):
                factor.recovery_codes = left
                factor.save(update_fields=["recovery_codes"])
                return True
        sign_ins.record(sign_ins.SECOND_FACTOR_FAILED, by=user)
        return False


def renew(user: User) -> list[str]:
    """New recovery codes in place of all that were left. Raises SecondFactor.DoesNotExist."""
    with _locked(user) as factor:
        if factor is None:
            raise SecondFactor.DoesNotExist
        codes = _new_codes()
        factor.recovery_codes = [_hashed(user, code) for code in codes]
        factor.save(update_fields=["recovery_codes"])
        return codes


def remove(user: User) -> None:
    """Of oneself."""
    with identity.bound(sign_ins.door(user)):
        SecondFactor.objects.filter(user=user.pk).delete()


@contextmanager
def _locked(user: User) -> Iterator[SecondFactor | None]:
    """The person's row, locked, so that no code counts twice; the scope writes it as moeen_auth in their name."""
    with identity.bound(sign_ins.door(user)), transaction.atomic(using=router.db_for_write(SecondFactor)):
        yield SecondFactor.objects.select_for_update().filter(user=user.pk).first()


def _step(user: User, factor: SecondFactor, code: str) -> int | None:
    """The step that the code is of, if it is right and no later one was used."""
    secret, typed = _opened(user, factor), _normal(code)
    if secret is None:
        return None
    now, codes = int(time.time()) // STEP, pyotp.TOTP(secret, interval=STEP)
    found = [
        step for step in range(now - DRIFT, now + DRIFT + 1) if constant_time_compare(codes.generate_otp(step), typed)
    ]
    return found[0] if found and found[0] > factor.last_step else None


def _new_codes() -> list[str]:
    made = (base64.b32encode(secrets.token_bytes(LETTERS * 5 // 8)).decode().lower() for _ in range(RECOVERY_CODES))
    return ["-".join(code[at : at + 4] for at in range(0, LETTERS, 4)) for code in made]


def _normal(code: str) -> str:
    """As it is compared: without blanks and dashes, Arabic digits as the others, small letters."""
    return "".join(str(unicodedata.digit(letter, letter)) for letter in code.lower() if letter.isalnum())


def _hashed(user: User, code: str, *, key: str | None = None) -> str:
    return salted_hmac(
        "sysadmin.recovery_codes", f"{user.pk} {_normal(code)}", secret=key, algorithm="sha256"
    ).hexdigest()


def _keys() -> Iterator[str]:
    """SECRET_KEY, and those before it (SECRET_KEY_FALLBACKS)."""
    yield from (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


def _cipher(key: str) -> AESGCM:
    return AESGCM(salted_hmac("sysadmin.second_factors", "", secret=key, algorithm="sha256").digest())


def _sealed(user: User, secret: str) -> str:
    """Encrypted: a backup, or whoever reads the table, has no codes by it. The user's id is bound into it."""
    nonce = os.urandom(12)
    sealed = _cipher(settings.SECRET_KEY).encrypt(nonce, secret.encode(), str(user.pk).encode())
    return base64.b64encode(nonce + sealed).decode()


def _opened(user: User, factor: SecondFactor) -> str | None:
    """None where no key fits: then no code is right, and the log says what to do."""
    for key in _keys():
        with suppress(InvalidTag, ValueError):
            kept = base64.b64decode(factor.secret, validate=True)
            return _cipher(key).decrypt(kept[:12], kept[12:], str(user.pk).encode()).decode()
    _logger.error(
        "the second factor %s was encrypted with another SECRET_KEY: name that one in SECRET_KEY_FALLBACKS, or remove "
        "the factor (manage.py reset_second_factor)",
        factor.public_id,
    )
    return None
