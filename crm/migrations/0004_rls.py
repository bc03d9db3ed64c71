"""Row security of crm for signed identities, and who may write which column."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("crm", "0003_rls"),
        ("sysadmin", "0008_identity"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="crm",
            name="0004_rls",
            replaces=["0003_rls"],
        ),
    ]
