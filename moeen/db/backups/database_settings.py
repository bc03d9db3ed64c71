"""What belongs to the database itself and is in no dump of it: who may connect, and its settings."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import psycopg
from psycopg import sql

from moeen.db.backups import inventory
from moeen.db.backups.inventory import Settings
from moeen.db.backups.login import Login
from moeen.db.backups.swap import APPLICATION
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.findings import Finding
from moeen.db.kinds import Kind
from moeen.db.sql import elements

#: Their values are stored as a list that is quoted already; pg_dumpall knows the same ones (dumputils.c).
_LISTS = frozenset(
    (
        "local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries",
        "temp_tablespaces", "unix_socket_directories",
    )
)  # fmt: skip


def create(connection: psycopg.Connection[Any], name: str, wanted: Settings, *, owner: str = "") -> None:
    """An empty database of the encoding that the backup's had.

    Other encodings than UTF8 have no place beside a server's usual locale; C goes with each.
    """
    parts: list[sql.Composable] = [sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))]
    parts.append(sql.SQL("TEMPLATE template0 ENCODING {}").format(sql.Literal(wanted.encoding)))
    if owner:
        parts.append(sql.SQL("OWNER {}").format(sql.Identifier(owner)))
    if wanted.encoding != "UTF8":
        if connection.info.server_version >= 150000:
            parts.append(sql.SQL("LOCALE_PROVIDER libc"))
        parts.append(sql.SQL("LC_COLLATE 'C' LC_CTYPE 'C'"))
    try:
        connection.execute(sql.SQL(" ").join(parts))
    except (psycopg.errors.UndefinedObject, psycopg.errors.InvalidParameterValue) as error:
        raise MoeenError(
            f"A database of encoding {wanted.encoding} cannot be made there. Nothing was changed.", exit_code=FINDINGS
        ) from error


def apply(goal: Login, wanted: Settings) -> tuple[list[Finding], list[str]]:
    """Give them to the database of the login; returns what is not as wanted, and notes on what could not be asked."""
    with goal.connect(application=APPLICATION) as connection:
        roles = {role for (role,) in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
        grant(connection, wanted, roles)
        refused = set()
        for role, key, value in _entries(wanted):
            if role and role not in roles:
                refused.add((role, key))
                continue
            try:
                _set(connection, role, key, value)
            except (
                psycopg.errors.InsufficientPrivilege,
                psycopg.errors.UndefinedObject,
                psycopg.errors.CantChangeRuntimeParam,
                psycopg.errors.InvalidParameterValue,
            ):
                refused.add((role, key))
        found = inventory.settings(connection)
    notes = [f"Setting {_label(role, key)} could not be made here." for role, key in sorted(refused)]
    return list(_compared(wanted, found, refused)), notes


def grant(connection: psycopg.Connection[tuple[Any, ...]], wanted: Settings, roles: Collection[str]) -> None:
    """Who may connect to the connected database, and make things in it; only these roles are known there."""
    database = sql.Identifier(connection.info.dbname)
    for privilege in ("CONNECT", "TEMPORARY", "CREATE"):
        given = privilege in wanted.grants.get("PUBLIC", "").split(", ")
        change = sql.SQL("GRANT {} ON DATABASE {} TO PUBLIC" if given else "REVOKE {} ON DATABASE {} FROM PUBLIC")
        connection.execute(change.format(sql.SQL(privilege), database))
    for grantee, privileges in wanted.grants.items():
        if grantee in roles:
            words = [word for word in privileges.split(", ") if word in ("CONNECT", "TEMPORARY", "CREATE")]
            connection.execute(
                sql.SQL("GRANT {} ON DATABASE {} TO {}").format(
                    sql.SQL(", ").join(sql.SQL(word) for word in words), database, sql.Identifier(grantee)
                )
            )


def _set(connection: psycopg.Connection[tuple[object, ...]], role: str, key: str, value: str) -> None:
    database = sql.Identifier(connection.info.dbname)
    values = elements(value) if key.lower() in _LISTS else [value]
    connection.execute(
        sql.SQL("ALTER {} SET {} = {}").format(
            sql.SQL("ROLE {} IN DATABASE {}").format(sql.Identifier(role), database)
            if role
            else sql.SQL("DATABASE {}").format(database),
            sql.SQL(".").join(sql.Identifier(part) for part in key.split(".")),
            sql.SQL(", ").join(sql.Literal(one) for one in values),
        )
    )


def _entries(settings: Settings) -> Iterator[tuple[str, str, str]]:
    for role, entries in settings.settings.items():
        for entry in entries:
            key, _, value = entry.partition("=")
            yield role, key, value


def _compared(wanted: Settings, found: Settings, refused: set[tuple[str, str]]) -> Iterator[Finding]:
    """Those that are missing or other ones; what stood in an empty database beforehand is no finding."""
    standing = {(role, key): value for role, key, value in _entries(found)}
    for role, key, value in sorted(_entries(wanted)):
        got = standing.get((role, key))
        if (role, key) in refused or got == value:
            continue
        if got is None:
            yield Finding(_label(role, key), Kind.DATABASE_SETTING, value, "missing")
        elif key.lower() not in _LISTS or elements(got) != elements(value):
            yield Finding(_label(role, key), Kind.DATABASE_SETTING, value, got)


def _label(role: str, key: str) -> str:
    return f"{key} of {role}" if role else key
