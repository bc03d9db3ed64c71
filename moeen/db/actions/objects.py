"""Triggers, rules, functions, schemas, sequences; and what is dropped whole."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from moeen.db.actions.action import Action, Change, Deed, Lock
from moeen.db.sql import compose, fragment


@dataclass(frozen=True)
class CreateTrigger(Action):
    """``definition``: the whole statement. ``anew``: in the place of one that stands."""

    definition: str = ""
    anew: bool = False
    lock = Lock.SHARE_ROW_EXCLUSIVE
    deed = Deed.ADD

    def statements(self) -> tuple[str, ...]:
        return (self.definition.replace("CREATE ", "CREATE OR REPLACE ", 1) if self.anew else self.definition,)


@dataclass(frozen=True)
class SetTriggerState(Change):
    """``state``: ENABLE, DISABLE, ENABLE REPLICA or ENABLE ALWAYS."""

    state: str = "ENABLE"
    lock = Lock.SHARE_ROW_EXCLUSIVE

    def clause(self) -> str:
        return compose("{s} TRIGGER {n}", s=fragment(self.state), n=self.target.part)


@dataclass(frozen=True)
class EnableAllTriggers(Change):
    """Those behind foreign keys too, for which a superuser is needed."""

    lock = Lock.SHARE_ROW_EXCLUSIVE

    def clause(self) -> str:
        return "ENABLE TRIGGER ALL"


@dataclass(frozen=True)
class DropTrigger(Action):
    """The table stays."""

    lock = Lock.ACCESS_EXCLUSIVE
    deed = Deed.DROP

    def statements(self) -> tuple[str, ...]:
        table = self.target.relation.identifier()
        return (compose("DROP TRIGGER IF EXISTS {n} ON {t}", n=self.target.part, t=table),)


@dataclass(frozen=True)
class CreateRule(Action):
    """``definition``: the whole statement. ``anew``: in the place of one that stands."""

    definition: str = ""
    anew: bool = False
    lock = Lock.ACCESS_EXCLUSIVE
    deed = Deed.ADD

    def statements(self) -> tuple[str, ...]:
        return (self.definition.replace("CREATE ", "CREATE OR REPLACE ", 1) if self.anew else self.definition,)


@dataclass(frozen=True)
class DropRule(Action):
    """Statements do what they say again."""

    lock = Lock.ACCESS_EXCLUSIVE
    deed = Deed.DROP

    def statements(self) -> tuple[str, ...]:
        table = self.target.relation.identifier()
        return (compose("DROP RULE IF EXISTS {n} ON {t}", n=self.target.part, t=table),)


@dataclass(frozen=True)
class CreateFunction(Action):
    """``definition``: the whole statement. It takes the place of one of the same name and arguments."""

    definition: str = ""
    deed = Deed.ADD

    def statements(self) -> tuple[str, ...]:
        return (self.definition,)


@dataclass(frozen=True)
class FixSearchPath(Action):
    """A function finds what PostgreSQL brings, and nothing that its caller put before it."""

    def statements(self) -> tuple[str, ...]:
        return (compose("ALTER FUNCTION {f} SET search_path = pg_catalog, pg_temp", f=self.target.identifier()),)


@dataclass(frozen=True)
class CreateSchema(Action):
    """An empty one."""

    deed = Deed.ADD

    def statements(self) -> tuple[str, ...]:
        return (compose("CREATE SCHEMA {n}", n=self.target.identifier()),)


@dataclass(frozen=True)
class AlterSequence(Action):
    """``change``: such as ``INCREMENT 1``. Its one row is written anew."""

    change: str = ""
    lock = Lock.SHARE_ROW_EXCLUSIVE
    scans = True
    rewrites = True

    def statements(self) -> tuple[str, ...]:
        return (compose("ALTER SEQUENCE {n} {c}", n=self.target.identifier(), c=fragment(self.change)),)


@dataclass(frozen=True)
class SetSequence(Action):
    """The next number is the one after ``last``."""

    last: int = 0
    lock = Lock.ROW_EXCLUSIVE

    def statements(self) -> tuple[str, ...]:
        name = sql.Literal(sql.Identifier(self.target.schema, self.target.table).as_string(None))
        return (compose("SELECT setval({s}, {n})", s=name, n=sql.Literal(self.last)),)


@dataclass(frozen=True)
class Drop(Action):
    """``kind`` is what DROP calls it: VIEW, FUNCTION... ``named``: as SQL writes its name, if it is a rarer one."""

    kind: str = "TABLE"
    named: str = ""
    deed = Deed.DROP

    @property
    def lock(self) -> Lock:
        relations = ("TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "SEQUENCE")
        return Lock.ACCESS_EXCLUSIVE if self.kind in relations else Lock.NONE

    def statements(self) -> tuple[str, ...]:
        name = fragment(self.named) if self.named else self.target.identifier()
        return (compose("DROP {k} {n}", k=fragment(self.kind), n=name),)


@dataclass(frozen=True)
class RunSQL(Action):
    """A statement that no other action describes. What it does is not known, so it counts as the worst."""

    text: str = ""
    narrows: bool = False
    lock = Lock.ACCESS_EXCLUSIVE
    scans = True
    rewrites = True

    def statements(self) -> tuple[str, ...]:
        return (self.text,)
