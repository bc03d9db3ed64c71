"""Patients are found by the beginnings of their names, by index."""

from django.db import migrations

import moeen.db.constraints
import moeen.db.functions
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("healthcare", "0011_id_checks"),
        ("sysadmin", "0031_search"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="healthcare",
            name="0012_search",
        ),
        moeen.db.operations.RunIndexFile(
            app_label="healthcare",
            name="0012_indexes",
            state_operations=[
                migrations.AddIndex(
                    model_name="patient",
                    index=moeen.db.constraints.SearchIndex(
                        moeen.db.functions.SearchWords("first_name", "last_name", "email", "phone"),
                        name="patients_search_idx",
                    ),
                ),
                migrations.AddIndex(
                    model_name="patient",
                    index=moeen.db.constraints.Index(fields=["created_at"], name="patients_created_at_idx"),
                ),
            ],
        ),
    ]
