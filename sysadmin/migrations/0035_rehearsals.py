"""What the last rehearsal of a run found is kept, for administrators to look at."""

from django.db import migrations, models

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0034_requests"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            "sysadmin",
            "0035_rehearsals",
            state_operations=[
                migrations.RemoveConstraint(model_name="operatorreport", name="operator_reports_kind_check"),
                migrations.AddConstraint(
                    model_name="operatorreport",
                    constraint=models.CheckConstraint(
                        condition=models.Q(("kind__in", ["doctor", "validation", "rehearsal"])),
                        name="operator_reports_kind_check",
                    ),
                ),
            ],
        ),
    ]
