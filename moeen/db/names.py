"""What an object of a database is called: its identity, which is no text."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, replace

from psycopg import sql

PUBLIC = "public"
#: A name that can be told from its neighbours without quotes.
_PLAIN = re.compile(r'[^\s."()]+')
_PART = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')
_PATH = re.compile(r'((?:"(?:[^"]|"")*"|[^"(])*)(?:\((.*)\))?', re.DOTALL)
#: Kinds of object that pg_identify_object writes in two words.
_OTHER = re.compile(r"(operator class|operator family|statistics object|text search \w+|\w+) (.*)", re.DOTALL)


class ObjectKind(enum.StrEnum):
    """What an object is. A view is a table here, a procedure a function; an object is of any rarer kind."""

    SCHEMA = "schema"
    TABLE = "table"
    COLUMN = "column"
    CONSTRAINT = "constraint"
    INDEX = "index"
    TRIGGER = "trigger"
    POLICY = "policy"
    RULE = "rule"
    FUNCTION = "function"
    AUTH_FUNCTION = "auth function"
    SEQUENCE = "sequence"
    TYPE = "type"
    EXTENSION = "extension"
    OBJECT = "object"
    EVENT_TRIGGER = "event trigger"
    DEFAULT_PRIVILEGES = "default privileges"
    ROLE = "role"


#: Kinds whose objects stand in no schema.
OUTSIDE = frozenset({"role", "extension", "event trigger", "default privileges"})


@dataclass(frozen=True, order=True)
class ObjectName:
    """The name of an object, as PostgreSQL keeps its parts, unquoted.

    A relation, sequence or type: ``schema`` and ``table``. A part of a table (column, constraint, index, trigger,
    policy, rule): those and ``part``. A function: ``schema``, ``part`` and its ``arguments``. A schema: itself alone.
    What stands in no schema: ``part`` alone. Of a rarer kind: the kind in ``table``, PostgreSQL's text in ``part``.
    """

    schema: str
    table: str = ""
    part: str = ""
    arguments: str | None = None

    @classmethod
    def of(cls, kind: str, text: str) -> ObjectName:
        """The name whose `pretty` form this is, of an object of the kind."""
        if kind in OUTSIDE:
            return cls("", part=text)
        if kind == "object":
            found = _OTHER.fullmatch(text)
            return cls("", found[1], found[2]) if found else cls("", part=text)
        path = _PATH.fullmatch(text)
        parts = [quoted.replace('""', '"') or plain for quoted, plain in _PART.findall(path[1] if path else text)]
        if kind == "schema":
            return cls(parts[0])
        if "function" in kind:
            return cls(parts[0], part=parts[-1], arguments=path[2] if path else "")
        count = 1 if kind in ("table", "sequence", "type") else 2
        return cls(*(parts if len(parts) > count else [PUBLIC, *parts]))

    def pretty(self) -> str:
        """For people: without schema public, in quotes only what could be misread. Different for different names."""
        if not self.schema:
            return f"{self.table} {self.part}" if self.table else self.part
        schema = "" if self.schema == PUBLIC and self.table else self.schema
        text = ".".join(_shown(part) for part in (schema, self.table, self.part) if part)
        return text if self.arguments is None else f"{text}({self.arguments})"

    def identifier(self) -> sql.Composable:
        """As DDL names it. The part of a table: as what stands in the table's schema beside it, as an index does."""
        name = self.part or self.table
        if self.arguments is not None:
            return sql.SQL("{}({})").format(sql.Identifier(self.schema, name), sql.SQL(self.arguments))
        if not (self.schema and name):
            return sql.Identifier(name or self.schema)
        # The fixes' search path is public; schema pg_catalog is searched before it.
        bare = self.schema == PUBLIC and not name.startswith("pg_")
        return sql.Identifier(name) if bare else sql.Identifier(self.schema, name)

    @property
    def relation(self) -> ObjectName:
        """The table that it is a part of, or itself."""
        return replace(self, part="") if self.table else self

    def has(self, part: str) -> ObjectName:
        """A part of this table."""
        return replace(self, part=part)


def _shown(part: str) -> str:
    return part if _PLAIN.fullmatch(part) else '"' + part.replace('"', '""') + '"'
