"""Imports from databases of another shape, and the keys that their rows had there: tables of the operator's own."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from moeen.db.functions import Now
from moeen.db.models import Model


class ImportRun(Model):
    """One call of ``manage.py import_database`` that was to write."""

    source = models.CharField(_("source"), max_length=100, db_comment="The name that the mapping gives it.")
    started_at = models.DateTimeField(_("started at"), db_default=Now(), editable=False)
    finished_at = models.DateTimeField(_("finished at"), null=True, editable=False)
    actor = models.CharField(_("by"), max_length=255, db_comment="Operating system user and host.")
    outcome = models.CharField(
        _("outcome"),
        max_length=20,
        default="running",
        db_default="running",
        db_comment="running without a session that holds the lock: killed; the next run went on.",
    )
    mapping = models.TextField(_("mapping"), db_comment="The file as it was read.")
    receipt = models.JSONField(
        _("receipt"),
        default=dict,
        db_default={},
        blank=True,
        editable=False,
        db_comment="Of each table: rows and digests as read and as they stand, rows refused. No row's content.",
    )
    error = models.TextField(_("error"), default="", db_default="", blank=True)

    class Meta:
        db_table = "import_runs"
        db_table_comment = "Imports from databases of another shape, each with its mapping and its receipt."
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome__in=["running", "done", "failed"]), name="import_runs_outcome_check"
            )
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.outcome}"


class LegacyKey(Model):
    """The key that a row had in the database it was imported from."""

    source = models.CharField(_("source"), max_length=100, editable=False)
    table_name = models.CharField(_("table"), max_length=100, editable=False)
    old_key = models.TextField(_("old key"), db_collation="C", editable=False, db_comment="As text.")
    new_id = models.UUIDField(
        _("row"), editable=False, db_comment="id of the row. No foreign key: it may be of any table."
    )
    digest = models.UUIDField(
        _("digest"), editable=False, db_comment="MD5 of the row as it was read: a later run takes what differs."
    )
    row_hash = models.BigIntegerField(
        _("hash"), editable=False, db_comment="hash_record_extended of the row as it was written."
    )

    class Meta:
        db_table = "legacy_keys"
        db_table_comment = "Keys that imported rows had before, and whose they were: old links still resolve."
        verbose_name = _("old key")
        verbose_name_plural = _("old keys")
        constraints = [
            models.UniqueConstraint(
                fields=["source", "table_name", "old_key"], name="legacy_keys_source_table_name_old_key_key"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.table_name} {self.old_key}"
