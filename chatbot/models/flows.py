"""Flows: what the bot says and when, as a graph of nodes and edges."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from moeen.db.constraints import ForeignKeyConstraint, Index
from moeen.db.functions import Now
from moeen.db.models import Model, TimestampedModel
from moeen.db.public_ids import PublicIdField


class Flow(TimestampedModel):
    """A conversation plan. Only published ones are followed."""

    public_id = PublicIdField(prefix="flw_")

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        PUBLISHED = "published", _("Published")
        ARCHIVED = "archived", _("Archived")

    name = models.CharField(_("name"), max_length=255)
    description = models.TextField(_("description"), null=True, blank=True)
    status = models.CharField(_("status"), max_length=50, choices=Status, default=Status.DRAFT, db_default=Status.DRAFT)
    version = models.IntegerField(_("version"), default=1, db_default=1)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="created_flows",
        db_column="created_by",
        db_index=False,  # chatbot_flows_created_by_status_idx begins with it
    )
    published_at = models.DateTimeField(_("published at"), null=True, blank=True)

    class Meta:
        db_table = "chatbot_flows"
        db_table_comment = "Conversation plans of the bot; nodes and edges belong to one flow."
        verbose_name = _("flow")
        verbose_name_plural = _("flows")
        indexes = [
            Index(fields=["created_by", "status"], name="chatbot_flows_created_by_status_idx"),
            # Most people see the published ones only.
            Index(fields=["status"], name="chatbot_flows_status_idx"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["draft", "published", "archived"]), name="chatbot_flows_status_check"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Node(TimestampedModel):
    """One step of a flow."""

    public_id = PublicIdField(prefix="nod_")

    class NodeType(models.TextChoices):
        START = "start", _("Start")
        MESSAGE = "message", _("Message")
        CONDITION = "condition", _("Condition")
        ACTION = "action", _("Action")
        END = "end", _("End")

    flow = models.ForeignKey(
        Flow,
        verbose_name=_("flow"),
        on_delete=models.CASCADE,
        related_name="nodes",
        db_index=False,  # chatbot_nodes_flow_id_id_key begins with it
    )
    node_type = models.CharField(_("type"), max_length=50, choices=NodeType)
    name = models.CharField(_("name"), max_length=255)
    config = models.JSONField(_("configuration"), default=dict, db_default={}, blank=True)
    position_x = models.IntegerField(
        _("position x"), default=0, db_default=0, db_comment="Pixels from the left in the flow editor."
    )
    position_y = models.IntegerField(
        _("position y"), default=0, db_default=0, db_comment="Pixels from the top in the flow editor."
    )

    class Meta:
        db_table = "chatbot_nodes"
        db_table_comment = "Steps of a flow."
        verbose_name = _("node")
        verbose_name_plural = _("nodes")
        indexes = [Index(fields=["node_type"], name="chatbot_nodes_node_type_idx")]
        constraints = [
            # What the edges' foreign keys refer to.
            models.UniqueConstraint(fields=["flow", "id"], name="chatbot_nodes_flow_id_id_key"),
            models.CheckConstraint(
                condition=Q(node_type__in=["start", "message", "condition", "action", "end"]),
                name="chatbot_nodes_node_type_check",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Edge(Model):
    """A step from one node to another of the same flow."""

    public_id = PublicIdField(prefix="edg_")

    flow = models.ForeignKey(Flow, verbose_name=_("flow"), on_delete=models.CASCADE, related_name="edges")
    # The database keeps both by the constraints below: (node, flow) holds the nodes to the edge's own flow. Keys and
    # indexes begin with the node, so that an index serves its key and a look-up by node as well.
    source_node = models.ForeignKey(
        Node,
        verbose_name=_("from node"),
        on_delete=models.CASCADE,
        related_name="outgoing_edges",
        db_index=False,
        db_constraint=False,
    )
    target_node = models.ForeignKey(
        Node,
        verbose_name=_("to node"),
        on_delete=models.CASCADE,
        related_name="incoming_edges",
        db_index=False,
        db_constraint=False,
    )
    condition = models.JSONField(
        _("condition"), null=True, blank=True, db_comment="When the edge is taken; NULL: always."
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    class Meta:
        db_table = "chatbot_edges"
        db_table_comment = "Steps from node to node; both nodes belong to the edge's own flow."
        verbose_name = _("edge")
        verbose_name_plural = _("edges")
        indexes = [
            Index(fields=["source_node", "flow"], name="chatbot_edges_source_node_id_flow_id_idx"),
            Index(fields=["target_node", "flow"], name="chatbot_edges_target_node_id_flow_id_idx"),
        ]
        constraints = [
            ForeignKeyConstraint(
                name="chatbot_edges_source_node_id_flow_id_fkey",
                fields=["source_node", "flow"],
                to="chatbot.Node",
                to_fields=["id", "flow"],
                on_delete=models.CASCADE,
                violation_error_message=_("The node it comes from belongs to another flow."),
            ),
            ForeignKeyConstraint(
                name="chatbot_edges_target_node_id_flow_id_fkey",
                fields=["target_node", "flow"],
                to="chatbot.Node",
                to_fields=["id", "flow"],
                on_delete=models.CASCADE,
                violation_error_message=_("The node it leads to belongs to another flow."),
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id or self.pk)
