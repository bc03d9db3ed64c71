"""The SQL that migrations run forwards, as statements with their literals taken out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import migrations
from django.db.migrations import Migration

from moeen.db.operations import (
    RunSQLFile,
)

_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/) | (?P<body>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
        | (?P<text>'(?:[^']|'')*') | (?P<name>"(?:[^"]|"")*") | (?P<end>;) | (?P<plain>[^-/$'";]+|.)""",
    re.DOTALL | re.VERBOSE,
)


_ALLOW = re.compile(r"lint: allow (moeen\.[EW]\d+): *(\S.*)")


@dataclass(frozen=True)
class Statement:
    """One statement: its words with comments and line breaks taken out, its string literals, and what is allowed."""

    words: str
    literals: tuple[str, ...] = ()
    allowed: frozenset[str] = frozenset()

    def matches(self, pattern: str) -> re.Match[str] | None:
        return re.search(pattern, self.words, re.IGNORECASE)


@dataclass(frozen=True)
class MigrationSQL:
    """SQL that a migration runs forwards, by the name under which it is known."""

    name: str
    statements: tuple[Statement, ...]


def scripts(migration: Migration) -> Iterator[MigrationSQL]:
    """The SQL texts of a migration."""
    for operation in migration.operations:
        if isinstance(operation, RunSQLFile):
            yield MigrationSQL(
                f"{operation.app_label}/sql/{operation.name}.sql", tuple(_all_statements(_joined(operation.sql)))
            )
        elif isinstance(operation, migrations.RunSQL) and operation.sql != migrations.RunSQL.noop:
            yield MigrationSQL(
                f"{migration.app_label}.{migration.name}", tuple(_all_statements(_joined(operation.sql)))
            )


def split(text: str) -> Iterator[Statement]:
    """The statements of a text. A literal stands in the words as ``'...'``, a dollar-quoted body as ``$...$``."""
    words: list[str] = []
    literals: list[str] = []
    allowed: dict[str, str] = {}
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "comment":
                if allow := _ALLOW.search(token[0]):
                    allowed[allow[1]] = allow[2]
                words.append(" ")
            case "body":
                mark = len(token["tag"]) + 2
                literals.append(token[0][mark:-mark])
                words.append("$...$")
            case "text":
                literals.append(token[0][1:-1].replace("''", "'"))
                words.append("'...'")
            case "end":
                yield from _statement(words, literals, allowed)
                words, literals, allowed = [], [], {}
            case _:
                words.append(token[0])
    yield from _statement(words, literals, allowed)


def _statement(words: Sequence[str], literals: Sequence[str], allowed: Mapping[str, str]) -> Iterator[Statement]:
    joined = " ".join("".join(words).split())
    if joined:
        yield Statement(joined, tuple(literals), reasons(allowed))


def _all_statements(text: str) -> Iterator[Statement]:
    """The statements, and those inside DO blocks, which run at once too: plain and as texts for EXECUTE."""
    for statement in split(text):
        yield statement
        if statement.matches(r"^DO\b"):
            for body in statement.literals:
                for inner in split(body):
                    # What follows BEGIN, THEN, ELSE or LOOP is a statement of its own.
                    for part in re.split(r"\b(?:BEGIN|THEN|ELSE|LOOP)\b", inner.words):
                        if part.strip():
                            allowed = statement.allowed | inner.allowed
                            yield Statement(part.strip(), inner.literals, allowed)
                    for literal in inner.literals:
                        yield from (
                            Statement(said.words, said.literals, statement.allowed | inner.allowed)
                            for said in split(literal)
                        )


def statements_inside(block: str) -> list[str]:
    """The statements of a DO block, plain and as texts for EXECUTE, with their literals where they stood."""
    return [_with_literals(statement) for statement in list(_all_statements(block))[1:]]


def _with_literals(statement: Statement) -> str:
    words, *rest = statement.words.split("'...'")
    return words + "".join(f"'{literal}'{more}" for literal, more in zip(statement.literals, rest, strict=False))


def _joined(texts: Any) -> str:
    """RunSQL's sql: a text, or a list of texts and (text, parameters)."""
    if isinstance(texts, str):
        return texts
    return ";\n".join(text if isinstance(text, str) else text[0] for text in texts)


def reasons(allowed: Mapping[str, str]) -> frozenset[str]:
    """The ids for which a reason of some words is given."""
    return frozenset(id_ for id_, reason in allowed.items() if len(reason.split()) > 1)
