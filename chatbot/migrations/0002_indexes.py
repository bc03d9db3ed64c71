"""Indexes beyond keys and foreign keys (older: 011)."""

from django.db import migrations

import moeen.db.constraints
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("chatbot", "0001_tables"),
    ]

    operations = [
        moeen.db.operations.AddTableIndex(
            model_name="flow",
            index=moeen.db.constraints.Index(
                fields=["created_by", "status"], name="chatbot_flows_created_by_status_idx"
            ),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="flow",
            index=moeen.db.constraints.Index(fields=["status"], name="chatbot_flows_status_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="node",
            index=moeen.db.constraints.Index(fields=["node_type"], name="chatbot_nodes_node_type_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="edge",
            index=moeen.db.constraints.Index(
                fields=["source_node", "flow"], name="chatbot_edges_source_node_id_flow_id_idx"
            ),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="edge",
            index=moeen.db.constraints.Index(
                fields=["target_node", "flow"], name="chatbot_edges_target_node_id_flow_id_idx"
            ),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="template",
            index=moeen.db.constraints.Index(fields=["category"], name="chatbot_templates_category_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="template",
            index=moeen.db.constraints.Index(fields=["language"], name="chatbot_templates_language_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="template",
            index=moeen.db.constraints.Index(fields=["is_approved"], name="chatbot_templates_is_approved_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="integration",
            index=moeen.db.constraints.Index(fields=["provider"], name="chatbot_integrations_provider_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="integration",
            index=moeen.db.constraints.Index(fields=["status"], name="chatbot_integrations_status_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="integration",
            index=moeen.db.constraints.Index(fields=["health_status"], name="chatbot_integrations_health_status_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="conversation",
            index=moeen.db.constraints.Index(fields=["patient", "status"], name="conversations_patient_id_status_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="conversation",
            index=moeen.db.constraints.Index(fields=["status"], name="conversations_status_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="conversation",
            index=moeen.db.constraints.Index(fields=["channel"], name="conversations_channel_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="conversation",
            index=moeen.db.constraints.Index(fields=["external_id"], name="conversations_external_id_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="message",
            index=moeen.db.constraints.Index(
                fields=["conversation", "sent_at"], name="messages_conversation_id_sent_at_idx"
            ),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="message",
            index=moeen.db.constraints.Index(fields=["sender_type"], name="messages_sender_type_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="message",
            index=moeen.db.constraints.Index(fields=["message_type"], name="messages_message_type_idx"),
        ),
        moeen.db.operations.AddTableIndex(
            model_name="message",
            index=moeen.db.constraints.Index(fields=["sent_at"], name="messages_sent_at_idx"),
        ),
    ]
