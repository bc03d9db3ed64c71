"""Lists of a million rows begin with the newest, and their years with the first and the last day: by index."""

from django.db import migrations

import moeen.db.constraints
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("healthcare", "0012_search"),
    ]

    operations = [
        moeen.db.operations.RunIndexFile(
            app_label="healthcare",
            name="0013_indexes",
            state_operations=[
                migrations.AddIndex(
                    model_name="appointment",
                    index=moeen.db.constraints.Index(fields=["created_at"], name="appointments_created_at_idx"),
                ),
                migrations.AddIndex(
                    model_name="appointment",
                    index=moeen.db.constraints.Index(
                        fields=["appointment_date"], name="appointments_appointment_date_idx"
                    ),
                ),
                migrations.AddIndex(
                    model_name="session",
                    index=moeen.db.constraints.Index(fields=["created_at"], name="sessions_created_at_idx"),
                ),
                migrations.AddIndex(
                    model_name="session",
                    index=moeen.db.constraints.Index(fields=["session_date"], name="sessions_session_date_idx"),
                ),
                migrations.AddIndex(
                    model_name="insuranceclaim",
                    index=moeen.db.constraints.Index(fields=["created_at"], name="insurance_claims_created_at_idx"),
                ),
            ],
        ),
    ]
