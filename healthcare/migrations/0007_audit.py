"""The audit trail of all clinical tables."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # a transaction for each table

    dependencies = [
        ("healthcare", "0006_dated_ids"),
        ("sysadmin", "0016_audit"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="healthcare",
            name="0007_audit",
            replaces=["0003_audit"],
        ),
    ]
