"""Deals and activities are moved only to leads and deals that their writer sees."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("crm", "0006_audit"),
        ("sysadmin", "0020_in_sight"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(app_label="crm", name="0007_in_sight"),
    ]
