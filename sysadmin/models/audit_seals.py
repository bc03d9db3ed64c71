"""The seals of the audit log: what makes a later change of it provable."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from moeen.db.models import Model
from moeen.db.public_ids import PublicIdField


class AuditSeal(Model):
    """One batch of entries of the audit log, hashed and chained to the seal before it. Append-only."""

    public_id = PublicIdField(prefix="sea_")

    number = models.BigIntegerField(_("number"), unique=True, editable=False)
    format = models.IntegerField(
        _("format"), editable=False, db_comment="How entries and seals are written as bytes: see docs/audit.md."
    )
    sealed_at = models.DateTimeField(_("sealed at"), editable=False)
    previous = models.CharField(
        _("seal before it"), max_length=64, editable=False, db_comment="hash of the seal before; empty in the first."
    )
    root = models.CharField(_("root"), max_length=64, editable=False, db_comment="Merkle root (RFC 6962) of leaves.")
    entries = models.IntegerField(_("entries"), editable=False)
    total = models.BigIntegerField(_("entries so far"), editable=False, db_comment="With those of all seals before.")
    columns = models.JSONField(
        _("columns"), editable=False, db_comment="[name, type] of what was hashed of each entry, in this order."
    )
    system = models.CharField(
        _("server"),
        max_length=32,
        editable=False,
        db_comment="The server's own number: transactions are counted by it.",
    )
    first_transaction = models.BigIntegerField(_("first transaction"), editable=False, db_comment="Of its entries.")
    last_transaction = models.BigIntegerField(_("last transaction"), editable=False, db_comment="Of its entries.")
    complete_below = models.BigIntegerField(
        _("complete below"),
        editable=False,
        db_comment="Every entry of an earlier transaction is in this seal or one before: all of those had ended.",
    )
    next_transaction = models.BigIntegerField(
        _("next transaction"), editable=False, db_comment="This one and later ones had not begun to write."
    )
    pruned_through = models.BigIntegerField(
        _("pruned through"),
        editable=False,
        db_comment="Entries of seals up to this number were removed by prune_audit_log; their leaves stay.",
    )
    lost_from = models.BigIntegerField(
        _("lost from"),
        null=True,
        editable=False,
        db_comment="Seals from this number to the one before this are gone, as the operator said.",
    )
    reason = models.TextField(_("reason"), editable=False, db_comment="Why seals are lost or entries were removed.")
    guards = models.JSONField(
        _("guards"),
        default=dict,
        db_default={},
        editable=False,
        db_comment="What wrote and kept the log, as the catalog had it; {}: as the seal before.",
    )
    hash = models.CharField(
        _("hash"), max_length=64, unique=True, editable=False, db_comment="SHA-256 of all that stands before."
    )
    signature = models.TextField(
        _("signature"),
        editable=False,
        db_comment="Ed25519 of hash, with the key of backups; empty where none was known.",
    )
    leaves = models.BinaryField(
        _("leaves"),
        editable=False,
        db_comment="64 bytes an entry: id, time, hashes of what it says; see moeen/db/seals/entry.py.",
    )

    @classmethod
    def withheld_from(cls, role: str) -> tuple[str, ...]:
        return ("leaves",) if role else ()

    class Meta:
        db_table = "audit_seals"
        db_table_comment = "Seals of the audit log, each chained to the one before. Append-only, see docs/audit.md."
        verbose_name = _("audit seal")
        verbose_name_plural = _("audit seals")
        constraints = [
            models.CheckConstraint(condition=Q(number__gt=0), name="audit_seals_number_check"),
            models.CheckConstraint(condition=Q(entries__gte=0), name="audit_seals_entries_check"),
        ]

    def __str__(self) -> str:
        return str(self.public_id or self.pk)
