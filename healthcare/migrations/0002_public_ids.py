"""Public ids of the clinical tables (older: 001, 002, 003)."""

from django.db import migrations

import moeen.db.operations
import moeen.db.public_ids


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("healthcare", "0001_core_tables"),
    ]

    operations = [
        moeen.db.operations.AddColumn(
            model_name="patient",
            name="public_id",
            field=moeen.db.public_ids.PublicIdField(prefix="pat_"),
        ),
        moeen.db.operations.AddColumn(
            model_name="doctor",
            name="public_id",
            field=moeen.db.public_ids.PublicIdField(prefix="doc_"),
        ),
        moeen.db.operations.AddColumn(
            model_name="appointment",
            name="public_id",
            field=moeen.db.public_ids.PublicIdField(prefix="apt_"),
        ),
        moeen.db.operations.AddColumn(
            model_name="session",
            name="public_id",
            field=moeen.db.public_ids.PublicIdField(prefix="ses_"),
        ),
        moeen.db.operations.AddColumn(
            model_name="insuranceclaim",
            name="public_id",
            field=moeen.db.public_ids.PublicIdField(prefix="clm_"),
        ),
        moeen.db.operations.RunSQLFile(
            app_label="healthcare",
            name="0002_updated_at",
        ),
    ]
