"""What a run records of an adoption: what the operator decided, and what is the clinic's own."""

from django.db import migrations, models

import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0010_database"),
    ]

    operations = [
        moeen.db.operations.AddColumn(
            model_name="migrationrun",
            name="decisions",
            field=models.TextField(
                blank=True,
                db_comment="What the operator said for the run besides: a rehearsal left out, a policy kept, with the reasons.",
                db_default="",
                default="",
                verbose_name="decisions",
            ),
        ),
        moeen.db.operations.AddColumn(
            model_name="migrationrun",
            name="own_objects",
            field=models.JSONField(
                blank=True,
                db_comment="Objects that stood at adoption and that no migration made: they stay, and are no finding.",
                db_default=[],
                default=list,
                editable=False,
                verbose_name="the clinic's own",
            ),
        ),
    ]
