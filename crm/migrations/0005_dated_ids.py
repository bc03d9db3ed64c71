"""Dated public ids of older systems whose counter outgrew six digits are kept."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("crm", "0004_rls"),
    ]

    operations = [
        moeen.db.operations.CheckPublicIds(model_names=["activity", "deal", "lead"]),
    ]
