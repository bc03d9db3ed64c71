"""Who may do what: policies, grants, roles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from moeen.db.actions.action import Action, Deed, Lock
from moeen.db.sql import compose, fragment, role_sql


@dataclass(frozen=True)
class CreatePolicy(Action):
    """Row security's answer for one command and some roles."""

    command: str = "ALL"
    roles: tuple[str, ...] = ("PUBLIC",)
    using: str = ""
    check: str = ""
    restrictive: bool = False
    lock = Lock.ACCESS_EXCLUSIVE
    deed = Deed.ADD

    def statements(self) -> tuple[str, ...]:
        kind = "RESTRICTIVE" if self.restrictive else "PERMISSIVE"
        return (f"CREATE POLICY {_at(self)} AS {kind} FOR {self.command} {_scope(self.roles, self.using, self.check)}",)


@dataclass(frozen=True)
class AlterPolicy(Action):
    """Roles and conditions; the others stay."""

    roles: tuple[str, ...] = ("PUBLIC",)
    using: str = ""
    check: str = ""
    lock = Lock.ACCESS_EXCLUSIVE

    def statements(self) -> tuple[str, ...]:
        return (f"ALTER POLICY {_at(self)} {_scope(self.roles, self.using, self.check)}",)


@dataclass(frozen=True)
class DropPolicy(Action):
    """Nobody sees a row by it any more."""

    lock = Lock.ACCESS_EXCLUSIVE
    deed = Deed.DROP
    narrows = True

    def statements(self) -> tuple[str, ...]:
        return (f"DROP POLICY IF EXISTS {_at(self)}",)


@dataclass(frozen=True)
class Grant(Action):
    """``on`` names the object as SQL does, its kind included. ``pass_on``: they may grant it to others."""

    rights: str = "ALL"
    on: str = ""
    roles: tuple[str, ...] = ()
    pass_on: bool = False
    deed = Deed.ADD

    def statements(self) -> tuple[str, ...]:
        option = " WITH GRANT OPTION" if self.pass_on else ""
        return (f"GRANT {self.rights} ON {self.on} TO {_listed(self.roles)}{option}",)


@dataclass(frozen=True)
class Revoke(Action):
    """``cascade``: what its holders passed on goes too."""

    rights: str = "ALL"
    on: str = ""
    roles: tuple[str, ...] = ()
    cascade: bool = False
    deed = Deed.DROP
    narrows = True

    def statements(self) -> tuple[str, ...]:
        return (f"REVOKE {self.rights} ON {self.on} FROM {_listed(self.roles)}{' CASCADE' if self.cascade else ''}",)


@dataclass(frozen=True)
class CreateRole(Action):
    """One that policies name and nobody logs in as."""

    deed = Deed.ADD

    def statements(self) -> tuple[str, ...]:
        return (compose("CREATE ROLE {r} NOLOGIN", r=self.target.part),)


@dataclass(frozen=True)
class TakeAttributes(Action):
    """Such as SUPERUSER and LOGIN, from a role."""

    attributes: tuple[str, ...] = ()
    deed = Deed.DROP
    narrows = True

    def statements(self) -> tuple[str, ...]:
        taken = fragment(" ".join(f"NO{attribute}" for attribute in self.attributes))
        return (compose("ALTER ROLE {r} {taken}", r=self.target.part, taken=taken),)


@dataclass(frozen=True)
class GrantRole(Action):
    """A role's membership, to another. ``inherit``: its rights as well, whatever the other's default (from 16 on)."""

    to: str = ""
    inherit: bool = False
    deed = Deed.ADD

    def statements(self) -> tuple[str, ...]:
        granted = compose("GRANT {r} TO {to}", r=self.target.part, to=self.to)
        return (f"{granted} WITH INHERIT TRUE" if self.inherit else granted,)


@dataclass(frozen=True)
class RevokeRole(Action):
    """A role's membership, from another."""

    member: str = ""
    deed = Deed.DROP
    narrows = True

    def statements(self) -> tuple[str, ...]:
        return (compose("REVOKE {r} FROM {m}", r=self.target.part, m=self.member),)


@dataclass(frozen=True)
class DefaultPrivileges(Action):
    """Those of ``owner`` on TABLES, FUNCTIONS... that are made later go ``away_from`` roles; then others are given."""

    owner: str = ""
    schema: str = ""
    what: str = "TABLES"
    away_from: tuple[str, ...] = ()
    given: tuple[tuple[str, str], ...] = ()

    @property
    def narrows(self) -> bool:
        return not self.given

    def statements(self) -> tuple[str, ...]:
        schema = fragment(compose(" IN SCHEMA {s}", s=self.schema) if self.schema else "")
        head = compose("ALTER DEFAULT PRIVILEGES FOR ROLE {o}{schema}", o=self.owner, schema=schema)
        revokes = [f"{head} REVOKE ALL ON {self.what} FROM {role_sql(role)}" for role in self.away_from]
        return (*revokes, *(f"{head} GRANT {rights} ON {self.what} TO {role_sql(role)}" for rights, role in self.given))


def _at(action: Action) -> str:
    return compose("{n} ON {t}", n=action.target.part, t=action.target.relation.identifier())


def _scope(roles: Iterable[str], using: str, check: str) -> str:
    parts = [f"TO {_listed(roles)}", f"USING ({using})" if using else "", f"WITH CHECK ({check})" if check else ""]
    return " ".join(part for part in parts if part)


def _listed(roles: Iterable[str]) -> str:
    return ", ".join(map(role_sql, roles))
