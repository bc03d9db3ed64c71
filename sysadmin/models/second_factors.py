"""What somebody's authenticator and the clinic both know: the second factor of signing in."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from moeen.db.models import TimestampedModel
from moeen.db.public_ids import PublicIdField
from moeen.db.roles import PREFIX
from sysadmin.models.users import User


class SecondFactor(TimestampedModel):
    """A person's authenticator (TOTP, RFC 6238), and the recovery codes for the day it is lost."""

    public_id = PublicIdField(prefix="sfa_")

    user = models.OneToOneField(User, verbose_name=_("user"), on_delete=models.CASCADE, related_name="second_factor")
    secret = models.TextField(
        _("secret"),
        editable=False,
        db_comment="A secret: what codes are computed from, encrypted with a key that SECRET_KEY gives.",
    )
    confirmed_at = models.DateTimeField(
        _("set up at"), null=True, editable=False, db_comment="NULL: begun, and not asked for at signing in."
    )
    last_step = models.BigIntegerField(
        _("last code"),
        default=0,
        db_default=0,
        editable=False,
        db_comment="Of the last code taken, in steps of 30 seconds since 1970: it and earlier ones are refused.",
    )
    recovery_codes = models.JSONField(
        _("recovery codes"),
        default=list,
        db_default=[],
        editable=False,
        db_comment="Keyed hashes of those that were not used.",
    )

    class Meta:
        db_table = "second_factors"
        db_table_comment = (
            "What people sign in with besides a password: the secret of an authenticator, recovery codes."
        )
        # Rows that go with a user are loaded without what may not be read.
        base_manager_name = "objects"
        verbose_name = _("second factor")
        verbose_name_plural = _("second factors")

    def __str__(self) -> str:
        return str(self.public_id or self.pk)

    @classmethod
    def withheld_from(cls, role: str) -> tuple[str, ...]:
        return () if role in ("", f"{PREFIX}auth") else ("secret", "last_step", "recovery_codes")
