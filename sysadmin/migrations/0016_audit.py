"""The audit trail, closed: what cannot be recorded does not happen; who acted in which role, from where."""

from django.db import migrations, models
from django.db.models import Q

import moeen.db.constraints
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0015_imports"),
    ]

    operations = [
        moeen.db.operations.AddColumn(
            model_name="auditlog",
            name="acted_as",
            field=models.CharField(
                blank=True,
                db_comment="The role acted in (admin, doctor, service, auth, ...), or operator:<login>. NULL: an older entry.",
                max_length=100,
                null=True,
                verbose_name="acted as",
            ),
        ),
        moeen.db.operations.AddColumn(
            model_name="auditlog",
            name="patient_id",
            field=models.UUIDField(
                blank=True,
                db_comment="patients.id of whom it concerns. No foreign key: a log outlives its patient.",
                null=True,
                verbose_name="patient",
            ),
        ),
        moeen.db.operations.AddColumn(
            model_name="auditlog",
            name="request_id",
            field=models.CharField(
                blank=True,
                db_comment="One request's entries share it. It, address and user agent are what the request said of itself.",
                max_length=100,
                null=True,
                verbose_name="request",
            ),
        ),
        moeen.db.operations.AddColumn(
            model_name="auditlog",
            name="transaction_id",
            field=models.BigIntegerField(
                blank=True,
                db_comment="pg_current_xact_id() on the server of that time: one transaction's entries share it.",
                null=True,
                verbose_name="transaction",
            ),
        ),
        moeen.db.operations.AlterColumn(
            model_name="auditlog",
            name="action",
            field=models.CharField(
                db_comment="What was done: INSERT, UPDATE, DELETE, TRUNCATE or an application's own word.",
                max_length=100,
                verbose_name="action",
            ),
        ),
        moeen.db.operations.RunIndexFile(
            app_label="sysadmin",
            name="0016_indexes",
            state_operations=[
                migrations.AddIndex(
                    "auditlog",
                    moeen.db.constraints.Index(
                        fields=["record_id", "created_at"], name="audit_logs_record_id_created_at_idx"
                    ),
                ),
                migrations.AddIndex(
                    "auditlog",
                    moeen.db.constraints.Index(
                        fields=["patient_id", "created_at"],
                        condition=Q(patient_id__isnull=False),
                        name="audit_logs_patient_id_created_at_idx",
                    ),
                ),
                migrations.AddIndex(
                    "auditlog",
                    moeen.db.constraints.Index(
                        fields=["table_name", "created_at"], name="audit_logs_table_name_created_at_idx"
                    ),
                ),
            ],
        ),
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0016_audit",
            replaces=["0004_audit", "0008_identity"],
        ),
    ]
