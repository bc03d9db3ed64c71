"""The audit trail of leads, deals and activities."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # a transaction for each table

    dependencies = [
        ("crm", "0005_dated_ids"),
        ("sysadmin", "0016_audit"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="crm",
            name="0006_audit",
        ),
    ]
