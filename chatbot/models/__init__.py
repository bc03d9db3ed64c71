"""The tables of the chatbot app."""

from __future__ import annotations

from chatbot.models.conversations import Conversation, Message
from chatbot.models.flows import Edge, Flow, Node
from chatbot.models.integrations import Integration
from chatbot.models.templates import Template

__all__ = ["Conversation", "Edge", "Flow", "Integration", "Message", "Node", "Template"]
