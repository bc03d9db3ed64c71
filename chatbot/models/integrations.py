"""Integrations: the services through which the bot listens and speaks."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import URLValidator
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from moeen.db.constraints import Index
from moeen.db.models import TimestampedModel
from moeen.db.public_ids import PublicIdField


class Channel(models.TextChoices):
    """Where a conversation takes place."""

    WHATSAPP = "whatsapp", _("WhatsApp")
    WEB = "web", _("Web")
    TELEGRAM = "telegram", _("Telegram")
    FACEBOOK = "facebook", _("Facebook")


class Integration(TimestampedModel):
    """An account at a messaging service."""

    public_id = PublicIdField(prefix="int_")

    class Status(models.TextChoices):
        INACTIVE = "inactive", _("Inactive")
        ACTIVE = "active", _("Active")
        ERROR = "error", _("Error")

    class HealthStatus(models.TextChoices):
        UNKNOWN = "unknown", _("Unknown")
        HEALTHY = "healthy", _("Healthy")
        UNHEALTHY = "unhealthy", _("Unhealthy")

    provider = models.CharField(_("provider"), max_length=50, choices=Channel)
    name = models.CharField(_("name"), max_length=255)
    config = models.JSONField(_("configuration"), blank=True)
    status = models.CharField(
        _("status"), max_length=50, choices=Status, default=Status.INACTIVE, db_default=Status.INACTIVE
    )
    webhook_url = models.CharField(
        _("webhook address"),
        max_length=500,
        null=True,
        blank=True,
        validators=[URLValidator(schemes=["http", "https"])],
    )
    webhook_secret = models.CharField(
        _("webhook secret"),
        max_length=255,
        null=True,
        blank=True,
        db_comment="A secret: signs what the service sends. Never logged, never shown whole.",
    )
    last_health_check = models.DateTimeField(_("last health check"), null=True, blank=True)
    health_status = models.CharField(
        _("health"),
        max_length=50,
        choices=HealthStatus,
        default=HealthStatus.UNKNOWN,
        db_default=HealthStatus.UNKNOWN,
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="created_integrations",
        db_column="created_by",
    )

    class Meta:
        db_table = "chatbot_integrations"
        base_manager_name = "objects"  # where it is referred to, the secret is left out as well
        db_table_comment = "Accounts at messaging services; holds secrets, seen by administrators only."
        verbose_name = _("integration")
        verbose_name_plural = _("integrations")
        indexes = [
            Index(fields=["provider"], name="chatbot_integrations_provider_idx"),
            Index(fields=["status"], name="chatbot_integrations_status_idx"),
            Index(fields=["health_status"], name="chatbot_integrations_health_status_idx"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(provider__in=["whatsapp", "web", "telegram", "facebook"]),
                name="chatbot_integrations_provider_check",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["inactive", "active", "error"]),
                name="chatbot_integrations_status_check",
            ),
            models.CheckConstraint(
                condition=Q(health_status__in=["unknown", "healthy", "unhealthy"]),
                name="chatbot_integrations_health_status_check",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def withheld_from(cls, role: str) -> tuple[str, ...]:
        return ("webhook_secret",) if role else ()

    def has_webhook_secret(self) -> bool:
        """Whether there is a secret; yes or no is all that administrators learn of it."""
        with connections[self._state.db or DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute("SELECT app.has_integration_secret(%s)", [self.pk])
            return bool(cursor.fetchone()[0])
