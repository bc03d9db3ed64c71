"""Indexes beyond keys and foreign keys (older: 021)."""

from django.db import migrations

import moeen.db.constraints
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("crm", "0001_tables"),
    ]

    operations = [
        moeen.db.operations.AddTableIndex(
            model_name="lead",
            index=moeen.db.constraints.Index(fields=["owner", "status"], name="crm_leads_owner_id_status_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="lead",
            index=moeen.db.constraints.Index(fields=["status"], name="crm_leads_status_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="lead",
            index=moeen.db.constraints.Index(fields=["source"], name="crm_leads_source_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="lead",
            index=moeen.db.constraints.Index(fields=["email"], name="crm_leads_email_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="deal",
            index=moeen.db.constraints.Index(fields=["owner", "stage"], name="crm_deals_owner_id_stage_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="deal",
            index=moeen.db.constraints.Index(fields=["stage"], name="crm_deals_stage_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="deal",
            index=moeen.db.constraints.Index(fields=["value"], name="crm_deals_value_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="deal",
            index=moeen.db.constraints.Index(fields=["expected_close_date"], name="crm_deals_expected_close_date_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="activity",
            index=moeen.db.constraints.Index(fields=["owner", "status"], name="crm_activities_owner_id_status_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="activity",
            index=moeen.db.constraints.Index(fields=["due_date", "status"], name="crm_activities_due_date_status_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="activity",
            index=moeen.db.constraints.Index(fields=["type"], name="crm_activities_type_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="activity",
            index=moeen.db.constraints.Index(fields=["status"], name="crm_activities_status_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="activity",
            index=moeen.db.constraints.Index(fields=["priority"], name="crm_activities_priority_idx"),
        ),
    ]
