"""Settings that are changed while the application runs."""

from __future__ import annotations

import re

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from moeen.db.constraints import Index
from moeen.db.models import TimestampedModel
from moeen.db.public_ids import PublicIdField
from sysadmin.models.users import User

#: Names of settings that hold secrets; policies, stamp_setting() and the audit trail say it in the same words.
_SECRET = re.compile("secret|token|passw|credential|key$", re.IGNORECASE)


def is_secret(key: str) -> bool:
    """Whether a setting of this name holds a secret."""
    return _SECRET.search(key) is not None


class Setting(TimestampedModel):
    """A named JSON value. Public ones are shown to anybody, signed in or not; secret ones to administrators alone."""

    public_id = PublicIdField(prefix="set_")

    class Category(models.TextChoices):
        GENERAL = "general", _("General")
        API = "api", _("API")
        INTEGRATIONS = "integrations", _("Integrations")
        NOTIFICATIONS = "notifications", _("Notifications")

    key = models.CharField(_("key"), max_length=255, unique=True)
    value = models.JSONField(_("value"), blank=True)
    description = models.TextField(_("description"), null=True, blank=True)
    category = models.CharField(
        _("category"), max_length=100, choices=Category, default=Category.GENERAL, db_default=Category.GENERAL
    )
    is_public = models.BooleanField(
        _("public"),
        default=False,
        db_default=False,
        help_text=_("Shown to anybody, signed in or not."),
        db_comment="True: anybody may read it, signed in or not.",
    )
    updated_by = models.ForeignKey(
        User,
        verbose_name=_("updated by"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="updated_settings",
        db_column="updated_by",
    )

    class Meta:
        db_table = "settings"
        db_table_comment = "Settings that are changed while the application runs; key and JSON value."
        ordering = ["key"]
        verbose_name = _("setting")
        verbose_name_plural = _("settings")
        # The rows that most people see.
        indexes = [Index(fields=["is_public"], name="settings_is_public_idx")]
        constraints = [
            models.CheckConstraint(
                condition=Q(category__in=["general", "api", "integrations", "notifications"]),
                name="settings_category_check",
            ),
        ]

    def __str__(self) -> str:
        return self.key
