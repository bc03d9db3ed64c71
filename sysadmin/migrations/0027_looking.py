"""Who looks at everything as another person is in the audit log."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0026_trail"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0027_sign_ins",
            replaces=["0024_sign_ins"],
        ),
    ]
