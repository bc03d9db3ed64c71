"""A catalog in the form in which it is compared, hashed and kept in a file: the same on every server and version.

Objects by kind and name, each with what it has beyond the ordinary. Left out is what differs between installations
without meaning anything: the owner's name, what superusers hold, what a hosting platform is meant to have, the order
of columns, and the exceptions that stand while rows wait for their public ids.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from django.conf import settings

from moeen.db import catalog
from moeen.db.kinds import Kind
from moeen.db.names import ObjectName
from moeen.db.public_ids import prefix_in
from moeen.db.roles import API_ROLES
from moeen.db.security.trust import AUTHENTICATOR, PLATFORM_ROLES

Entry = dict[str, Any]
#: Kind -> name -> attributes. Attributes that are absent are the ordinary ones: false, "", nothing.
Objects = dict[str, dict[ObjectName, Entry]]

#: What a hosting platform's roles hold of ours by our own migrations.
PLATFORM_GRANTS: Mapping[tuple[str, str], frozenset[str]] = {
    ("schema", "public"): frozenset({"USAGE"}),
    ("schema", "app"): frozenset({"USAGE"}),
    ("function", "app.bind_request()"): frozenset({"EXECUTE"}),
    ("function", "app.sign_request()"): frozenset({"EXECUTE"}),
}
#: What every policy calls, whoever made it.
NEEDED = ObjectName("auth", part="uid", arguments="")
#: What an owner has of its own, by kind. MAINTAIN came with PostgreSQL 17.
_OWNERS = {
    "table": {"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"},
    "column": set(),
    "sequence": {"SELECT", "UPDATE", "USAGE"},
    "function": {"EXECUTE"},
    "schema": {"CREATE", "USAGE"},
    "type": {"USAGE"},
}
_NAMES = ("schema", "name")
_RELATIONS = {"r": "", "p": "partitioned table", "v": "view", "m": "materialized view", "f": "foreign table"}
_OFF = ("false", "off", "no", "0", "f", "n")
_GLOBAL_DEFAULTS = {"FUNCTIONS": {"PUBLIC": "EXECUTE"}, "TYPES": {"PUBLIC": "USAGE"}}


@dataclass(frozen=True)
class Form:
    """A catalog's objects; ``pending``: the tables whose rows still get their public ids, with the prefix."""

    objects: Objects
    pending: Mapping[str, str]
    owner: str
    version: str
    hosted: bool = False  # whether the cluster has the roles of a hosting platform

    @property
    def fingerprint(self) -> str:
        """32 hex digits; equal for two databases exactly when nothing that matters differs."""
        named = {
            kind: {name.pretty(): entry for name, entry in entries.items()} for kind, entries in self.objects.items()
        }
        text = json.dumps(named, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def of(live: catalog.Catalog, *, waiting: bool = True) -> Form:
    """The form of a catalog; without ``waiting``, what guards rows without public ids is shown as it stands."""
    pending = {name: prefix for name, table in live.tables.items() if waiting and (prefix := _pending(table))}
    reader = _Reader(live)
    objects: Objects = {}
    for kind, name, attributes in reader.objects(pending):
        objects.setdefault(kind, {})[name] = {key: value for key, value in attributes.items() if value not in _ORDINARY}
    ordered = {kind: objects[kind] for kind in sorted(objects)}
    return Form(ordered, pending, live.owner, live.version, hosted=bool(reader.platform))


_ORDINARY: tuple[Any, ...] = ("", False, None, (), [], {})


def conform(
    form: Form, expected: Objects, *, is_allowed: Callable[[str, str], bool] = lambda kind, name: False
) -> Form:
    """The form with what is not ours to judge as the expected catalog has it.

    That is the platform's own schema auth, as far as our functions can be called, and what is allowed to differ.
    """
    objects = {kind: dict(entries) for kind, entries in form.objects.items()}
    auth = objects.get("auth function", {})
    foreign = any(entry.get("platform") for entry in auth.values())
    for name, want in expected.get("auth function", {}).items():
        # Without a platform nobody calls the others.
        needed = form.hosted or name == NEEDED
        if foreign and (auth[name].get("result") == want.get("result") if name in auth else not needed):
            auth[name] = want
    for kind in objects.keys() | expected.keys():
        wanted, standing = expected.get(kind, {}), objects.setdefault(kind, {})
        for name in standing.keys() | wanted.keys():
            entry = _allowed(kind, name.pretty(), wanted.get(name), standing.pop(name, None), is_allowed)
            if entry is not None:
                standing[name] = entry
    # An extra function of the platform's schema is the platform's.
    for name in [name for name, found in auth.items() if found.get("platform")]:
        if name not in expected.get("auth function", {}):
            auth.pop(name)
    return replace(form, objects={kind: objects[kind] for kind in sorted(objects) if objects[kind]})


def _allowed(
    kind: str, name: str, want: Entry | None, found: Entry | None, is_allowed: Callable[[str, str], bool]
) -> Entry | None:
    """What stands, with what is allowed to differ as it is expected."""
    if want == found or is_allowed(kind, name):
        return want
    if want is None or found is None:
        return want if is_allowed(Kind.unexpected(kind) if want is None else Kind.missing(kind), name) else found
    differing = [key for key in want.keys() | found.keys() if want.get(key) != found.get(key)]
    excused = {key: want.get(key) for key in differing if is_allowed(Kind.changed(kind, key), name)}
    return {key: value for key, value in {**found, **excused}.items() if value is not None}


def _shown(part: Any, *without: str, **given: Any) -> Entry:
    """The fields of an object of the catalog but its names, with those that are ``given`` in their place."""
    shown = {field.name: getattr(part, field.name) for field in fields(part) if field.name not in _NAMES + without}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in (shown | given).items()}


