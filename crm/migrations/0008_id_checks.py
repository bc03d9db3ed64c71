"""The form of public ids is checked at a seventh of the cost: no pattern counts repetitions any more."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("crm", "0007_in_sight"),
    ]

    operations = [
        moeen.db.operations.CheckPublicIds(model_names=["activity", "deal", "lead"]),
    ]
