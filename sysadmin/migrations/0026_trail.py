"""The audit trail cannot be taken out by hand unseen, and seals say what guarded it."""

from django.db import migrations, models

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0025_settings"),
    ]

    operations = [
        moeen.db.operations.AddColumn(
            model_name="auditseal",
            name="guards",
            field=models.JSONField(
                db_comment="What wrote and kept the log, as the catalog had it; {}: as the seal before.",
                db_default={},
                default=dict,
                editable=False,
                verbose_name="guards",
            ),
        ),
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0026_trail",
            replaces=["0016_audit", "0024_rls"],
        ),
    ]
