"""Pages of flows, nodes, edges and templates."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import get_language_info
from django.utils.translation import gettext_lazy as _

from chatbot.models import Edge, Flow, Node, Template
from sysadmin.admin.base import ModelAdmin


@admin.register(Flow)
class FlowAdmin(ModelAdmin):
    """Conversation plans."""

    list_display = (
        "name",
        "status",
        "version",
        "created_by",
        "published_at",
        "shown_public_id",
    )
    list_filter = ("status",)
    list_select_related = ("created_by",)
    search_fields = ("name",)
    search_help_text = _("A public id (of the flow or its author), or part of the name.")
    fieldsets = ((None, {"fields": ("name", "description", "status", "version", "published_at")}),)
    record_fields = ("created_by",)
    author_field = "created_by"


@admin.register(Node)
class NodeAdmin(ModelAdmin):
    """Steps of flows."""

    list_display = (
        "name",
        "flow",
        "node_type",
        "shown_public_id",
    )
    list_filter = ("node_type",)
    list_select_related = ("flow",)
    search_fields = ("name", "flow__name")
    search_help_text = _("A public id (of the node or its flow), or part of either's name.")
    autocomplete_fields = ("flow",)
    fieldsets = (
        (None, {"fields": ("flow", "node_type", "name", "config")}),
        (_("Position"), {"fields": ("position_x", "position_y")}),
    )

    def choice_label(self, obj: Any) -> str:
        return f"{obj.name} ({obj.public_id or obj.pk})"


@admin.register(Edge)
class EdgeAdmin(ModelAdmin):
    """Steps from node to node of one flow."""

    list_display = (
        "shown_public_id",
        "flow",
        "source_node",
        "target_node",
    )
    list_select_related = ("flow", "source_node", "target_node")
    search_fields = ("public_id__exact", "flow__name")
    search_help_text = _("A public id (of the edge, its flow or a node), or part of the flow's name.")
    autocomplete_fields = ("flow", "source_node", "target_node")
    fieldsets = ((None, {"fields": ("flow", "source_node", "target_node", "condition")}),)


@admin.register(Template)
class TemplateAdmin(ModelAdmin):
    """Texts that the bot may send."""

    list_display = (
        "name",
        "category",
        "shown_language",
        "is_approved",
        "created_by",
        "shown_public_id",
    )
    list_filter = ("category", "is_approved")
    list_select_related = ("created_by",)
    search_fields = ("name",)
    search_help_text = _("A public id (of the template or its author), or part of the name.")
    fieldsets = ((None, {"fields": ("name", "category", "language", "content", "variables", "is_approved")}),)
    record_fields = ("created_by", "approved_by")
    author_field = "created_by"

    @admin.display(description=_("language"), ordering="language")
    def shown_language(self, obj: Template) -> str:
        try:
            return str(get_language_info(obj.language)["name_translated"])
        except KeyError:
            return obj.language

    def save_model(self, request: HttpRequest, obj: Template, form: Any, change: bool) -> None:
        if "is_approved" in form.changed_data:
            obj.approved_by = request.user if obj.is_approved else None  # type: ignore[assignment]
        super().save_model(request, obj, form, change)
