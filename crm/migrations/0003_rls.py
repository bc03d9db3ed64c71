"""Row security of the CRM: who may see and do what (older: 022)."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    dependencies = [
        ("crm", "0002_indexes"),
        ("sysadmin", "0007_rls"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="crm",
            name="0003_rls",
        ),
    ]
