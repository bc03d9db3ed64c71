"""Statements put together by psycopg's composer, as text: names are quoted, nothing is pasted."""

from __future__ import annotations

from typing import LiteralString

from psycopg import sql


def compose(template: LiteralString, **parts: str | tuple[str, ...] | sql.Composable) -> str:
    """A statement as text: strings become identifiers, tuples lists of them, composables stay as they are."""
    ready = {
        name: sql.Identifier(part)
        if isinstance(part, str)
        else sql.SQL(", ").join(map(sql.Identifier, part))
        if isinstance(part, tuple)
        else part
        for name, part in parts.items()
    }
    return sql.SQL(template).format(**ready).as_string(None)


def fragment(text: str) -> sql.SQL:
    """SQL that PostgreSQL or Django's compiler wrote, to be used as it stands."""
    return sql.SQL(text)
