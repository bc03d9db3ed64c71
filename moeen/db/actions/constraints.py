"""Constraints are added, proven, exchanged and dropped."""

from __future__ import annotations

from dataclasses import dataclass

from moeen.db.actions.action import Action, Change, Deed, Lock
from moeen.db.sql import compose, fragment


@dataclass(frozen=True)
class AddConstraint(Change):
    """``body`` is what follows its name. A unique, primary key or exclusion constraint builds its index meanwhile."""

    body: str = ""
    deed = Deed.ADD
    scans = True
    advice = "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT ... USING INDEX"

    def clause(self) -> str:
        return compose("ADD CONSTRAINT {n} {b}", n=self.target.part, b=fragment(self.body))


@dataclass(frozen=True)
class AddCheck(AddConstraint):
    """Of new rows; `Validate` proves the older ones."""

    scans = False

    def clause(self) -> str:
        return f"{super().clause()} NOT VALID"


@dataclass(frozen=True)
class AddForeignKey(AddCheck):
    """Of new rows; `Validate` proves the older ones. The table it refers to is locked like its own."""

    lock = Lock.SHARE_ROW_EXCLUSIVE


@dataclass(frozen=True)
class AddUnique(Change):
    """A unique constraint from an index that stands, which takes its name."""

    index: str = ""
    deed = Deed.ADD

    def clause(self) -> str:
        return compose("ADD CONSTRAINT {n} UNIQUE USING INDEX {i}", n=self.target.part, i=self.index)


@dataclass(frozen=True)
class Validate(Change):
    """The rows that stood before the constraint are proven; nobody waits."""

    lock = Lock.SHARE_UPDATE_EXCLUSIVE
    scans = True
    deed = None

    def clause(self) -> str:
        return compose("VALIDATE CONSTRAINT {n}", n=self.target.part)


@dataclass(frozen=True)
class DropConstraint(Change):
    """Its index goes with it. The table that a foreign key refers to is locked like its own."""

    deed = Deed.DROP

    def clause(self) -> str:
        return compose("DROP CONSTRAINT IF EXISTS {n}", n=self.target.part)


@dataclass(frozen=True)
class RenameConstraint(Action):
    """ALTER TABLE renames one thing at a time."""

    to: str = ""
    lock = Lock.ACCESS_EXCLUSIVE

    def statements(self) -> tuple[str, ...]:
        table = self.target.relation.identifier()
        return (compose("ALTER TABLE {t} RENAME CONSTRAINT {n} TO {to}", t=table, n=self.target.part, to=self.to),)


@dataclass(frozen=True)
class SwapForeignKey(Action):
    """A foreign key takes the place of ``others``, and its name, if it ``stands_as`` another meanwhile."""

    others: tuple[str, ...] = ()
    stands_as: str = ""
    lock = Lock.ACCESS_EXCLUSIVE

    def statements(self) -> tuple[str, ...]:
        drops = [DropConstraint(self.target.has(other)) for other in self.others]
        renames = [RenameConstraint(self.target.has(self.stands_as), self.target.part)] if self.stands_as else []
        return tuple(statement for action in (*drops, *renames) for statement in action.statements())
