"""What brings one differing object to what is expected.

An action that would throw rows away, or that cannot succeed by itself, comes with advice: it is for a person to weigh.
Everything else mends its finding when it is run by the owner of the tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from moeen.db import actions
from moeen.db.actions import Action
from moeen.db.findings import Fix
from moeen.db.names import ObjectName
from moeen.db.schema import making
from moeen.db.schema.canonical import Objects
from moeen.db.schema.making import Entry
from moeen.db.security.trust import AUTHENTICATOR
from moeen.db.sql import compose

_PLATFORMS = Fix(advice="schema auth is the hosting platform's own")
#: What GRANT and ALTER ... OWNER call a kind of object.
_KINDS = {"table": "TABLE", "sequence": "SEQUENCE", "function": "FUNCTION", "schema": "SCHEMA", "type": "TYPE"}
_DROPPED_PARTS = {
    "constraint": actions.DropConstraint,
    "index": actions.DropIndex,
    "trigger": actions.DropTrigger,
    "policy": actions.DropPolicy,
    "rule": actions.DropRule,
}
_TUNING = ("storage", "compression", "statistics", "options")
_SEQUENCE = {"start": "START", "increment": "INCREMENT", "minimum": "MINVALUE", "maximum": "MAXVALUE", "cache": "CACHE"}


@dataclass(frozen=True)
class Mender:
    """Finds fixes, knowing both catalogs and the owner's name in the live one."""

    expected: Objects
    live: Objects
    owner: str

    def missing(self, kind: str, name: ObjectName, want: Entry) -> Fix:
        """What makes an object that is missing."""
        comment = self._comment(kind, name, want)
        match kind:
            case "schema":
                return Fix.by(actions.CreateSchema(name), *comment, *self._grants(kind, name, want, {}))
            case "table" | "sequence" | "type":
                return Fix(advice="restore it from a backup, or take its app's migrations back and run migrate again")
            case "column":
                added = making.column(name, want)
                lost = added.scans and not added.rewrites  # NOT NULL, and nothing gives older rows a value
                advice = "its values are gone; restore them from a backup. In an empty table" if lost else ""
                tuned = [a for key in _TUNING if want.get(key) for a in self._column(name, key, want, {})]
                return Fix.by(added, *tuned, *comment, *self._grants(kind, name, want, {}), advice=advice)
            case "constraint":
                return self._constraint(name, want)
            case "index":
                return Fix.by(making.index(name, want), *comment)
            case "trigger":
                return Fix.by(*making.trigger(name, want), *comment)
            case "policy":
                return Fix.by(making.policy(name, want), *comment)
            case "rule":
                return Fix.by(making.rule(name, want))
            case "auth function" if want.get("platform"):
                return _PLATFORMS
            case "function" | "auth function":
                usual = {"grants": {"PUBLIC": "EXECUTE"}}
                return Fix.by(making.function(name, want), *comment, *self._grants("function", name, want, usual))
            case "role":
                return Fix.by(actions.CreateRole(name), *([actions.GrantRole(name, self.owner)] if self.owner else []))
            case "default privileges":
                return Fix.by(self._defaults(name, want, {}))
        return Fix()

    def extra(self, kind: str, name: ObjectName, found: Entry) -> Fix:
        """What removes an object that is expected nowhere."""
        what = str(found.get("kind", "")).upper()
        match kind:
            case "table" if what in ("VIEW", "MATERIALIZED VIEW"):
                return Fix.by(actions.Drop(name, what))
            case "table":
                return Fix.by(actions.Drop(name, "TABLE"), advice="it may hold rows; if nobody needs them")
            case "column":
                return Fix.by(actions.DropColumn(name), advice="it may hold values; if nobody needs them")
            case "constraint" | "index" | "trigger" | "policy" | "rule":
                return Fix.by(_DROPPED_PARTS[kind](name))
            case "function" if found.get("result") == "event_trigger":
                return Fix.by(actions.Drop(name, "FUNCTION"), advice="after its event trigger")
            case "function" | "auth function":
                return Fix.by(actions.Drop(name, what if what in ("PROCEDURE", "AGGREGATE") else "FUNCTION"))
            case "sequence" if not found.get("column"):
                return Fix.by(actions.Drop(name, "SEQUENCE"))
            case "type":
                return Fix.by(actions.Drop(name, "DOMAIN" if what == "DOMAIN" else "TYPE"))
            case "event trigger":
                return Fix.by(actions.Drop(name, "EVENT TRIGGER"), advice="as a superuser")
            case "default privileges":
                return Fix.by(self._defaults(name, {}, found))
            case "object":
                return Fix.by(actions.Drop(name, name.table.removesuffix(" object").upper(), name.part))
            case "extension":
                extension = ObjectName("", part=name.part.rpartition(" in ")[0])
                return Fix.by(actions.Drop(extension, "EXTENSION"), advice="if nobody needs it")
        return Fix()

    def changed(self, kind: str, name: ObjectName, attribute: str, want: Entry, found: Entry) -> Fix:
        """What brings one attribute of an object to what is expected."""
        comment = self._comment(kind, name, want)
        if attribute == "comment":
            return Fix.by(*comment)
        if attribute == "grants" and kind != "default privileges":
            return Fix.by(*self._grants(kind, name, want, found))
        if attribute == "owner":
            return Fix.by(actions.SetOwner(name, _KINDS[kind.removeprefix("auth ")], self.owner))
        same = want.get("definition") == found.get("definition")
        match kind:
            case "table":
                return Fix.by(*_table(name, attribute, want, found))
            case "column" if attribute == "generated" and want.get("generated"):
                return Fix(advice="its expression cannot be changed: drop the column and add it again")
            case "column":
                return Fix.by(*self._column(name, attribute, want, found))
            case "constraint" if attribute == "not_valid" and same:
                proof = making.proof(making.constraint(name, want), {})
                return Fix.by(*(proof or [actions.RebuildIndex(name)]))
            case "constraint" if attribute == "switched_off":
                return Fix.by(actions.EnableAllTriggers(name.relation), advice="as a superuser")
            case "constraint":
                return self._constraint(name, want, instead=True)
            case "index" if attribute == "invalid" and same:
                return Fix.by(actions.RebuildIndex(name))
            case "index":
                return Fix.by(actions.DropIndex(name), making.index(name, want), *comment)
            case "trigger" if attribute == "state":
                return Fix.by(making.trigger_state(name, want))
            case "trigger" if making.is_constraint_trigger(want) or making.is_constraint_trigger(found):
                return Fix.by(actions.DropTrigger(name), *making.trigger(name, want))
            case "trigger":
                return Fix.by(*making.trigger(name, want, anew=True))
            case "policy":
                return Fix.by(*_exchange(name, want, found), *comment)
            case "rule":
                return Fix.by(making.rule(name, want, anew=True))
            case "auth function" if want.get("platform"):
                return _PLATFORMS
            case "function" | "auth function":
                other = attribute in ("result", "kind", "arguments")
                advice = "triggers and policies may stand on it: drop it, then" if other else ""
                return Fix.by(making.function(name, want), advice=advice)
            case "sequence":
                return Fix.by(*_sequence(name, attribute, want))
            case "role":
                return Fix.by(*self._role(name, attribute, want, found))
            case "default privileges":
                return Fix.by(self._defaults(name, want, found))
        return Fix()

    def _constraint(self, name: ObjectName, want: Entry, *, instead: bool = False) -> Fix:
        """What adds it; `instead` of the one that stands, in one statement: where one fails, the other stays."""
        added = making.constraint(name, want)
        first = actions.together(actions.DropConstraint(name), added) if instead else added
        goal = making.referenced(want)
        lacking = goal in self.expected.get("table", {}) and goal not in self.live.get("table", {})
        advice = f"table {goal.pretty()} is missing; once it stands" if goal and lacking else ""
        made = [first, *making.proof(added, want), *self._comment("constraint", name, want)]
        return Fix.by(*made, advice=advice)

    def _column(self, name: ObjectName, attribute: str, want: Entry, found: Entry) -> Iterator[Action]:
        identity = want.get("identity", "")
        match attribute:
            case "type" | "collation":
                using = compose("{c}::", c=name.part) + want["type"] if attribute == "type" else ""
                change = actions.ChangeType(name, making.type_of(want), using)
                yield from self._apart(change, found, want)
            case "default":
                yield actions.SetDefault(name, want.get("default", ""))
            case "not_null":
                yield actions.SetNotNull(name) if want.get("not_null") else actions.DropNotNull(name)
            case "identity":
                yield actions.SetIdentity(name, identity, stands=bool(found.get("identity")))
            case "generated":
                yield actions.DropExpression(name)
            case "storage":
                yield actions.SetStorage(name, want.get("storage") or _storage_of(want["type"]))
            case "compression":
                yield actions.SetCompression(name, want.get("compression") or "default")
            case "statistics":
                yield actions.SetStatistics(name, want.get("statistics") or "-1")
            case "options":
                yield _parameters(name, attribute, want, found)

    def _apart(self, change: actions.ChangeType, found: Entry, want: Entry) -> Iterator[Action]:
        """A change of type, with the policies and triggers that read the column out of its way; and its default."""
        column, table = change.target, change.target.relation
        again: list[Action] = []
        for kind in ("policy", "trigger"):
            for name, entry in self.live.get(kind, {}).items():
                text = " ".join(str(entry.get(key, "")) for key in ("using", "check", "definition"))
                if _says(text, column.part) and (name.relation == table or _says(text, table.table)):
                    yield _DROPPED_PARTS[kind](name)
                    again += [making.policy(name, entry)] if kind == "policy" else making.trigger(name, entry)
                    again += self._comment(kind, name, entry) if entry.get("comment") else []
        if found.get("default"):
            yield actions.SetDefault(column)
        yield change
        if want.get("default"):
            yield actions.SetDefault(column, want["default"])
        yield from again

    def _role(self, name: ObjectName, attribute: str, want: Entry, found: Entry) -> Iterator[Action]:
        gone = sorted(set(found.get(attribute, ())) - set(want.get(attribute, ())))
        match attribute:
            case "attributes":
                yield actions.TakeAttributes(name, tuple(gone))
            case "members":
                yield from (actions.RevokeRole(name, member.removesuffix("*")) for member in gone)
            case "member_of":
                yield from (actions.RevokeRole(ObjectName("", part=other), name.part) for other in gone)
            case "not_members":
                yield from (actions.GrantRole(name, self.owner if who == "owner" else AUTHENTICATOR) for who in gone)

    def _defaults(self, name: ObjectName, want: Entry, found: Entry) -> actions.DefaultPrivileges:
        schema, _, what = name.part.rpartition(" ")
        usual = {"FUNCTIONS": "EXECUTE", "TYPES": "USAGE"}.get(what, "") if not schema else ""
        wanted, held = want.get("grants", {}), found.get("grants", {})
        taken = [role for role in held if not (role == "PUBLIC" and usual) and held[role] != wanted.get(role)]
        given = [(rights, role) for role, rights in wanted.items() if rights not in ("nothing", held.get(role))]
        given += [(usual, "PUBLIC")] if usual and "PUBLIC" not in wanted else []
        return actions.DefaultPrivileges(name, self.owner, schema, what, tuple(taken), tuple(given))

    def _comment(self, kind: str, name: ObjectName, want: Entry) -> list[Action]:
        text = want.get("comment", "")
        stands = self.live.get(kind, {}).get(name) is not None
        return [actions.Comment(name, kind.removeprefix("auth "), text)] if stands or text else []

    def _grants(self, kind: str, name: ObjectName, want: Entry, found: Entry) -> Iterator[Action]:
        """GRANT and REVOKE from what is held to what should be."""
        kind = kind.removeprefix("auth ")
        target = name.relation if kind == "column" else name
        on = compose("{n}", n=target.identifier())
        on = f"{'TABLE' if kind == 'column' else _KINDS[kind]} {on}"
        of = compose(" ({c})", c=name.part) if kind == "column" else ""
        wanted, held = want.get("grants", {}), found.get("grants", {})
        for role in sorted(wanted.keys() | held.keys()):
            one, other = _rights(wanted.get(role, "")), _rights(held.get(role, ""))
            if role == "owner":
                yield actions.Grant(name, "ALL", on, (self.owner,))
                continue
            if held.get(role) == "nothing":  # a role of the platform that lacks what it is meant to have
                yield actions.Grant(name, "EXECUTE" if kind == "function" else "USAGE", on, (role,))
                continue
            if any(right.endswith("*") for right in other) or other - one:
                gone = ", ".join(f"{right.removesuffix('*')}{of}" for right in sorted(other - one))
                yield actions.Revoke(name, gone, on, (role,), cascade=True)
            if one - other:
                yield actions.Grant(name, ", ".join(f"{right}{of}" for right in sorted(one - other)), on, (role,))


