"""The time of Django's own log is the server's, and keys that sign identities come and go on record."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # a transaction for each table

    dependencies = [
        ("sysadmin", "0029_id_checks"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0030_trail",
        ),
    ]
