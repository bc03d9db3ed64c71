"""What migrations do to the database and its server besides tables."""

from __future__ import annotations

from typing import Any

from django.db.migrations.operations.base import Operation


class ServerOperation(Operation):
    """An operation that changes roles, rights or keys: no part of the models' state."""

    reversible = True
    reduces_to_sql = False

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Nothing: see the class."""
