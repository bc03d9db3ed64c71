"""Indexes are built, rebuilt, renamed and dropped online."""

from __future__ import annotations

from dataclasses import dataclass

from moeen.db.actions.action import Action, Deed, Lock, Mode
from moeen.db.sql import compose, fragment


@dataclass(frozen=True)
class BuildIndex(Action):
    """``body`` is what follows the table's name: USING, the columns, INCLUDE, WHERE.

    ``online``: nobody waits for it. PostgreSQL names an index that has no name.
    """

    body: str = ""
    unique: bool = False
    online: bool = True
    scans = True
    deed = Deed.ADD

    @property
    def lock(self) -> Lock:
        return Lock.SHARE_UPDATE_EXCLUSIVE if self.online else Lock.SHARE

    @property
    def mode(self) -> Mode:
        return Mode.CONCURRENTLY if self.online else Mode.TRANSACTION

    def statements(self) -> tuple[str, ...]:
        create = compose(
            "CREATE {u}INDEX {o}{n}ON {t} {b}",
            u=fragment("UNIQUE " if self.unique else ""),
            o=fragment("CONCURRENTLY " if self.online else ""),
            n=fragment(compose("{n} ", n=self.target.part) if self.target.part else ""),
            t=self.target.relation.identifier(),
            b=fragment(self.body),
        )
        return (create,)


@dataclass(frozen=True)
class DropIndex(Action):
    """Not that of a constraint, which goes with its constraint. ``left``: an interrupted build may have left it."""

    left: bool = False
    lock = Lock.SHARE_UPDATE_EXCLUSIVE
    mode = Mode.CONCURRENTLY

    @property
    def deed(self) -> Deed | None:
        return None if self.left else Deed.DROP

    def statements(self) -> tuple[str, ...]:
        return (compose("DROP INDEX CONCURRENTLY IF EXISTS {n}", n=self.target.identifier()),)


def build_anew(build: BuildIndex) -> tuple[Action, ...]:
    """The build, past what an interrupted one left: that is invalid, and IF NOT EXISTS would accept it."""
    return DropIndex(build.target, left=True), build


@dataclass(frozen=True)
class RebuildIndex(Action):
    """An index that is invalid, or of a constraint."""

    lock = Lock.SHARE_UPDATE_EXCLUSIVE
    scans = True
    mode = Mode.CONCURRENTLY

    def statements(self) -> tuple[str, ...]:
        return (compose("REINDEX INDEX CONCURRENTLY {n}", n=self.target.identifier()),)


@dataclass(frozen=True)
class RenameIndex(Action):
    """The table itself is not locked."""

    to: str = ""

    def statements(self) -> tuple[str, ...]:
        return (compose("ALTER INDEX {n} RENAME TO {to}", n=self.target.identifier(), to=self.to),)
