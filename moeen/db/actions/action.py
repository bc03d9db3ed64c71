"""What an action is: something done to one object, with what that costs those who use the table meanwhile."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

from moeen.db.names import ObjectName
from moeen.db.sql import compose, fragment


class Lock(enum.StrEnum):
    """The lock on a table while an action works, weakest first. One no stronger than a reader's is NONE."""

    NONE = ""
    ROW_EXCLUSIVE = "ROW EXCLUSIVE"
    SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
    SHARE = "SHARE"
    SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
    ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"

    @property
    def strength(self) -> int:
        return list(Lock).index(self)

    @property
    def stops_writers(self) -> bool:
        return self.strength >= Lock.SHARE.strength

    @property
    def stops_readers(self) -> bool:
        return self is Lock.ACCESS_EXCLUSIVE


class Mode(enum.Enum):
    """How an action is run: in one short transaction with others, alone and in none, or by ranges of pages.

    Of an action in batches the statement is run for one range after the other, each time with the range added to its
    WHERE clause, which comes last.
    """

    TRANSACTION = enum.auto()
    CONCURRENTLY = enum.auto()
    BATCHES = enum.auto()


class Deed(enum.StrEnum):
    """What an action does to what stands, as whoever adopts a database is told."""

    ADD = "add"
    CONVERT = "convert"
    DROP = "drop"


@dataclass(frozen=True)
class Action(ABC):
    """Something done to one object; a subclass says its SQL, and what that does to the object's table meanwhile.

    ``lock``: the strongest on the table. ``scans``: it reads the table through while it holds it. ``rewrites``: it
    writes the table to a new file. ``narrows``: it takes rights away and does nothing else. ``advice``: how
    the same is had without the wait, where it scans or rewrites under a lock that stops somebody.
    """

    target: ObjectName

    @property
    def lock(self) -> Lock:
        return Lock.NONE

    @property
    def scans(self) -> bool:
        return False

    @property
    def rewrites(self) -> bool:
        return False

    @property
    def mode(self) -> Mode:
        return Mode.TRANSACTION

    @property
    def deed(self) -> Deed | None:
        return Deed.CONVERT

    @property
    def narrows(self) -> bool:
        return False

    @property
    def advice(self) -> str:
        return ""

    @abstractmethod
    def statements(self) -> tuple[str, ...]:
        """Its SQL, in the order in which it runs."""

    @property
    def parts(self) -> tuple[Action, ...]:
        """The actions it consists of: itself, where it is a single one."""
        return (self,)


class Change(Action):
    """An action that is one change of an ALTER TABLE."""

    @property
    def lock(self) -> Lock:
        return Lock.ACCESS_EXCLUSIVE

    @abstractmethod
    def clause(self) -> str:
        """What follows the table's name."""

    def statements(self) -> tuple[str, ...]:
        return (_alter_table(self.target, [self.clause()]),)


@dataclass(frozen=True)
class AlterTable(Action):
    """Several changes of one table in one statement: the rows are read or written once for all of them.

    PostgreSQL takes the strongest of their locks, and drops what is dropped before anything else, wherever it stands.
    """

    changes: tuple[Change, ...] = ()

    @property
    def lock(self) -> Lock:
        return strongest(change.lock for change in self.changes)

    @property
    def scans(self) -> bool:
        return any(change.scans for change in self.changes)

    @property
    def rewrites(self) -> bool:
        return any(change.rewrites for change in self.changes)

    @property
    def deed(self) -> Deed | None:
        return self.changes[0].deed

    @property
    def advice(self) -> str:
        return next((change.advice for change in self.changes if change.rewrites), "")

    @property
    def parts(self) -> tuple[Action, ...]:
        return self.changes

    def statements(self) -> tuple[str, ...]:
        return (_alter_table(self.target, [change.clause() for change in self.changes]),)


def together(*changes: Change) -> Action:
    """The changes of one table as one action."""
    return changes[0] if len(changes) == 1 else AlterTable(changes[0].target.relation, changes)


def strongest(locks: Iterable[Lock]) -> Lock:
    return max(locks, key=lambda lock: lock.strength, default=Lock.NONE)


def _alter_table(target: ObjectName, clauses: list[str]) -> str:
    return compose("ALTER TABLE {t} {c}", t=target.relation.identifier(), c=fragment(", ".join(clauses)))
