"""Row security of the chatbot: who may see and do what (older: 012)."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    dependencies = [
        ("chatbot", "0002_indexes"),
        ("healthcare", "0004_rls"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="chatbot",
            name="0003_rls",
        ),
    ]
