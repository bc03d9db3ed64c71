"""Seals of the audit log, and entries that nobody changes or removes but prune_audit_log."""

import uuid

import django.contrib.postgres.functions
import django.contrib.postgres.indexes
from django.db import migrations, models

import moeen.db.operations
import moeen.db.public_ids


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0016_audit"),
    ]

    operations = [
        moeen.db.operations.CreateTable(
            name="AuditSeal",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        default=uuid.uuid4,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("public_id", moeen.db.public_ids.PublicIdField(prefix="sea_")),
                ("number", models.BigIntegerField(editable=False, unique=True, verbose_name="number")),
                (
                    "format",
                    models.IntegerField(
                        db_comment="How entries and seals are written as bytes: see docs/audit.md.",
                        editable=False,
                        verbose_name="format",
                    ),
                ),
                ("sealed_at", models.DateTimeField(editable=False, verbose_name="sealed at")),
                (
                    "previous",
                    models.CharField(
                        db_comment="hash of the seal before; empty in the first.",
                        editable=False,
                        max_length=64,
                        verbose_name="seal before it",
                    ),
                ),
                (
                    "root",
                    models.CharField(
                        db_comment="Merkle root (RFC 6962) of leaves.",
                        editable=False,
                        max_length=64,
                        verbose_name="root",
                    ),
                ),
                ("entries", models.IntegerField(editable=False, verbose_name="entries")),
                (
                    "total",
                    models.BigIntegerField(
                        db_comment="With those of all seals before.", editable=False, verbose_name="entries so far"
                    ),
                ),
                (
                    "columns",
                    models.JSONField(
                        db_comment="[name, type] of what was hashed of each entry, in this order.",
                        editable=False,
                        verbose_name="columns",
                    ),
                ),
                (
                    "system",
                    models.CharField(
                        db_comment="The server's own number: transactions are counted by it.",
                        editable=False,
                        max_length=32,
                        verbose_name="server",
                    ),
                ),
                (
                    "first_transaction",
                    models.BigIntegerField(
                        db_comment="Of its entries.", editable=False, verbose_name="first transaction"
                    ),
                ),
                (
                    "last_transaction",
                    models.BigIntegerField(
                        db_comment="Of its entries.", editable=False, verbose_name="last transaction"
                    ),
                ),
                (
                    "complete_below",
                    models.BigIntegerField(
                        db_comment="Every entry of an earlier transaction is in this seal or one before: all of those had ended.",
                        editable=False,
                        verbose_name="complete below",
                    ),
                ),
                (
                    "next_transaction",
                    models.BigIntegerField(
                        db_comment="This one and later ones had not begun to write.",
                        editable=False,
                        verbose_name="next transaction",
                    ),
                ),
                (
                    "pruned_through",
                    models.BigIntegerField(
                        db_comment="Entries of seals up to this number were removed by prune_audit_log; their leaves stay.",
                        editable=False,
                        verbose_name="pruned through",
                    ),
                ),
                (
                    "lost_from",
                    models.BigIntegerField(
                        db_comment="Seals from this number to the one before this are gone, as the operator said.",
                        editable=False,
                        null=True,
                        verbose_name="lost from",
                    ),
                ),
                (
                    "reason",
                    models.TextField(
                        db_comment="Why seals are lost or entries were removed.", editable=False, verbose_name="reason"
                    ),
                ),
                (
                    "hash",
                    models.CharField(
                        db_comment="SHA-256 of all that stands before.",
                        editable=False,
                        max_length=64,
                        unique=True,
                        verbose_name="hash",
                    ),
                ),
                (
                    "signature",
                    models.TextField(
                        db_comment="Ed25519 of hash, with the key of backups; empty where none was known.",
                        editable=False,
                        verbose_name="signature",
                    ),
                ),
                (
                    "leaves",
                    models.BinaryField(
                        db_comment="64 bytes an entry: id, time, hashes of what it says; see moeen/db/seals/entry.py.",
                        verbose_name="leaves",
                    ),
                ),
            ],
            options={
                "verbose_name": "audit seal",
                "verbose_name_plural": "audit seals",
                "db_table": "audit_seals",
                "db_table_comment": "Seals of the audit log, each chained to the one before. Append-only, see docs/audit.md.",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("number__gt", 0)), name="audit_seals_number_check"),
                    models.CheckConstraint(condition=models.Q(("entries__gte", 0)), name="audit_seals_entries_check"),
                ],
            },
        ),
        moeen.db.operations.RunIndexFile(
            app_label="sysadmin",
            name="0017_indexes",
            state_operations=[
                migrations.AddIndex(
                    model_name="auditlog",
                    index=django.contrib.postgres.indexes.BrinIndex(
                        autosummarize=True, fields=["transaction_id"], name="audit_logs_transaction_id_brin"
                    ),
                ),
            ],
        ),
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0017_rls",
            # Which says anew what 0004_audit began; the triggers of the log here come after both.
            replaces=["0016_audit"],
        ),
    ]
