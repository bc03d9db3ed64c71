"""Entries of a rare kind are found without reading the whole log."""

from django.db import migrations
from django.db.models import Q

import moeen.db.constraints
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("sysadmin", "0031_search"),
    ]

    operations = [
        moeen.db.operations.RunIndexFile(
            app_label="sysadmin",
            name="0032_indexes",
            state_operations=[
                migrations.AddIndex(
                    "auditlog",
                    moeen.db.constraints.Index(
                        fields=["action", "created_at"],
                        condition=~Q(action__in=["INSERT", "UPDATE", "DELETE", "READ"]),
                        name="audit_logs_action_created_at_idx",
                    ),
                ),
            ],
        ),
    ]
