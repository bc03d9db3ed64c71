"""Whoever watches the service learns whether the database has the migrations of the code that serves."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0027_looking"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0028_readiness",
        ),
    ]
