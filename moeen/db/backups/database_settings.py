"""What belongs to the database itself and is in no dump of it: its locale, who may connect, its settings."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from moeen.db.backups import inventory
from moeen.db.backups.inventory import Settings
from moeen.db.backups.login import Login
from moeen.db.backups.swap import APPLICATION
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.findings import Finding
from moeen.db.kinds import Kind
from moeen.db.sql import elements

#: What belongs to the database itself and another machine may not be able to give.
LOCALE = "locale"
_PROVIDERS: dict[str, LiteralString] = {"c": "LIBC", "i": "ICU", "b": "BUILTIN"}
#: Their values are stored as a list that is quoted already; pg_dumpall knows the same ones (dumputils.c).
_LISTS = frozenset(
    (
        "local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries",
        "temp_tablespaces", "unix_socket_directories",
    )
)  # fmt: skip


def create(connection: psycopg.Connection[Any], name: str, wanted: Settings, *, owner: str = "") -> None:
    """An empty database of the encoding and the locale that the backup's had; where that is not to be had, of another.

    `apply` tells then. Raises MoeenError where the encoding cannot be had with any.
    """
    head = [sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {}").format(
        sql.Identifier(name), sql.Literal(wanted.encoding)
    )]  # fmt: skip
    if owner:
        head.append(sql.SQL("OWNER {}").format(sql.Identifier(owner)))
    # Other encodings than UTF8 have no place beside a server's usual locale; C goes with each.
    plain = [] if wanted.encoding == "UTF8" else _locale_of(replace(wanted, provider="c", collate="C", ctype="C"))
    for parts in ([*head, *_locale_of(wanted)] if wanted.provider else [], [*head, *plain]):
        try:
            if parts:
                connection.execute(sql.SQL(" ").join(parts))
                return
        except (
            psycopg.errors.FeatureNotSupported,
            psycopg.errors.InvalidObjectDefinition,
            psycopg.errors.InvalidParameterValue,
            psycopg.errors.SyntaxError,
            psycopg.errors.UndefinedObject,
            psycopg.errors.WrongObjectType,
        ) as error:
            refused = error
    raise MoeenError(
        f"A database of encoding {wanted.encoding} cannot be made there. Nothing was changed.",
        next_step="Restore into a server that has this encoding and its locale (`locale -a`).",
        exit_code=FINDINGS,
        code=Code.TARGET_UNFIT,
    ) from refused


def _locale_of(wanted: Settings) -> list[sql.Composable]:
    """Version 14 has libc's alone, and no word for it."""
    values = {"LC_COLLATE": wanted.collate, "LC_CTYPE": wanted.ctype}
    if wanted.provider != "c":
        values[f"{_PROVIDERS[wanted.provider]}_LOCALE"] = wanted.locale
    if wanted.icu_rules:
        values["ICU_RULES"] = wanted.icu_rules
    given = [sql.SQL(f"{key} {{}}").format(sql.Literal(value)) for key, value in values.items()]
    return [sql.SQL(f"LOCALE_PROVIDER {_PROVIDERS[wanted.provider]}"), *given]


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
        _describe(connection, wanted)
        found = inventory.settings(connection)
    notes = [f"Setting {_label(role, key)} could not be made here." for role, key in sorted(refused)]
    if found.owner != wanted.owner:
        notes.append(f"The database belongs to {found.owner}; the one that was backed up was {wanted.owner}'s.")
    return [*_compared(wanted, found, refused), *_compared_database(wanted, found, roles)], notes


def grant(connection: psycopg.Connection[tuple[Any, ...]], wanted: Settings, roles: Collection[str]) -> None:
    """Who may connect to the connected database, and make things in it; only these roles are known there."""
    database = sql.Identifier(connection.info.dbname)
    for privilege in ("CONNECT", "TEMPORARY", "CREATE"):
        given = privilege in wanted.grants.get("PUBLIC", "").split(", ")
        change = sql.SQL("GRANT {} ON DATABASE {} TO PUBLIC" if given else "REVOKE {} ON DATABASE {} FROM PUBLIC")
        connection.execute(change.format(sql.SQL(privilege), database))
    for grantee, privileges in wanted.grants.items():
        if grantee in roles:
            for privilege in ("CONNECT", "TEMPORARY", "CREATE"):
                if privilege in privileges.replace("*", "").split(", "):
                    further = " WITH GRANT OPTION" if f"{privilege}*" in privileges else ""
                    change = sql.SQL("GRANT {} ON DATABASE {} TO {}{}")
                    connection.execute(
                        change.format(sql.SQL(privilege), database, sql.Identifier(grantee), sql.SQL(further))
                    )


def _describe(connection: psycopg.Connection[tuple[object, ...]], wanted: Settings) -> None:
    """Its comment, and last how many may connect: that may shut out who comes after."""
    standing, database = inventory.settings(connection), sql.Identifier(connection.info.dbname)
    if wanted.comment != standing.comment:
        change = sql.SQL("COMMENT ON DATABASE {} IS {}")
        connection.execute(change.format(database, sql.Literal(wanted.comment or None)))
    if wanted.connection_limit != standing.connection_limit:
        change = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}")
        connection.execute(change.format(database, sql.Literal(wanted.connection_limit)))


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


def _compared_database(wanted: Settings, found: Settings, roles: Collection[str]) -> Iterator[Finding]:
    """What else of the database is not as wanted. Grants that stood in an empty database beforehand are no finding."""
    pairs = [("encoding", wanted.encoding, found.encoding), ("comment", wanted.comment, found.comment)]
    if wanted.provider:
        pairs.append((LOCALE, _shown_locale(wanted), _shown_locale(found)))
    pairs.append(("connection limit", str(wanted.connection_limit), str(found.connection_limit)))
    grantees = {role for role in wanted.grants if role in roles} | {"PUBLIC"}
    pairs += [(f"grants of {role}", _privileges(wanted, role), _privileges(found, role)) for role in sorted(grantees)]
    for what, want, got in pairs:
        if want != got:
            yield Finding(what, Kind.DATABASE_SETTING, want, got)


def _shown_locale(settings: Settings) -> str:
    words = (settings.locale, settings.icu_rules, f"LC_COLLATE {settings.collate}", f"LC_CTYPE {settings.ctype}")
    return ", ".join(filter(None, (_PROVIDERS[settings.provider].lower(), *words)))


def _privileges(settings: Settings, role: str) -> str:
    return ", ".join(sorted(settings.grants.get(role, "nothing").split(", ")))


def _label(role: str, key: str) -> str:
    return f"{key} of {role}" if role else key
