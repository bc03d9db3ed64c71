"""Everybody enters the admin: what its pages need of Django's tables, roles to switch between, an administrator who stays."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0013_dated_ids"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0014_rls",
            replaces=["0009_rls"],
        ),
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0014_administrators",
        ),
    ]
