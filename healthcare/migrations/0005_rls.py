"""Row security of healthcare for signed identities, and who may write which column."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("healthcare", "0004_rls"),
        ("sysadmin", "0008_identity"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="healthcare",
            name="0005_rls",
            replaces=["0004_rls"],
        ),
        migrations.AlterModelOptions(
            name="patient",
            options={"base_manager_name": "objects", "verbose_name": "patient", "verbose_name_plural": "patients"},
        ),
    ]
