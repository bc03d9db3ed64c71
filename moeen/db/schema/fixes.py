"""The SQL that brings one differing object to what is expected.

A statement that would throw rows away, or that cannot succeed by itself, is given as a comment, ``-- ...``: it is for
a person to weigh. Everything else mends its finding when it is run by the owner of the tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from moeen.db.names import ObjectName
from moeen.db.schema.canonical import Objects
from moeen.db.schema.quoting import (
    KINDS,
    column_sql,
    described_sql,
    name_sql,
    privilege_words,
    target_sql,
)
from moeen.db.security.trust import AUTHENTICATOR
from moeen.db.sql import compose, fragment, role_sql
from moeen.db.statements import PATH, parts_of

Entry = Mapping[str, Any]
_PLATFORMS = "-- schema auth is the hosting platform's own"
_STATES = {"": "ENABLE", "disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}


@dataclass(frozen=True)
class Mender:
    """Writes fixes, knowing both catalogs and the owner's name in the live one."""

    expected: Objects
    live: Objects
    owner: str

    def missing(self, kind: str, name: ObjectName, want: Entry) -> str:
        """What makes an object that is missing."""
        part = name.part
        match kind:
            case "schema":
                made = [compose("CREATE SCHEMA {n}", n=name.identifier())]
                return _script([*made, *self._comment(kind, name, want), *self._grants(kind, name, want, {})])
            case "table" | "sequence" | "type":
                return "-- restore it from a backup, or take its app's migrations back and run migrate again"
            case "column":
                return self._add_column(name, want)
            case "constraint":
                return self._constraint(name, want)
            case "index":
                return _script([self._index(name, want), *self._comment(kind, name, want)])
            case "trigger":
                return _script([want["definition"], *self._state(name, want), *self._comment(kind, name, want)])
            case "policy":
                return _script([self._policy(name, want), *self._comment(kind, name, want)])
            case "rule":
                return str(want["definition"]).rstrip(";")
            case "auth function" if want.get("platform"):
                return _PLATFORMS
            case "function" | "auth function":
                made = [_function(name, want), *self._comment(kind, name, want)]
                return _script([*made, *self._grants("function", name, want, {"grants": {"PUBLIC": "EXECUTE"}})])
            case "role":
                return _script([compose("CREATE ROLE {n} NOLOGIN", n=part), self._membership(part)])
            case "default privileges":
                return _script(self._defaults(part, want, {}))
        return ""

    def extra(self, kind: str, name: ObjectName, found: Entry) -> str:
        """What removes an object that is expected nowhere."""
        table, part = name.relation.identifier(), name.part
        match kind:
            case "table" if found.get("kind") == "view":
                return f"DROP VIEW {name_sql(name)}"
            case "table" if found.get("kind") == "materialized view":
                return f"DROP MATERIALIZED VIEW {name_sql(name)}"
            case "table":
                return f"-- it may hold rows; if nobody needs them: DROP TABLE {name_sql(name)}"
            case "column":
                drop = compose("ALTER TABLE {t} DROP COLUMN {c}", t=table, c=part)
                return f"-- it may hold values; if nobody needs them: {drop}"
            case "constraint":
                return compose("ALTER TABLE {t} DROP CONSTRAINT {n}", t=table, n=part)
            case "index":
                return compose("DROP INDEX CONCURRENTLY {n}", n=name.identifier())
            case "trigger" | "policy" | "rule":
                return compose("DROP {what} {n} ON {t}", what=fragment(kind.upper()), n=part, t=table)
            case "function" if found.get("result") == "event_trigger":
                return f"-- after its event trigger: DROP FUNCTION {name_sql(name)}"
            case "function" | "auth function":
                what = {"": "FUNCTION", "window": "FUNCTION"}.get(found.get("kind", ""), str(found.get("kind")).upper())
                return f"DROP {what} {name_sql(name)}"
            case "sequence" if not found.get("column"):
                return f"DROP SEQUENCE {name_sql(name)}"
            case "type":
                return f"DROP {'DOMAIN' if found.get('kind') == 'domain' else 'TYPE'} {name_sql(name)}"
            case "event trigger":
                return f"-- as a superuser: {compose('DROP EVENT TRIGGER {n}', n=part)}"
            case "default privileges":
                return _script(self._defaults(part, {}, found))
            case "object":
                return f"DROP {name.table.removesuffix(' object').upper()} {part}"
            case "extension":
                return f"-- if nobody needs it: {compose('DROP EXTENSION {n}', n=part.rpartition(' in ')[0])}"
        return ""

    def changed(self, kind: str, name: ObjectName, attribute: str, want: Entry, found: Entry) -> str:
        """What brings one attribute of an object to what is expected."""
        table, part = name.relation.identifier(), name.part
        if attribute == "comment":
            return _script(self._comment(kind, name, want))
        if attribute == "grants" and kind != "default privileges":
            return _script(self._grants("function" if kind == "auth function" else kind, name, want, found))
        if attribute == "owner":
            what = f"{KINDS['function' if kind == 'auth function' else kind]} {name_sql(name)}"
            return f"ALTER {what} OWNER TO {compose('{o}', o=self.owner)}"
        match kind:
            case "table":
                return self._table(name, attribute, want, found)
            case "column":
                return self._column(name, attribute, want, found)
            case "constraint" if attribute == "not_valid" and want.get("definition") == found.get("definition"):
                unique = not want["definition"].startswith(("CHECK", "FOREIGN KEY"))
                validate = compose("ALTER TABLE {t} VALIDATE CONSTRAINT {n}", t=table, n=part)
                return compose("REINDEX INDEX CONCURRENTLY {n}", n=name.identifier()) if unique else validate
            case "constraint" if attribute == "switched_off":
                return f"-- as a superuser: {compose('ALTER TABLE {t} ENABLE TRIGGER ALL', t=table)}"
            case "constraint":
                return self._constraint(name, want, instead=True)
            case "index" if attribute == "invalid" and want.get("definition") == found.get("definition"):
                return compose("REINDEX INDEX CONCURRENTLY {n}", n=name.identifier())
            case "index":
                drop = compose("DROP INDEX CONCURRENTLY {n}", n=name.identifier())
                return _script([drop, self._index(name, want), *self._comment(kind, name, want)])
            case "trigger" if attribute == "state":
                return _script(self._state(name, want, whatever=True))
            case "trigger":
                head, _, rest = str(want["definition"]).partition("CREATE TRIGGER ")
                if rest and not head and not str(found["definition"]).startswith("CREATE CONSTRAINT"):
                    made = [f"CREATE OR REPLACE TRIGGER {rest}"]
                else:
                    made = [compose("DROP TRIGGER {n} ON {t}", n=part, t=table), str(want["definition"])]
                return _script([*made, *self._state(name, want)])
            case "policy":
                return _script([*self._exchange(name, want, found), *self._comment(kind, name, want)])
            case "rule":
                return str(want["definition"]).replace("CREATE RULE", "CREATE OR REPLACE RULE", 1).rstrip(";")
            case "auth function" if want.get("platform"):
                return _PLATFORMS
            case "function" | "auth function":
                if attribute in ("result", "kind", "arguments"):
                    return f"-- triggers and policies may stand on it: drop it, then: {_function(name, want)}"
                return _function(name, want)
            case "sequence":
                return self._sequence(name, attribute, want)
            case "role":
                return self._role(part, attribute, want, found)
            case "default privileges":
                return _script(self._defaults(part, want, found))
        return ""

    # --- tables and columns ---------------------------------------------------------------------------------------

    def _table(self, name: ObjectName, attribute: str, want: Entry, found: Entry) -> str:
        table = name_sql(name)
        match attribute:
            case "row_security":
                return f"ALTER TABLE {table} {'ENABLE' if want.get(attribute) else 'DISABLE'} ROW LEVEL SECURITY"
            case "forced":
                return f"ALTER TABLE {table} {'' if want.get(attribute) else 'NO '}FORCE ROW LEVEL SECURITY"
            case "unlogged":
                return f"ALTER TABLE {table} SET {'UNLOGGED' if want.get(attribute) else 'LOGGED'}"
            case "options":
                given = dict(option.split("=", 1) for option in found.get(attribute, ()))
                wanted = dict(option.split("=", 1) for option in want.get(attribute, ()))
                reset = ", ".join(sorted(given.keys() - wanted.keys()))
                put = ", ".join(f"{key} = {value}" for key, value in sorted(wanted.items()))
                parts = [
                    f"ALTER TABLE {table} RESET ({reset})" if reset else "",
                    put and f"ALTER TABLE {table} SET ({put})",
                ]
                return _script(parts)
            case "replica_identity":
                return f"ALTER TABLE {table} REPLICA IDENTITY DEFAULT"
            case "parents":
                gone = set(found.get(attribute, ())) - set(want.get(attribute, ()))
                return _script(
                    [
                        f"ALTER TABLE {table} NO INHERIT {name_sql(ObjectName.of('table', parent))}"
                        for parent in sorted(gone)
                    ]
                )
        return ""

    def _add_column(self, name: ObjectName, want: Entry) -> str:
        head = compose("ALTER TABLE {t} ADD COLUMN {c}", t=name.relation.identifier(), c=name.part)
        parts = [head, _type(want)]
        if want.get("default"):
            parts.append(f"DEFAULT {want['default']}")
        if want.get("generated"):
            parts.append(f"GENERATED ALWAYS AS ({want['generated']}) STORED")
        if want.get("identity"):
            parts.append(f"GENERATED {want['identity']} AS IDENTITY")
        if want.get("not_null"):
            parts.append("NOT NULL")
        made = _script([" ".join(parts), *self._comment("column", name, want), *self._grants("column", name, want, {})])
        if want.get("not_null") and not any(want.get(key) for key in ("default", "generated", "identity")):
            return _aside("its values are gone; restore them from a backup. In an empty table:", made)
        return made

    def _column(self, name: ObjectName, attribute: str, want: Entry, found: Entry) -> str:
        column = name.part
        head = compose("ALTER TABLE {t} ALTER COLUMN {c}", t=name.relation.identifier(), c=column)
        match attribute:
            case "type" | "collation":
                change = f"{head} TYPE {_type(want)}"
                if attribute == "type":
                    change += compose(" USING {c}::{k}", c=column, k=fragment(want["type"]))
                return _script(self._apart(name, change, found, want))
            case "default":
                return f"{head} SET DEFAULT {want['default']}" if want.get("default") else f"{head} DROP DEFAULT"
            case "not_null":
                return f"{head} {'SET' if want.get('not_null') else 'DROP'} NOT NULL"
            case "identity" if not found.get("identity"):
                return f"{head} ADD GENERATED {want['identity']} AS IDENTITY"
            case "identity" if not want.get("identity"):
                return f"{head} DROP IDENTITY"
            case "identity":
                return f"{head} SET GENERATED {want['identity']}"
            case "generated" if not want.get("generated"):
                return f"{head} DROP EXPRESSION"
        return "-- its expression cannot be changed: drop the column and add it again"

    def _apart(self, column: ObjectName, change: str, found: Entry, want: Entry) -> Iterator[str]:
        """A change of type, with the policies and triggers that read the column out of its way; and its default."""
        table = column.relation
        again = []
        for kind in ("policy", "trigger"):
            for name, entry in self.live.get(kind, {}).items():
                text = " ".join(str(entry.get(key, "")) for key in ("using", "check", "definition"))
                if _says(text, column.part) and (name.relation == table or _says(text, table.table)):
                    what, home = fragment(kind.upper()), name.relation.identifier()
                    yield compose("DROP {k} {n} ON {t}", k=what, n=name.part, t=home)
                    again.append(self._policy(name, entry) if kind == "policy" else str(entry["definition"]))
                    again += self._state(name, entry) if kind == "trigger" else []
                    again += self._comment(kind, name, entry) if entry.get("comment") else []
        head = compose("ALTER TABLE {t} ALTER COLUMN {c}", t=table.identifier(), c=column.part)
        if found.get("default"):
            yield f"{head} DROP DEFAULT"
        yield change
        if want.get("default"):
            yield f"{head} SET DEFAULT {want['default']}"
        yield from again

    # --- parts of tables ------------------------------------------------------------------------------------------

    def _constraint(self, name: ObjectName, want: Entry, *, instead: bool = False) -> str:
        """What adds it; `instead` of the one that stands, in one statement: where one fails, the other stays."""
        body = str(want["definition"])
        online = body.startswith(("CHECK", "FOREIGN KEY"))
        table = name.relation.identifier()
        drop = compose("DROP CONSTRAINT {n}, ", n=name.part) if instead else ""
        add = compose("ADD CONSTRAINT {n} {b}", n=name.part, b=fragment(body))
        parts = [f"{compose('ALTER TABLE {t}', t=table)} {drop}{add}{' NOT VALID' if online else ''}"]
        if online and not want.get("not_valid"):
            parts.append(compose("ALTER TABLE {t} VALIDATE CONSTRAINT {n}", t=table, n=name.part))
        made = _script([*parts, *self._comment("constraint", name, want)])
        goal = _referenced(body)
        if goal and goal in self.expected.get("table", {}) and goal not in self.live.get("table", {}):
            return _aside(f"table {goal.pretty()} is missing; once it stands:", made)
        return made

    def _index(self, name: ObjectName, want: Entry) -> str:
        return compose(
            "CREATE {u}INDEX CONCURRENTLY {n} ON {t} USING {d}",
            u=fragment("UNIQUE " if want.get("unique") else ""),
            n=name.part,
            t=name.relation.identifier(),
            d=fragment(want["definition"]),
        )

    def _state(self, name: ObjectName, want: Entry, *, whatever: bool = False) -> list[str]:
        state = want.get("state", "")
        if not state and not whatever:
            return []
        table = name.relation.identifier()
        return [compose("ALTER TABLE {t} {s} TRIGGER {n}", t=table, s=fragment(_STATES[state]), n=name.part)]

    def _exchange(self, name: ObjectName, want: Entry, found: Entry) -> Iterator[str]:
        """One statement where ALTER can do it: a policy that is dropped, and not made again, may have kept rows in."""
        made, table = self._policy(name, want), name.relation.identifier()
        fixed = all(want.get(key) == found.get(key) for key in ("command", "restrictive"))
        if fixed and all(want.get(key) or not found.get(key) for key in ("using", "check")):
            _, _, rest = made.partition(f" FOR {want['command']} TO ")
            yield compose("ALTER POLICY {n} ON {t} TO {r}", n=name.part, t=table, r=fragment(rest))
            return
        yield compose("DROP POLICY {n} ON {t}", n=name.part, t=table)
        yield made

    def _policy(self, name: ObjectName, want: Entry) -> str:
        text = compose(
            "CREATE POLICY {n} ON {t} AS {p} FOR {c} TO {r}",
            n=name.part,
            t=name.relation.identifier(),
            p=fragment("RESTRICTIVE" if want.get("restrictive") else "PERMISSIVE"),
            c=fragment(want["command"]),
            r=fragment(", ".join(role_sql(role) for role in want["roles"])),
        )
        text += f" USING ({want['using']})" if want.get("using") else ""
        return text + (f" WITH CHECK ({want['check']})" if want.get("check") else "")

    # --- the rest -------------------------------------------------------------------------------------------------

    def _sequence(self, name: ObjectName, attribute: str, want: Entry) -> str:
        head = f"ALTER SEQUENCE {name_sql(name)}"
        match attribute:
            case "type":
                return f"{head} AS {want['type']}"
            case "start":
                return f"{head} START {want.get('start', 0)}"
            case "increment":
                return f"{head} INCREMENT {want.get('increment', 0)}"
            case "minimum":
                return f"{head} MINVALUE {want.get('minimum', 0)}"
            case "maximum":
                return f"{head} MAXVALUE {want.get('maximum', 0)}"
            case "cache":
                return f"{head} CACHE {want['cache']}"
            case "cycle":
                return f"{head} {'' if want.get('cycle') else 'NO '}CYCLE"
        return ""

    def _role(self, name: str, attribute: str, want: Entry, found: Entry) -> str:
        gone = set(found.get(attribute, ())) - set(want.get(attribute, ()))
        role = compose("{r}", r=name)
        match attribute:
            case "attributes":
                return f"ALTER ROLE {role} {' '.join('NO' + word for word in sorted(gone))}"
            case "members":
                return _script([f"REVOKE {role} FROM {compose('{m}', m=m.removesuffix('*'))}" for m in sorted(gone)])
            case "member_of":
                return _script([compose("REVOKE {o} FROM {r}", o=other, r=name) for other in sorted(gone)])
            case "not_members":
                others = [self.owner if who == "owner" else AUTHENTICATOR for who in sorted(gone)]
                return _script([compose("GRANT {r} TO {o}", r=name, o=other) for other in others])
        return ""

    def _membership(self, name: str) -> str:
        return "" if not self.owner else compose("GRANT {r} TO {o}", r=name, o=self.owner)

    def _defaults(self, name: str, want: Entry, found: Entry) -> Iterator[str]:
        *schema, what = name.split(" ")
        where = f" IN SCHEMA {schema[0]}" if schema else ""
        head = f"ALTER DEFAULT PRIVILEGES FOR ROLE {compose('{o}', o=self.owner)}{where}"
        usual = {"FUNCTIONS": "EXECUTE", "TYPES": "USAGE"}.get(what, "") if not schema else ""
        wanted, held = want.get("grants", {}), found.get("grants", {})
        for role in held:
            if not (role == "PUBLIC" and usual) and held[role] != wanted.get(role):
                yield f"{head} REVOKE ALL ON {what} FROM {role_sql(role)}"
        for role in wanted:
            if wanted[role] not in ("nothing", held.get(role)):
                yield f"{head} GRANT {wanted[role]} ON {what} TO {role_sql(role)}"
        if usual and "PUBLIC" not in wanted:
            yield f"{head} GRANT {usual} ON {what} TO PUBLIC"

    def _comment(self, kind: str, name: ObjectName, want: Entry) -> Iterator[str]:
        current = self.live.get(kind, {}).get(name)
        if current is None and not want.get("comment"):
            return
        text = sql.Literal(want["comment"]).as_string(None).strip() if want.get("comment") else "NULL"
        yield f"COMMENT ON {described_sql(kind, name)} IS {text}"

    def _grants(self, kind: str, name: ObjectName, want: Entry, found: Entry) -> Iterator[str]:
        """GRANT and REVOKE from what is held to what should be."""
        wanted, held = want.get("grants", {}), found.get("grants", {})
        for role in sorted(wanted.keys() | held.keys()):
            one, other = privilege_words(wanted.get(role, "")), privilege_words(held.get(role, ""))
            if role == "owner":
                yield f"GRANT ALL ON {target_sql(kind, name)} TO {compose('{o}', o=self.owner)}"
                continue
            to = role_sql(role)
            if held.get(role) == "nothing":  # a role of the platform that lacks what it is meant to have
                right = "EXECUTE" if kind == "function" else "USAGE"
                yield f"GRANT {right} ON {target_sql(kind, name)} TO {to}"
                continue
            regrant = {word for word in other if word.endswith("*")}
            if regrant or other - one:
                gone = ", ".join(f"{word.removesuffix('*')}{column_sql(kind, name)}" for word in sorted(other - one))
                yield f"REVOKE {gone} ON {target_sql(kind, name)} FROM {to} CASCADE"
            if one - other:
                new = ", ".join(f"{word}{column_sql(kind, name)}" for word in sorted(one - other))
                yield f"GRANT {new} ON {target_sql(kind, name)} TO {to}"


