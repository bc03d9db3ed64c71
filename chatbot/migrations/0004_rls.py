"""Row security of chatbot for signed identities, and who may write which column."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("chatbot", "0003_rls"),
        ("healthcare", "0005_rls"),
        ("sysadmin", "0008_identity"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="chatbot",
            name="0004_rls",
            replaces=["0003_rls"],
        ),
        migrations.AlterModelOptions(
            name="integration",
            options={
                "base_manager_name": "objects",
                "verbose_name": "integration",
                "verbose_name_plural": "integrations",
            },
        ),
    ]
