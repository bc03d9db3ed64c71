"""Leads are found by the beginnings of their names, by index."""

from django.db import migrations

import moeen.db.constraints
import moeen.db.functions
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("crm", "0008_id_checks"),
        ("sysadmin", "0031_search"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="crm",
            name="0009_search",
        ),
        moeen.db.operations.RunIndexFile(
            app_label="crm",
            name="0009_indexes",
            state_operations=[
                migrations.AddIndex(
                    model_name="lead",
                    index=moeen.db.constraints.SearchIndex(
                        moeen.db.functions.SearchWords("name", "company", "email", "phone"), name="crm_leads_search_idx"
                    ),
                ),
            ],
        ),
    ]
