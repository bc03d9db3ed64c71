"""People are found by the beginnings of their names, by index: users, and what the other apps need for theirs."""

from django.db import migrations, models

import moeen.db.constraints
import moeen.db.functions
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0030_trail"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="sysadmin",
            name="0031_search",
        ),
        moeen.db.operations.RunIndexFile(
            app_label="sysadmin",
            name="0031_indexes",
            state_operations=[
                migrations.AddIndex(
                    model_name="user",
                    index=moeen.db.constraints.SearchIndex(
                        moeen.db.functions.SearchWords("name", models.Value(None), "email", "phone"),
                        name="users_search_idx",
                    ),
                ),
            ],
        ),
    ]
