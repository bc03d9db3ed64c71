"""The chatbot app: flows of nodes and edges, templates, integrations, conversations and messages."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from chatbot import older
from moeen.db.registry import DatabaseFacts


class ChatbotConfig(AppConfig):
    """What the bot says, where it listens, and what was said."""

    name = "chatbot"
    verbose_name = _("Chatbot")
    database_facts = DatabaseFacts(
        whole_table_roles={"chatbot_integrations": frozenset({"admin", "service"})},
        older_indexes=older.INDEXES,
        secret_readers={"chatbot_integrations": frozenset({"admin", "service"})},
    )