def _script(statements: Any) -> str:
    return ";\n".join(statement.rstrip(";") for statement in statements if statement)


def _aside(why: str, statements: str) -> str:
    return f"-- {why} " + statements.replace("\n", "\n-- ")


def _referenced(definition: str) -> ObjectName | None:
    """The table that a foreign key points to; None of another constraint."""
    found = re.match(rf"FOREIGN KEY .*? REFERENCES ({PATH})", definition)
    return ObjectName(*("public", *parts_of(found[1]))[-2:]) if found else None


def _says(text: str, name: str) -> bool:
    """Whether an expression that PostgreSQL wrote names this column or table, or something called like it."""
    return bool(re.search(rf"(?<!\w){re.escape(name.replace(chr(34), chr(34) * 2))}(?!\w)", text))


def _type(want: Entry) -> str:
    collation = want.get("collation")
    return f"{want['type']} COLLATE {compose('{c}', c=collation)}" if collation else str(want["type"])


def _function(name: ObjectName, want: Entry) -> str:
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
    return " ".join(part for part in parts if part)


def _value(text: str) -> str:
    """A setting's value as DDL takes it; PostgreSQL keeps an empty search path as ``""``."""
    if text in ('""', ""):
        return "''"
    return text if re.fullmatch(r'[\w$", ]+', text) else sql.Literal(text).as_string(None)
