"""What an operator's commands last found, kept for administrators: a table of the operator's own."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from moeen.db.functions import Now
from moeen.db.models import Model


class OperatorReport(Model):
    """The last report of one kind."""

    kind = models.CharField(_("kind"), max_length=20, unique=True, editable=False)
    looked_at = models.DateTimeField(_("looked at"), db_default=Now(), editable=False)
    actor = models.CharField(_("by"), max_length=255, editable=False, db_comment="Operating system user and host.")
    ok = models.BooleanField(_("in order"), editable=False)
    report = models.JSONField(
        _("report"),
        editable=False,
        db_comment="Lines or findings: names of objects, states and next steps. No row's content.",
    )

    class Meta:
        db_table = "operator_reports"
        db_table_comment = "What doctor and validate_schema last found; one row of each kind."
        verbose_name = _("operations report")
        verbose_name_plural = _("operations")
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["doctor", "validation", "rehearsal"]), name="operator_reports_kind_check"
            )
        ]

    def __str__(self) -> str:
        return self.kind
