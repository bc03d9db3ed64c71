"""The audit trail of flows, integrations, conversations and removed messages."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # a transaction for each table

    dependencies = [
        ("chatbot", "0006_dated_ids"),
        ("sysadmin", "0016_audit"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="chatbot",
            name="0007_audit",
        ),
    ]
