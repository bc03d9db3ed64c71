"""Who changes an approved text is who has approved it."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # on the way back a transaction for each table

    dependencies = [("chatbot", "0008_in_sight")]

    operations = [
        moeen.db.operations.RunSQLFile(app_label="chatbot", name="0009_templates", replaces=["0004_rls"]),
    ]
