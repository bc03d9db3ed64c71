"""Indexes beyond keys and foreign keys (older: 021)."""

from django.db import migrations
from django.db.migrations import AddIndex

import moeen.db.operations
from moeen.db.constraints import Index


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("crm", "0001_tables"),
    ]

    operations = [
        moeen.db.operations.RunIndexFile(
            app_label="crm",
            name="0002_indexes",
            state_operations=[
                AddIndex("lead", Index(fields=["owner", "status"], name="crm_leads_owner_id_status_idx")),
                AddIndex("lead", Index(fields=["status"], name="crm_leads_status_idx")),
                AddIndex("lead", Index(fields=["source"], name="crm_leads_source_idx")),
                AddIndex("lead", Index(fields=["email"], name="crm_leads_email_idx")),
                AddIndex("deal", Index(fields=["owner", "stage"], name="crm_deals_owner_id_stage_idx")),
                AddIndex("deal", Index(fields=["stage"], name="crm_deals_stage_idx")),
                AddIndex("deal", Index(fields=["value"], name="crm_deals_value_idx")),
                AddIndex("deal", Index(fields=["expected_close_date"], name="crm_deals_expected_close_date_idx")),
                AddIndex("activity", Index(fields=["owner", "status"], name="crm_activities_owner_id_status_idx")),
                AddIndex("activity", Index(fields=["due_date", "status"], name="crm_activities_due_date_status_idx")),
                AddIndex("activity", Index(fields=["type"], name="crm_activities_type_idx")),
                AddIndex("activity", Index(fields=["status"], name="crm_activities_status_idx")),
                AddIndex("activity", Index(fields=["priority"], name="crm_activities_priority_idx")),
            ],
        ),
    ]
