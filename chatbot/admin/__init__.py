"""The admin pages of the chatbot app."""

from __future__ import annotations

from chatbot.admin.conversations import ConversationAdmin, MessageAdmin
from chatbot.admin.flows import EdgeAdmin, FlowAdmin, NodeAdmin, TemplateAdmin
from chatbot.admin.integrations import IntegrationAdmin

__all__ = [
    "ConversationAdmin",
    "EdgeAdmin",
    "FlowAdmin",
    "IntegrationAdmin",
    "MessageAdmin",
    "NodeAdmin",
    "TemplateAdmin",
]
