"""Statements put together by psycopg's composer, as text: names are quoted, nothing is pasted."""

from __future__ import annotations

import re
from functools import lru_cache
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


def role_sql(name: str) -> str:
    """A role as GRANT and REVOKE name it."""
    return "PUBLIC" if name in ("public", "PUBLIC") else compose("{n}", n=name)


def fragment(text: str) -> sql.SQL:
    """SQL that PostgreSQL or Django's compiler wrote, to be used as it stands."""
    return sql.SQL(text)


_ELEMENT = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",]*?))\s*(?:,|\Z)')


def elements(value: str) -> list[str]:
    """The elements of a stored list: `"$user", public` as `$user` and `public`; of an empty one, one empty element."""
    found, at = [], 0
    while True:
        match = _ELEMENT.match(value, at)
        if match is None:
            return [value]
        found.append(match[1].replace('""', '"') if match[1] is not None else match[2])
        if not match[0].endswith(","):
            return found
        at = match.end()


@lru_cache(maxsize=32)
def set_configs(names: tuple[str, ...], *, local: bool) -> str:
    """A statement that sets these parameters to as many values, for the transaction or for the session."""
    call = "pg_catalog.set_config({}, %s, true)" if local else "pg_catalog.set_config({}, %s, false)"
    return compose("SELECT {calls}", calls=sql.SQL(", ").join(sql.SQL(call).format(name) for name in names))
