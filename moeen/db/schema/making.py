"""What makes an object of the canonical form, as actions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from psycopg import sql

from moeen.db.actions import (
    Action,
    AddCheck,
    AddColumn,
    AddConstraint,
    AddForeignKey,
    BuildIndex,
    CreateFunction,
    CreatePolicy,
    CreateRule,
    CreateTrigger,
    SetTriggerState,
    Validate,
)
from moeen.db.names import ObjectName
from moeen.db.sql import compose
from moeen.db.statements import PATH, parts_of

Entry = Mapping[str, Any]
_STATES = {"": "ENABLE", "disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}


def type_of(want: Entry) -> str:
    """A column's type with its collation."""
    collation = want.get("collation")
    return f"{want['type']} COLLATE {compose('{c}', c=collation)}" if collation else str(want["type"])


def column(name: ObjectName, want: Entry) -> AddColumn:
    return AddColumn(
        name,
        type_of(want),
        default=want.get("default", ""),
        not_null=bool(want.get("not_null")),
        generated=want.get("generated", ""),
        identity=want.get("identity", ""),
    )


def constraint(name: ObjectName, want: Entry) -> AddConstraint:
    """A check or a foreign key comes unproven: `proof`."""
    kinds = {"CHECK": AddCheck, "FOREIGN": AddForeignKey}
    return kinds.get(str(want["definition"]).split(" ")[0], AddConstraint)(name, want["definition"])


def proof(added: AddConstraint, want: Entry) -> list[Action]:
    """What proves the constraint for the rows that stand, where that is wanted and was not done already."""
    return [Validate(added.target)] if isinstance(added, AddCheck) and not want.get("not_valid") else []


def referenced(want: Entry) -> ObjectName | None:
    """The table that a foreign key points to, in PostgreSQL's words of it; None of another constraint."""
    found = re.match(rf"FOREIGN KEY .*? REFERENCES ({PATH})", want["definition"])
    return ObjectName(*("public", *parts_of(found[1]))[-2:]) if found else None


def index(name: ObjectName, want: Entry) -> BuildIndex:
    return BuildIndex(name, f"USING {want['definition']}", unique=bool(want.get("unique")))


def policy(name: ObjectName, want: Entry) -> CreatePolicy:
    return CreatePolicy(
        name,
        want["command"],
        tuple(want["roles"]),
        want.get("using", ""),
        want.get("check", ""),
        restrictive=bool(want.get("restrictive")),
    )


def trigger(name: ObjectName, want: Entry, *, anew: bool = False) -> list[Action]:
    """``anew``: in the place of one that stands. A constraint trigger cannot be made so."""
    state = [trigger_state(name, want)] if want.get("state") else []
    return [CreateTrigger(name, want["definition"], anew=anew), *state]


def trigger_state(name: ObjectName, want: Entry) -> SetTriggerState:
    return SetTriggerState(name, _STATES[want.get("state", "")])


def is_constraint_trigger(entry: Entry) -> bool:
    return str(entry["definition"]).startswith("CREATE CONSTRAINT")


def rule(name: ObjectName, want: Entry, *, anew: bool = False) -> CreateRule:
    return CreateRule(name, str(want["definition"]).rstrip(";"), anew=anew)


def function(name: ObjectName, want: Entry) -> CreateFunction:
    path = sql.Identifier(name.schema, name.part).as_string(None)
    quote = "$function$"
    while quote in want["body"]:
        quote = quote[:-1] + "_$"
    parts = [
        f"CREATE OR REPLACE {'PROCEDURE' if want.get('kind') == 'procedure' else 'FUNCTION'} "
        f"{path}({want.get('arguments', '')})",
        f"RETURNS {want['result']}" if want.get("result") else "",
        f"LANGUAGE {want['language']}",
        want.get("volatility", ""),
        "STRICT" if want.get("strict") else "",
        "SECURITY DEFINER" if want.get("security_definer") else "",
        "LEAKPROOF" if want.get("leakproof") else "",
        f"PARALLEL {want['parallel']}" if want.get("parallel") else "",
        *(f"SET {key} = {_value(value)}" for key, value in (s.split("=", 1) for s in want.get("settings", ()))),
        f"AS {quote}{want['body']}{quote}",
    ]
    return CreateFunction(name, " ".join(part for part in parts if part))


def _value(text: str) -> str:
    """A setting's value as DDL takes it; PostgreSQL keeps an empty search path as ``""``."""
    if text in ('""', ""):
        return "''"
    return text if re.fullmatch(r'[\w$", ]+', text) else sql.Literal(text).as_string(None)
