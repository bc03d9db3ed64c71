"""A step on the way to a table's shape."""

from __future__ import annotations

from dataclasses import dataclass

from moeen.db.actions import Action, Mode


@dataclass(frozen=True)
class Step:
    """Actions on one table that run together, in one transaction; or one that runs in a mode of its own."""

    purpose: str
    actions: tuple[Action, ...]

    @property
    def table(self) -> str:
        return self.actions[0].target.table

    @property
    def mode(self) -> Mode:
        return self.actions[0].mode

    @property
    def statements(self) -> tuple[str, ...]:
        return tuple(statement for action in self.actions for statement in action.statements())
