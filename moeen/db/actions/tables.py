"""A table's own properties: row security, storage, what it inherits, comments and owners."""

from __future__ import annotations

import re
from dataclasses import dataclass

from psycopg import sql

from moeen.db.actions.action import Action, Change, Deed, Lock
from moeen.db.names import ObjectName
from moeen.db.sql import compose, fragment

#: Parameters of a table that can be changed beside those who write (reloptions.c); the rest is as good as unknown.
GENTLE_PARAMETERS = re.compile(
    r"(?:toast\.)?(?:autovacuum_\w+|n_distinct(?:_inherited)?|fillfactor|log_autovacuum_\w+|parallel_workers|toast_tuple_target|vacuum_\w+)",
    re.IGNORECASE,
)
#: A view shows what whoever asks may see.
INVOKER = (("security_invoker", "true"),)
#: Parts of a table that are named together with it.
_OF_A_TABLE = frozenset({"constraint", "trigger", "policy", "rule"})


@dataclass(frozen=True)
class SetRowSecurity(Change):
    """Without a policy, nobody but the owner sees a row."""

    on: bool = True

    @property
    def deed(self) -> Deed:
        return Deed.ADD if self.on else Deed.DROP

    @property
    def narrows(self) -> bool:
        return self.on

    def clause(self) -> str:
        return f"{'ENABLE' if self.on else 'DISABLE'} ROW LEVEL SECURITY"


@dataclass(frozen=True)
class ForceRowSecurity(Change):
    """For the owner as well, or not."""

    on: bool = False

    def clause(self) -> str:
        return f"{'' if self.on else 'NO '}FORCE ROW LEVEL SECURITY"


@dataclass(frozen=True)
class SetLogged(Change):
    """Whether the table is in the log, by which it outlives a crash and reaches standbys."""

    on: bool = True
    scans = True
    rewrites = True

    def clause(self) -> str:
        return f"SET {'LOGGED' if self.on else 'UNLOGGED'}"


@dataclass(frozen=True)
class SetParameters(Change):
    """Storage parameters of a table, or n_distinct of a column, with their values; those without one are reset."""

    values: tuple[tuple[str, str], ...] = ()

    @property
    def lock(self) -> Lock:
        gentle = all(GENTLE_PARAMETERS.fullmatch(name) for name, _ in self.values)
        return Lock.SHARE_UPDATE_EXCLUSIVE if gentle else Lock.ACCESS_EXCLUSIVE

    def clause(self) -> str:
        reset = ", ".join(name for name, value in self.values if not value)
        put = ", ".join(f"{name} = {value}" for name, value in self.values if value)
        changes = filter(None, (f"RESET ({reset})" if reset else "", f"SET ({put})" if put else ""))
        column = compose("ALTER COLUMN {c} ", c=self.target.part) if self.target.part else ""
        return ", ".join(column + change for change in changes)


@dataclass(frozen=True)
class ResetReplicaIdentity(Change):
    """Logical replication sends the primary key."""

    def clause(self) -> str:
        return "REPLICA IDENTITY DEFAULT"


@dataclass(frozen=True)
class Disinherit(Change):
    """Its rows are read through the parent no more."""

    parent: ObjectName

    def clause(self) -> str:
        return compose("NO INHERIT {p}", p=self.parent.identifier())


@dataclass(frozen=True)
class Detach(Change):
    """A partition becomes a table by itself."""

    partition: ObjectName

    def clause(self) -> str:
        return compose("DETACH PARTITION {p}", p=self.partition.identifier())


@dataclass(frozen=True)
class SetOwner(Action):
    """``kind`` is what ALTER calls it: TABLE, FUNCTION..."""

    kind: str = "TABLE"
    owner: str = ""

    @property
    def lock(self) -> Lock:
        return Lock.ACCESS_EXCLUSIVE if self.kind in ("TABLE", "SEQUENCE") else Lock.NONE

    def statements(self) -> tuple[str, ...]:
        kind, name = fragment(self.kind), self.target.identifier()
        return (compose("ALTER {k} {n} OWNER TO {o}", k=kind, n=name, o=self.owner),)


@dataclass(frozen=True)
class Comment(Action):
    """``kind``: table, column, constraint, function... Without ``text`` the comment goes."""

    kind: str = "table"
    text: str = ""
    deed = None

    @property
    def lock(self) -> Lock:
        locked = self.kind in ("table", "column", "sequence")
        return Lock.SHARE_UPDATE_EXCLUSIVE if locked else Lock.NONE

    def statements(self) -> tuple[str, ...]:
        table = self.target.relation.identifier()
        if self.kind in _OF_A_TABLE:
            named = compose("{n} ON {t}", n=self.target.part, t=table)
        elif self.kind == "column":
            named = compose("{t}.{n}", n=self.target.part, t=table)
        else:
            named = compose("{n}", n=self.target.identifier())
        text = sql.Literal(self.text) if self.text else sql.SQL("NULL")
        return (compose("COMMENT ON {k} {n} IS {t}", k=fragment(self.kind.upper()), n=fragment(named), t=text),)
