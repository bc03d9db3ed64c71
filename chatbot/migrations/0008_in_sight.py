"""Published flows stay as they were looked at; conversations move only to integrations that are seen."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("chatbot", "0007_audit"),
        ("sysadmin", "0020_in_sight"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(app_label="chatbot", name="0008_in_sight"),
    ]
