"""Indexes beyond keys and foreign keys (older: 011)."""

from django.db import migrations
from django.db.migrations import AddIndex

import moeen.db.operations
from moeen.db.constraints import Index


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("chatbot", "0001_tables"),
    ]

    operations = [
        moeen.db.operations.RunIndexFile(
            app_label="chatbot",
            name="0002_indexes",
            state_operations=[
                AddIndex("flow", Index(fields=["created_by", "status"], name="chatbot_flows_created_by_status_idx")),
                AddIndex("flow", Index(fields=["status"], name="chatbot_flows_status_idx")),
                AddIndex("node", Index(fields=["node_type"], name="chatbot_nodes_node_type_idx")),
                AddIndex(
                    "edge", Index(fields=["source_node", "flow"], name="chatbot_edges_source_node_id_flow_id_idx")
                ),
                AddIndex(
                    "edge", Index(fields=["target_node", "flow"], name="chatbot_edges_target_node_id_flow_id_idx")
                ),
                AddIndex("template", Index(fields=["category"], name="chatbot_templates_category_idx")),
                AddIndex("template", Index(fields=["language"], name="chatbot_templates_language_idx")),
                AddIndex("template", Index(fields=["is_approved"], name="chatbot_templates_is_approved_idx")),
                AddIndex("integration", Index(fields=["provider"], name="chatbot_integrations_provider_idx")),
                AddIndex("integration", Index(fields=["status"], name="chatbot_integrations_status_idx")),
                AddIndex("integration", Index(fields=["health_status"], name="chatbot_integrations_health_status_idx")),
                AddIndex(
                    "conversation", Index(fields=["patient", "status"], name="conversations_patient_id_status_idx")
                ),
                AddIndex("conversation", Index(fields=["status"], name="conversations_status_idx")),
                AddIndex("conversation", Index(fields=["channel"], name="conversations_channel_idx")),
                AddIndex("conversation", Index(fields=["external_id"], name="conversations_external_id_idx")),
                AddIndex(
                    "message", Index(fields=["conversation", "sent_at"], name="messages_conversation_id_sent_at_idx")
                ),
                AddIndex("message", Index(fields=["sender_type"], name="messages_sender_type_idx")),
                AddIndex("message", Index(fields=["message_type"], name="messages_message_type_idx")),
                AddIndex("message", Index(fields=["sent_at"], name="messages_sent_at_idx")),
            ],
        ),
    ]
