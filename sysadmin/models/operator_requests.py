"""What administrators ask an operator's worker to do: a table of the operator's own."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from moeen.db import requests
from moeen.db.functions import Now
from moeen.db.models import Model
from sysadmin.models.users import User


class OperatorRequest(Model):
    """One thing that is asked for. Whoever serves pages owns nothing and does none of it: `manage.py work` does."""

    class Kind(models.TextChoices):
        BACKFILL = requests.BACKFILL, _("Fill in public ids")
        CANCEL = requests.CANCEL, _("Cancel the backfill")
        VERIFY = requests.VERIFY, _("Prove a backup by a restore")

    class Outcome(models.TextChoices):
        DONE = requests.DONE, _("Done")
        REFUSED = requests.REFUSED, _("Ended with findings")
        FAILED = requests.FAILED, _("It failed")

    kind = models.CharField(_("what"), max_length=40, choices=Kind)
    subject = models.CharField(
        _("of what"), max_length=100, db_comment="A table; the id of a backup, or latest: a word of the command."
    )
    asked_by = models.ForeignKey(
        User,
        verbose_name=_("asked by"),
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        db_column="asked_by",
    )
    asked_at = models.DateTimeField(_("asked at"), db_default=Now(), editable=False)
    taken_at = models.DateTimeField(
        _("taken up at"), null=True, editable=False, db_comment="NULL: it waits for a worker, and may be withdrawn."
    )
    taken_by = models.CharField(
        _("taken up by"), max_length=255, default="", db_default="", blank=True, editable=False,
        db_comment="Operating system user and host.",
    )  # fmt: skip
    finished_at = models.DateTimeField(_("finished at"), null=True, editable=False)
    outcome = models.CharField(
        _("outcome"), max_length=20, choices=Outcome, default="", db_default="", blank=True, editable=False
    )
    says = models.TextField(
        _("what came of it"), default="", db_default="", blank=True, editable=False,
        db_comment="The command's last words. No row's content.",
    )  # fmt: skip

    class Meta:
        db_table = "operator_requests"
        db_table_comment = "What administrators asked an operator's worker to do, and what came of it."
        verbose_name = _("request to operators")
        verbose_name_plural = _("requests to operators")
        ordering = ["-asked_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=[requests.BACKFILL, requests.CANCEL, requests.VERIFY]),
                name="operator_requests_kind_check",
            ),
            # It becomes a word of a command line, and never an option.
            models.CheckConstraint(
                condition=Q(subject__regex=r"^[A-Za-z0-9][A-Za-z0-9_-]*$"), name="operator_requests_subject_check"
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=["", requests.DONE, requests.REFUSED, requests.FAILED]),
                name="operator_requests_outcome_check",
            ),
            models.UniqueConstraint(
                fields=["kind", "subject"],
                condition=Q(finished_at__isnull=True),
                name="operator_requests_kind_subject_unfinished_key",
                violation_error_message=_("This is asked for already."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.subject}"
