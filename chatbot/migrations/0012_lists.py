"""Lists of a million conversations begin with the newest: by index."""

from django.db import migrations

import moeen.db.constraints
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("chatbot", "0011_secret"),
        ("healthcare", "0013_lists"),
    ]

    operations = [
        moeen.db.operations.RunIndexFile(
            app_label="chatbot",
            name="0012_indexes",
            state_operations=[
                migrations.AddIndex(
                    model_name="conversation",
                    index=moeen.db.constraints.Index(fields=["created_at"], name="conversations_created_at_idx"),
                ),
            ],
        ),
    ]
