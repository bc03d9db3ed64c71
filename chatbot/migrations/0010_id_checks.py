"""The form of public ids is checked at a seventh of the cost: no pattern counts repetitions any more."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("chatbot", "0009_templates"),
    ]

    operations = [
        moeen.db.operations.CheckPublicIds(
            model_names=["conversation", "edge", "flow", "integration", "message", "node", "template"]
        ),
    ]
