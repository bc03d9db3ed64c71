"""The audit log: who changed what."""

from __future__ import annotations

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from moeen.db.constraints import Index
from moeen.db.functions import Now
from moeen.db.models import Model
from moeen.db.public_ids import PublicIdField

#: What most entries are of.
COMMON_KINDS = ["INSERT", "UPDATE", "DELETE", "READ"]


class AuditLog(Model):
    """One change to one row, written by the audit triggers, or one event by its own word. Append-only."""

    public_id = PublicIdField(prefix="aud_")

    user_id = models.UUIDField(
        _("user"),
        null=True,
        blank=True,
        db_comment="users.id of who did it. No foreign key: a log outlives its user. NULL: nobody was signed in.",
    )
    acted_as = models.CharField(
        _("acted as"),
        max_length=100,
        null=True,
        blank=True,
        db_comment="The role acted in (admin, doctor, service, auth, ...), or operator:<login>. NULL: an older entry.",
    )
    action = models.CharField(
        _("action"),
        max_length=100,
        db_comment="What was done: INSERT, UPDATE, DELETE, TRUNCATE or an application's own word.",
    )
    table_name = models.CharField(_("table"), max_length=100)
    record_id = models.UUIDField(_("record"), null=True, blank=True, db_comment="id of the row that was changed.")
    patient_id = models.UUIDField(
        _("patient"),
        null=True,
        blank=True,
        db_comment="patients.id of whom it concerns. No foreign key: a log outlives its patient.",
    )
    old_values = models.JSONField(
        _("old values"), null=True, blank=True, db_comment="Changed columns before; secrets are redacted."
    )
    new_values = models.JSONField(
        _("new values"), null=True, blank=True, db_comment="Changed columns after; secrets are redacted."
    )
    ip_address = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    user_agent = models.TextField(_("user agent"), null=True, blank=True)
    request_id = models.CharField(
        _("request"),
        max_length=100,
        null=True,
        blank=True,
        db_comment="One request's entries share it. It, address and user agent are what the request said of itself.",
    )
    transaction_id = models.BigIntegerField(
        _("transaction"),
        null=True,
        blank=True,
        db_comment="pg_current_xact_id() on the server of that time: one transaction's entries share it.",
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    class Meta:
        db_table = "audit_logs"
        db_table_comment = "Who changed what and when. Append-only: filled by triggers, never updated or deleted."
        verbose_name = _("audit log entry")
        verbose_name_plural = _("audit log")
        indexes = [
            # A person sees their own entries; the log is read from its newest end.
            Index(fields=["user_id", "created_at"], name="audit_logs_user_id_created_at_idx"),
            Index(fields=["created_at"], name="audit_logs_created_at_idx"),
            # What is not sealed yet. The log grows at its end, so that a few kilobytes tell which pages hold it.
            BrinIndex(fields=["transaction_id"], autosummarize=True, name="audit_logs_transaction_id_brin"),
            # The history of a row, who saw or changed what of a patient, the changes of a table.
            Index(fields=["record_id", "created_at"], name="audit_logs_record_id_created_at_idx"),
            Index(
                fields=["patient_id", "created_at"],
                condition=Q(patient_id__isnull=False),
                name="audit_logs_patient_id_created_at_idx",
            ),
            Index(fields=["table_name", "created_at"], name="audit_logs_table_name_created_at_idx"),
            # Kinds that are rare. Of the others, the newest are near the end.
            Index(
                fields=["action", "created_at"],
                condition=~Q(action__in=COMMON_KINDS),
                name="audit_logs_action_created_at_idx",
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id or self.pk)
