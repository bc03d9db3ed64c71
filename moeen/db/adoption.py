"""What an older table may hold besides its model. Shipped migrations name this address; the work is in `converge`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Legacy:
    """What one table of an older database may hold that its model does not.

    ``values``: column -> {older value: today's}. ``constraints``: names of constraints to drop.
    """

    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()

    def deconstruct(self) -> tuple[str, tuple[()], dict[str, object]]:
        """For Django's migration writer."""
        kwargs = {"values": dict(self.values), "constraints": self.constraints}
        return "moeen.db.adoption.Legacy", (), {key: value for key, value in kwargs.items() if value}
