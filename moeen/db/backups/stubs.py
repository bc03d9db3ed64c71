"""Functions, tables and types that stand in for a platform's, so that what names them can be restored without them.

Their names and types come from a backup, and are put together from parts: types are looked up by the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from moeen.db import statements
from moeen.db.backups.manifest import CONTENT, Content, Damaged
from moeen.db.backups.outside import LeftOut, Stub, Table, Type
from moeen.db.codes import Code
from moeen.db.errors import MoeenError

_MODES = ("IN", "OUT", "INOUT", "VARIADIC")
_VOLATILITIES = {"i": sql.SQL("IMMUTABLE"), "s": sql.SQL("STABLE")}


@dataclass(frozen=True)
class Made:
    """The names of those that were missing, and were made."""

    functions: tuple[str, ...]
    tables: tuple[str, ...]
    types: tuple[str, ...]


def create(connection: psycopg.Connection[Any], content: Content) -> Made:
    """Make those that are missing: a table is empty, and read by owners alone; a function answers NULL; a type has the
    values that it has there, a domain without its checks.

    Raises Damaged for one whose columns, arguments or result are none, MoeenError where this role may make none.
    """
    types = [kind for kind in content.outside.types if not _stands(connection, _HAS_TYPE, kind)]
    for kind in types:
        with _told(connection, kind):
            _create_type(connection, kind)
    # Tables first: a function may answer with rows of one.
    tables = [table for table in content.outside.tables if not _stands(connection, _HAS_TABLE, table)]
    for table in tables:
        with _told(connection, table):
            _create_table(connection, table, readers=sorted(set(content.inventory["owner"].values())))
    functions: list[str] = []
    for stub in content.stubs:
        # Another of ours under that name, with other arguments, is no reason to leave this one out.
        if stub.label in functions or not _stands(connection, _HAS_FUNCTION, stub):
            with _told(connection, stub):
                _create_function(connection, stub)
            functions.append(stub.label)
    return Made(tuple(functions), tuple(table.label for table in tables), tuple(kind.label for kind in types))


_HAS_TABLE = "SELECT 1 FROM pg_class WHERE relname = %s AND relnamespace = to_regnamespace(quote_ident(%s))"
_HAS_TYPE = "SELECT 1 FROM pg_type WHERE typname = %s AND typnamespace = to_regnamespace(quote_ident(%s))"
_HAS_FUNCTION = "SELECT 1 FROM pg_proc WHERE proname = %s AND pronamespace = to_regnamespace(quote_ident(%s))"


def _stands(connection: psycopg.Connection[Any], query: LiteralString, missing: LeftOut) -> bool:
    return connection.execute(query, [missing.name, missing.schema]).fetchone() is not None


@contextmanager
def _told(connection: psycopg.Connection[Any], missing: LeftOut) -> Iterator[None]:
    """In its schema, which is made where it is missing; what goes wrong is told with its name."""
    try:
        _create_schema(connection, missing.schema)
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise MoeenError(
            f"The backup needs {missing.label} of the platform it comes from, and {connection.info.user} may not make "
            "a stand-in for it here. Nothing was changed.",
            next_step="Restore to such a platform, or as the owner of the database.",
            code=Code.TARGET_UNFIT,
        ) from error
    except (_Strange, psycopg.Error) as error:
        raise Damaged(CONTENT, f"{missing.label} of the platform is none that PostgreSQL describes so") from error


def _create_schema(connection: psycopg.Connection[Any], name: str) -> None:
    schema = sql.Identifier(name)
    if connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [name]).fetchone() is None:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO PUBLIC").format(schema))


def _create_table(connection: psycopg.Connection[Any], table: Table, *, readers: Sequence[str]) -> None:
    """A type that is not here, the platform's own as well, is text. Views read it as their owners."""
    columns = [
        sql.SQL("{} {}").format(
            sql.Identifier(column.name), _type(connection, column.type, column.modifier) or sql.SQL("text")
        )
        for column in table.columns
    ]
    made = sql.Identifier(table.schema, table.name)
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(made, sql.SQL(", ").join(columns)))
    for (reader,) in connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", [readers]).fetchall():
        connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(made, sql.Identifier(reader)))
    said = "Stands in for the table of a platform that a restored backup comes from."
    connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(made, sql.Literal(said)))


def _create_type(connection: psycopg.Connection[Any], kind: Type) -> None:
    name = sql.Identifier(kind.schema, kind.name)
    if kind.base:
        base = _type(connection, kind.base) or sql.SQL("text")
        connection.execute(sql.SQL("CREATE DOMAIN {} AS {}").format(name, base))
    else:
        labels = sql.SQL(", ").join(map(sql.Literal, kind.labels))
        connection.execute(sql.SQL("CREATE TYPE {} AS ENUM ({})").format(name, labels))


def _create_function(connection: psycopg.Connection[Any], stub: Stub) -> None:
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


def _type(connection: psycopg.Connection[Any], text: str, modifier: int = -1) -> sql.Composable | None:
    """A type as this server writes its name, None where it knows none of that name."""
    # The name is looked up; what is put into the statement is the server's own text. Of a malformed one it complains.
    try:
        with connection.transaction():
            row = connection.execute("SELECT format_type(to_regtype(%s), %s::int4)", [text, modifier]).fetchone()
    except psycopg.errors.SyntaxError:
        return None
    return sql.SQL(row[0]) if row is not None and row[0] is not None else None
