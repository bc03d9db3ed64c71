"""Row security of healthcare: who may see and do what (older: part of 031)."""

from django.db import migrations

import moeen.db.constraints
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("healthcare", "0003_audit"),
        ("sysadmin", "0007_rls"),
    ]

    operations = [
        # What the policies filter by.
        moeen.db.operations.RunIndexFile(
            app_label="healthcare",
            name="0004_indexes",
            state_operations=[
                migrations.AddIndex(
                    "doctor", moeen.db.constraints.Index(fields=["is_active"], name="doctors_is_active_idx")
                ),
            ],
        ),
        moeen.db.operations.RunSQLFile(
            app_label="healthcare",
            name="0004_rls",
        ),
    ]