def _rights(text: str) -> set[str]:
    return set(text.split(", ")) - {"", "nothing"}


def _table(name: ObjectName, attribute: str, want: Entry, found: Entry) -> Iterator[Action]:
    on = bool(want.get(attribute))
    match attribute:
        case "row_security":
            yield actions.SetRowSecurity(name, on=on)
        case "forced":
            yield actions.ForceRowSecurity(name, on=on)
        case "unlogged":
            yield actions.SetLogged(name, on=not on)
        case "options" | "autovacuum":
            yield _parameters(name, attribute, want, found)
        case "replica_identity":
            yield actions.ResetReplicaIdentity(name)
        case "parents":
            gone = set(found.get(attribute, ())) - set(want.get(attribute, ()))
            yield from (actions.Disinherit(name, ObjectName.of("table", parent)) for parent in sorted(gone))


def _parameters(name: ObjectName, attribute: str, want: Entry, found: Entry) -> Action:
    """Of a table or a column."""
    given, wanted = (dict(option.split("=", 1) for option in e.get(attribute, ())) for e in (found, want))
    return actions.SetParameters(name, tuple(sorted((dict.fromkeys(given, "") | wanted).items())))


def _storage_of(kind: str) -> str:
    """How a type keeps values that are long; before PostgreSQL 16 there is no SET STORAGE DEFAULT."""
    return "MAIN" if kind.partition("(")[0] in ("numeric", "inet", "cidr") else "EXTENDED"


def _exchange(name: ObjectName, want: Entry, found: Entry) -> Iterator[Action]:
    """One statement where ALTER can do it: a policy that is dropped, and not made again, may have kept rows in."""
    made = making.policy(name, want)
    fixed = all(want.get(key) == found.get(key) for key in ("command", "restrictive"))
    if fixed and all(want.get(key) or not found.get(key) for key in ("using", "check")):
        yield actions.AlterPolicy(name, made.roles, made.using, made.check)
    else:
        yield from (actions.DropPolicy(name), made)


def _sequence(name: ObjectName, attribute: str, want: Entry) -> Iterator[Action]:
    match attribute:
        case "type":
            yield actions.AlterSequence(name, f"AS {want['type']}")
        case "cycle":
            yield actions.AlterSequence(name, "CYCLE" if want.get("cycle") else "NO CYCLE")
        case _ if attribute in _SEQUENCE:
            yield actions.AlterSequence(name, f"{_SEQUENCE[attribute]} {want.get(attribute, 0)}")


def _says(text: str, name: str) -> bool:
    """Whether an expression that PostgreSQL wrote names this column or table, or something called like it."""
    return bool(re.search(rf"(?<!\w){re.escape(name.replace(chr(34), chr(34) * 2))}(?!\w)", text))
