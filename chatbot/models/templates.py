"""Templates: texts that the bot may send."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from moeen.db.constraints import Index
from moeen.db.models import TimestampedModel
from moeen.db.public_ids import PublicIdField


class Template(TimestampedModel):
    """A text with variables, sent once it is approved."""

    public_id = PublicIdField(prefix="tpl_")

    class Category(models.TextChoices):
        GREETING = "greeting", _("Greeting")
        APPOINTMENT = "appointment", _("Appointment")
        INFORMATION = "information", _("Information")
        SUPPORT = "support", _("Support")

    name = models.CharField(_("name"), max_length=255)
    category = models.CharField(_("category"), max_length=100, choices=Category, null=True, blank=True)
    language = models.CharField(
        _("language"),
        max_length=10,
        default="ar",
        db_default="ar",
        db_comment="Language tag, such as ar or en.",
    )
    content = models.TextField(_("content"))
    variables = models.JSONField(
        _("variables"), null=True, blank=True, db_comment="Names of what is filled into the content."
    )
    is_approved = models.BooleanField(_("approved"), default=False, db_default=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="created_templates",
        db_column="created_by",
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("approved by"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="approved_templates",
        db_column="approved_by",
    )

    class Meta:
        db_table = "chatbot_templates"
        db_table_comment = "Texts that the bot may send once they are approved."
        verbose_name = _("template")
        verbose_name_plural = _("templates")
        indexes = [
            Index(fields=["category"], name="chatbot_templates_category_idx"),
            Index(fields=["language"], name="chatbot_templates_language_idx"),
            Index(fields=["is_approved"], name="chatbot_templates_is_approved_idx"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(category__in=["greeting", "appointment", "information", "support"]),
                name="chatbot_templates_category_check",
            ),
        ]

    def __str__(self) -> str:
        return self.name
