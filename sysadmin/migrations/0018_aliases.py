"""Former public ids of any form lead to their rows."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0017_audit_seals"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0018_aliases",
        ),
    ]