class _Reader:
    """Turns the parts of one catalog into objects."""

    def __init__(self, live: catalog.Catalog) -> None:
        self.live = live
        self.platform = [role for role in PLATFORM_ROLES if role in live.platform_roles]

    def objects(self, pending: Mapping[str, str]) -> Iterator[tuple[str, ObjectName, Entry]]:
        live = self.live
        for schema in live.schemas.values():
            public = schema.name == "public"
            yield (
                "schema",
                ObjectName(schema.name),
                {
                    # Schema public is the database owner's, a superuser's or the platform's; its comment PostgreSQL's.
                    "owner": "" if public else self.owner(schema.owner),
                    "comment": "" if public else schema.comment,
                    "grants": self.grants("schema", schema.name, schema.owner, schema.grants),
                },
            )
        for name, table in live.tables.items():
            yield from self.table(table, waits=name in pending)
        for function in live.functions.values():
            yield "function", function.identity, self.function(function)
        for function in live.platform.values():
            shown = self.function(function) if live.platform_is_ours else {"result": function.result, "platform": True}
            yield "auth function", function.identity, shown
        for sequence in live.sequences.values():
            column = sequence.column.pretty() if sequence.column else ""
            grants = self.grants("sequence", sequence.identity.pretty(), sequence.owner, sequence.grants)
            owner = self.owner(sequence.owner)
            yield "sequence", sequence.identity, _shown(sequence, column=column, owner=owner, grants=grants)
        for kind in live.types.values():
            given = {role: held for role, held in kind.grants.items() if (role, held) != ("PUBLIC", ("USAGE",))}
            grants = self.grants("type", kind.identity.pretty(), kind.owner, given)
            yield "type", kind.identity, _shown(kind, owner=self.owner(kind.owner), grants=grants)
        for name in live.extensions:
            yield "extension", ObjectName("", part=name), {}
        for other in live.others:
            yield "object", other, {}
        for name in live.event_triggers:
            yield "event trigger", ObjectName("", part=name), {}
        for role in live.roles.values():
            yield "role", ObjectName("", part=role.name), self.role(role)
        yield from self.defaults()

    def owner(self, name: str) -> str:
        """ "" for the owner of the tables, as should be."""
        return "" if name == self.live.owner else name

    def grants(self, kind: str, name: str, owner: str, given: catalog.Grants) -> dict[str, str]:
        shown = {}
        declared = PLATFORM_GRANTS.get((kind, name), frozenset())
        for role, privileges in given.items():
            held = set(privileges)
            if role in self.live.superusers or role == "pg_database_owner":
                continue
            if role == owner:
                if held - {"MAINTAIN"} != _OWNERS[kind]:
                    shown["owner"] = ", ".join(sorted(held - {"MAINTAIN"})) or "nothing"
            elif role in self.platform and held == declared:
                continue
            elif role == self.live.owner and kind == "schema":
                continue  # the platform's grant on its schema public
            else:
                shown[role] = ", ".join(sorted(held))
        if given and owner not in given and _OWNERS[kind] and owner not in self.live.superusers:
            shown["owner"] = "nothing"
        for role in self.platform:
            if declared and role not in given:
                shown[role] = "nothing"
        if name == "public" and kind == "schema":
            shown.pop("owner", None)
            if "USAGE" in given.get("PUBLIC", ()):
                # What PUBLIC holds everybody has; before PostgreSQL 15 nobody but a superuser can grant it again.
                shown |= {role: ", ".join(sorted({"USAGE", *given.get(role, ())})) for role in self.live.roles}
        return dict(sorted(shown.items()))

    def table(self, table: catalog.Table, *, waits: bool) -> Iterator[tuple[str, ObjectName, Entry]]:
        name = table.identity
        yield (
            "table",
            name,
            {
                "kind": _RELATIONS[table.kind],
                "row_security": table.row_security,
                "forced": table.forced,
                "owner": self.owner(table.owner),
                "comment": table.comment,
                "options": [option for option in table.options if not tunes_vacuum(option)],
                "autovacuum": [option for option in table.options if tunes_vacuum(option)],
                "unlogged": table.unlogged,
                "definition": table.definition,
                "replica_identity": table.replica_identity,
                "parents": [parent.pretty() for parent in table.parents],
                "grants": self.grants("table", name.pretty(), table.owner, table.grants),
            },
        )
        for column in table.columns.values():
            not_null = column.not_null or (waits and column.name == "public_id")
            grants = self.grants("column", "", table.owner, column.grants)
            yield "column", name.has(column.name), _shown(column, not_null=not_null, grants=grants)
        indexes = {index.constraint: index for index in table.indexes.values() if index.constraint}
        for constraint in table.constraints.values():
            if waits and constraint.name == _required(table.name):
                continue
            index = indexes.get(constraint.name)
            shown = {
                "definition": constraint.definition,
                "not_valid": not constraint.validated or (index is not None and not index.valid),
                "switched_off": constraint.switched_off,
                "comment": constraint.comment,
            }
            yield "constraint", name.has(constraint.name), shown
        for index in table.indexes.values():
            if not index.constraint:
                shown = _shown(index, "valid", "constraint", invalid=not index.valid)
                yield "index", name.has(index.name), shown
        for trigger in table.triggers.values():
            if not (waits and trigger.name == _filler(table.name)):
                yield "trigger", name.has(trigger.name), _shown(trigger, "function")
        for policy in table.policies.values():
            yield "policy", name.has(policy.name), _shown(policy)
        for rule, definition in table.rules.items():
            yield "rule", name.has(rule), {"definition": definition}

    def function(self, function: catalog.Function) -> Entry:
        grants = self.grants("function", function.signature, function.owner, function.grants)
        owner = self.owner(function.owner)
        return _shown(function, "declared", arguments=function.declared, owner=owner, grants=grants)

    def role(self, role: catalog.Role) -> Entry:
        """Who may become it, the owner, superusers, the web's and PostgREST's login aside; and whether those may not.

        The web's login (WEB_DATABASE_URL) takes a role for one transaction: holding its rights all the time is more.
        """
        trusted = self.live.superusers | {self.live.owner}
        if role.name in API_ROLES:
            trusted |= {AUTHENTICATOR}
        members = [
            member
            for member in role.members
            if member.removesuffix("*") not in trusted and member != settings.WEB_LOGIN
        ]
        names = {member.removesuffix("*") for member in role.members}
        lacking = [] if self.live.owner in names | self.live.superusers or not self.live.owner else ["owner"]
        if AUTHENTICATOR in self.live.platform_roles and role.name in API_ROLES:
            lacking += [] if AUTHENTICATOR in names else [AUTHENTICATOR]
        return _shown(role, members=members, not_members=lacking)

    def defaults(self) -> Iterator[tuple[str, ObjectName, Entry]]:
        """Default privileges of the owner that open what later migrations make; the platform's own aside."""
        live = self.live
        for (role, schema, what), given in live.defaults.items():
            if role != live.owner:
                continue
            known = live.superusers | {live.owner} | live.platform_roles
            shown = {name: ", ".join(privileges) for name, privileges in given.items() if name not in known}
            if shown != ({} if schema else _GLOBAL_DEFAULTS.get(what, {})):
                where = ObjectName("", part=f"{schema} {what}".strip())
                yield "default privileges", where, {"grants": shown or {"PUBLIC": "nothing"}}


