"""Functions that stand in for those of a platform's schemas, so that what names them can be restored without them.

Their names and types come from a backup, and are put together from parts: types are looked up by the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg
from psycopg import sql

from moeen.db import statements
from moeen.db.backups.inventory import Stub
from moeen.db.backups.manifest import CONTENT, Damaged
from moeen.db.codes import Code
from moeen.db.errors import MoeenError

_MODES = ("IN", "OUT", "INOUT", "VARIADIC")
_VOLATILITIES = {"i": sql.SQL("IMMUTABLE"), "s": sql.SQL("STABLE")}


def create(connection: psycopg.Connection[Any], stubs: Iterable[Stub]) -> tuple[str, ...]:
    """Make those that are missing; each answers NULL. Returns their names.

    Raises Damaged for one whose arguments or result are none, and MoeenError where this role may not make them.
    """
    made = []
    for stub in stubs:
        stands = connection.execute(
            "SELECT 1 FROM pg_proc WHERE proname = %s AND pronamespace = to_regnamespace(quote_ident(%s))",
            [stub.name, stub.schema],
        ).fetchone()
        # Another of ours under that name, with other arguments, is no reason to leave this one out.
        if stands is not None and f"{stub.schema}.{stub.name}" not in made:
            continue
        try:
            _create(connection, stub)
            made.append(f"{stub.schema}.{stub.name}")
        except psycopg.errors.InsufficientPrivilege as error:
            raise MoeenError(
                f"The backup needs function {stub.schema}.{stub.name} of the platform it comes from, and "
                f"{connection.info.user} may not make a stand-in for it here. Nothing was changed.",
                next_step="Restore to such a platform, or as the owner of the database.",
                code=Code.TARGET_UNFIT,
            ) from error
        except (_Strange, psycopg.Error) as error:
            what = f"function {stub.schema}.{stub.name} of the platform is none that PostgreSQL describes so"
            raise Damaged(CONTENT, what) from error
    return tuple(made)


def _create(connection: psycopg.Connection[Any], stub: Stub) -> None:
    schema = sql.Identifier(stub.schema)
    if connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [stub.schema]).fetchone() is None:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO PUBLIC").format(schema))
    result, body = _result(connection, stub.result)
    connection.execute(
        sql.SQL("CREATE FUNCTION {} ({}) RETURNS {} {} {}").format(
            sql.Identifier(stub.schema, stub.name),
            sql.SQL(", ").join(_argument(connection, text) for text in _listed(stub.arguments)),
            result,
            _VOLATILITIES.get(stub.volatility, sql.SQL("VOLATILE")),
            body,
        )
    )


class _Strange(Exception):
    """No text that PostgreSQL describes a function with."""


def _listed(text: str) -> Iterator[str]:
    """What stands between the commas outside of brackets and literals."""
    piece, depth = "", 0
    for token in statements.tokens(text):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
        if token.text == "," and depth == 0:
            yield piece.strip()
            piece = ""
        else:
            piece += token.text
    if piece.strip():
        yield piece.strip()


def _argument(connection: psycopg.Connection[Any], text: str) -> sql.Composable:
    """`[mode] [name] type [DEFAULT ...]`, put together again; the default is NULL, since the answer is NULL anyway."""
    words, default, _ = (text + " ").partition(" DEFAULT ")
    parts: list[sql.Composable] = []
    mode, _, rest = words.strip().partition(" ")
    if mode in _MODES:
        parts.append(sql.SQL(next(known for known in _MODES if known == mode)))
        words = rest
    words = words.strip()
    kind = _type(connection, words)
    if kind is None:
        named = re.fullmatch(rf"({statements.PATH}) (.+)", words)
        kind = _type(connection, named[2]) if named else None
        if named is None or kind is None:
            raise _Strange
        parts.append(sql.Identifier(*statements.parts_of(named[1])))
    parts.append(kind)
    if default:
        parts.append(sql.SQL("DEFAULT NULL"))
    return sql.SQL(" ").join(parts)


def _result(connection: psycopg.Connection[Any], text: str) -> tuple[sql.Composable, sql.Composable]:
    """How the result is declared, and a body that fits it."""
    nothing, null = (sql.SQL(f"LANGUAGE plpgsql AS $$ BEGIN {does} END $$") for does in ("", "RETURN NULL;"))
    table = re.fullmatch(r"TABLE\((.+)\)", text)
    if table:
        columns = sql.SQL(", ").join(_argument(connection, column) for column in _listed(table[1]))
        return sql.SQL("TABLE({})").format(columns), nothing
    if text.startswith("SETOF "):
        return sql.SQL("SETOF {}").format(_needed(connection, text.removeprefix("SETOF "))), nothing
    return _needed(connection, text), nothing if text in ("void", "event_trigger") else null


def _needed(connection: psycopg.Connection[Any], text: str) -> sql.Composable:
    kind = _type(connection, text)
    if kind is None:
        raise _Strange
    return kind


def _type(connection: psycopg.Connection[Any], text: str) -> sql.Composable | None:
    """A type as this server writes its name, None where it knows none of that name."""
    # The name is looked up; what is put into the statement is the server's own text. Of a malformed one it complains.
    try:
        with connection.transaction():
            row = connection.execute("SELECT to_regtype(%s)::text", [text]).fetchone()
    except psycopg.errors.SyntaxError:
        return None
    return sql.SQL(row[0]) if row is not None and row[0] is not None else None
