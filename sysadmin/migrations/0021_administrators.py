"""An administrator stays, whatever a transaction sees of others."""

from django.db import migrations

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # on the way back a transaction for each table

    dependencies = [("sysadmin", "0020_in_sight")]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin", name="0021_administrators", replaces=["0014_administrators"]
        ),
    ]
