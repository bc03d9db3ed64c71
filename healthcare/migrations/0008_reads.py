"""Who looked at a patient's clinical record, and the way to one outside of one's care."""

import django.db.models.manager
from django.db import migrations

import moeen.db.operations


def managers() -> list[tuple[str, django.db.models.manager.Manager]]:
    """What the state of a model says where rows that refer to it use another manager than its own queries."""
    return [(name, django.db.models.manager.Manager()) for name in ("objects", "referred")]


class Migration(migrations.Migration):
    atomic = False  # a transaction for each table

    dependencies = [
        ("healthcare", "0007_audit"),
        ("sysadmin", "0017_audit_seals"),
    ]

    operations = [
        moeen.db.operations.RunSQLFile(
            app_label="healthcare",
            name="0008_reads",
            # Its policies; the trail's triggers stay.
            replaces=["0005_rls"],
        ),
        # Rows that refer to these leave their clinical fields out.
        migrations.AlterModelOptions(
            name="appointment",
            options={
                "base_manager_name": "referred",
                "verbose_name": "appointment",
                "verbose_name_plural": "appointments",
            },
        ),
        migrations.AlterModelManagers(name="appointment", managers=managers()),
        migrations.AlterModelOptions(
            name="insuranceclaim",
            options={
                "base_manager_name": "referred",
                "verbose_name": "insurance claim",
                "verbose_name_plural": "insurance claims",
            },
        ),
        migrations.AlterModelManagers(name="insuranceclaim", managers=managers()),
        migrations.AlterModelOptions(
            name="patient",
            options={
                "base_manager_name": "referred",
                "verbose_name": "patient",
                "verbose_name_plural": "patients",
            },
        ),
        migrations.AlterModelManagers(name="patient", managers=managers()),
        migrations.AlterModelOptions(
            name="session",
            options={
                "base_manager_name": "referred",
                "verbose_name": "session",
                "verbose_name_plural": "sessions",
            },
        ),
        migrations.AlterModelManagers(name="session", managers=managers()),
    ]
