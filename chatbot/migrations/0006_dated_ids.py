"""Dated public ids of older systems whose counter outgrew six digits are kept."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("chatbot", "0005_edges_keys"),
    ]

    operations = [
        moeen.db.operations.CheckPublicIds(
            model_names=["conversation", "edge", "flow", "integration", "message", "node", "template"]
        ),
    ]
