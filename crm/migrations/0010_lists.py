"""Lists of a million leads or activities begin with the newest: by index."""

from django.conf import settings
from django.db import migrations

import moeen.db.constraints
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("crm", "0009_search"),
        ("healthcare", "0013_lists"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        moeen.db.operations.RunIndexFile(
            app_label="crm",
            name="0010_indexes",
            state_operations=[
                migrations.AddIndex(
                    model_name="activity",
                    index=moeen.db.constraints.Index(fields=["created_at"], name="crm_activities_created_at_idx"),
                ),
                migrations.AddIndex(
                    model_name="lead",
                    index=moeen.db.constraints.Index(fields=["created_at"], name="crm_leads_created_at_idx"),
                ),
            ],
        ),
    ]