def tunes_vacuum(option: str) -> bool:
    """Whether a storage parameter says when and how a table is vacuumed; to switch autovacuum off is more than that."""
    name, _, value = option.partition("=")
    return "vacuum" in name and not (name.endswith("autovacuum_enabled") and value.lower() in _OFF)


def _required(table: str) -> str:
    return f"{table}_public_id_required"


def _filler(table: str) -> str:
    return f"{table}_without_public_id"


def _pending(table: catalog.Table) -> str:
    """The prefix, if rows of this table wait for their public ids and everything that guards them meanwhile stands."""
    column = table.columns.get("public_id")
    check, trigger = table.constraints.get(_required(table.name)), table.triggers.get(_filler(table.name))
    prefix = prefix_in(column.default) if column else ""
    if column is None or column.not_null or check is None or trigger is None or not prefix:
        return ""
    guarded = (
        check.definition == "CHECK ((public_id IS NOT NULL))"
        and not trigger.state
        and trigger.definition.endswith(
            f"FOR EACH ROW WHEN ((new.public_id IS NULL)) EXECUTE FUNCTION app.fill_public_id('{prefix}')"
        )
        and " BEFORE INSERT OR UPDATE ON " in trigger.definition
    )
    return prefix if guarded else ""


def write(objects: Objects) -> str:
    """The objects as a readable file: JSON, one object a line, sorted; the bodies of functions line by line."""
    kinds = []
    for kind, entries in sorted(objects.items()):
        named = {name.pretty(): entry for name, entry in entries.items()}
        lines = [f"    {_json(name)}: {_entry(entry)}" for name, entry in sorted(named.items())]
        kinds.append(f"  {_json(kind)}: {{\n" + ",\n".join(lines) + "\n  }")
    return "{\n" + ",\n".join(kinds) + "\n}\n"


def _entry(entry: dict[str, Any]) -> str:
    if "body" not in entry:
        return _json(entry)
    rest = {key: value for key, value in entry.items() if key != "body"}
    body = ",\n".join(f"      {_json(line)}" for line in entry["body"].split("\n"))
    return f'{_json(rest)[:-1]}, "body": [\n{body}\n    ]}}'


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def load(text: str) -> Objects:
    """What ``write`` wrote."""
    found: Objects = {
        kind: {ObjectName.of(kind, name): entry for name, entry in entries.items()}
        for kind, entries in json.loads(text).items()
    }
    for entries in found.values():
        for entry in entries.values():
            if "body" in entry:
                entry["body"] = "\n".join(entry["body"])
    return found


def relations(objects: Objects) -> set[str]:
    """The names of the relations, in their `pretty` form."""
    return {name.pretty() for name in objects.get("table", {})}
