"""Dated public ids of older systems whose counter outgrew six digits are kept."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0012_passwords"),
    ]

    operations = [
        moeen.db.operations.CheckPublicIds(
            model_names=[
                "auditlog",
                "internalmessage",
                "notification",
                "role",
                "setting",
                "user",
                "userpreference",
                "userrole",
            ]
        ),
    ]
