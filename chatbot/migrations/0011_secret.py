"""A webhook secret is given once it is on record that it was asked for."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("chatbot", "0010_id_checks"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="chatbot",
            name="0011_secret",
            replaces=["0004_rls", "0009_templates"],
        ),
    ]
