"""Settings that hold secrets are nobody's but administrators', and one that is shown is recorded."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0024_second_factors"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0025_rls",
            replaces=["0009_rls", "0014_rls"],
        ),
    ]
