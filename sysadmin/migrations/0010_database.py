"""The database is closed to logins that are not its own: roles belong to the server, and neighbours share them."""

from django.db import migrations

import moeen.db.entrance


class Migration(migrations.Migration):
    dependencies = [
        ("sysadmin", "0009_rls"),
    ]

    operations = [
        moeen.db.entrance.CloseDatabase(),
    ]
