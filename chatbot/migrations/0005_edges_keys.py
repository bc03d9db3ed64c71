"""The keys of an edge to its nodes begin with the node, as their indexes do."""

import django.db.models.deletion
from django.db import migrations

import moeen.db.constraints
import moeen.db.operations


class Migration(migrations.Migration):
    atomic = False  # works online, in transactions of its own

    dependencies = [
        ("chatbot", "0004_rls"),
    ]

    # Each new key stands before its older one goes: no edge is unguarded in between.
    operations = [
        moeen.db.operations.AddTableConstraint(
            model_name="edge",
            constraint=moeen.db.constraints.ForeignKeyConstraint(
                fields=("source_node", "flow"),
                name="chatbot_edges_source_node_id_flow_id_fkey",
                on_delete=django.db.models.deletion.CASCADE,
                to="chatbot.Node",
                to_fields=("id", "flow"),
                violation_error_message="The node it comes from belongs to another flow.",
            ),
        ),
        moeen.db.operations.AddTableConstraint(
            model_name="edge",
            constraint=moeen.db.constraints.ForeignKeyConstraint(
                fields=("target_node", "flow"),
                name="chatbot_edges_target_node_id_flow_id_fkey",
                on_delete=django.db.models.deletion.CASCADE,
                to="chatbot.Node",
                to_fields=("id", "flow"),
                violation_error_message="The node it leads to belongs to another flow.",
            ),
        ),
        moeen.db.operations.RemoveTableConstraint(
            model_name="edge",
            name="chatbot_edges_flow_id_source_node_id_fkey",
        ),
        moeen.db.operations.RemoveTableConstraint(
            model_name="edge",
            name="chatbot_edges_flow_id_target_node_id_fkey",
        ),
    ]
