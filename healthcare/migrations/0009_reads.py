"""A record is open once that is entered for good; whose record was read is told to who sees the row."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    dependencies = [("healthcare", "0008_reads")]

    operations = [
        moeen.db.operations.RunSQLFile(app_label="healthcare", name="0009_reads", replaces=["0008_reads"]),
    ]
