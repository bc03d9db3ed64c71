"""Row security of the system tables for signed identities, and who may write which column."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0008_identity"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0009_rls",
            replaces=["0007_rls"],
        ),
    ]
