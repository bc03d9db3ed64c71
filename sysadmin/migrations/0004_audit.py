"""The audit trail of users, and audit_logs append-only (older: the triggers of 031)."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    dependencies = [
        ("sysadmin", "0003_system_tables"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0004_audit",
        ),
    ]
