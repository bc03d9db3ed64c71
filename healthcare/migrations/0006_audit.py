"""The audit trail of all clinical tables."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # a transaction for each table

    dependencies = [
        ("healthcare", "0005_rls"),
        ("sysadmin", "0013_audit"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="healthcare",
            name="0006_audit",
            replaces=["0003_audit"],
        ),
    ]
