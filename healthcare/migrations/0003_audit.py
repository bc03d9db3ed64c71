"""The audit trail of patients and appointments (older: the triggers of 031)."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    dependencies = [
        ("healthcare", "0002_public_ids"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="healthcare",
            name="0003_audit",
        ),
    ]
