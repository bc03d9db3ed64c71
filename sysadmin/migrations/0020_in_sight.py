"""What a row points to is what its writer sees."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0019_aliases"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(app_label="sysadmin", name="0020_in_sight"),
    ]
