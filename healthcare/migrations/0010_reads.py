"""A patient's page shows entries of older databases as well."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    dependencies = [("healthcare", "0009_reads")]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="healthcare", name="0010_reads", replaces=["0008_reads", "0009_reads"]
        ),
    ]
