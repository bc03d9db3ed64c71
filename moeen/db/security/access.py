"""Who may do what, read from the live catalog: the matrix of tables, roles and commands, and one person's view.

The declared matrix stands in the apps' SQL, one `app.allow(...)` a cell.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS, DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db import catalog, public_ids
from moeen.db.codes import Code
from moeen.db.errors import MIGRATE_FIRST, USAGE, MoeenError
from moeen.db.findings import Finding, unique
from moeen.db.kinds import Kind
from moeen.db.roles import API_ROLES, OTHERS, PEOPLE, PREFIX, ROLES
from moeen.db.security import identity, rights, web_login
from moeen.db.security.rights import ALWAYS, COMMANDS


@dataclass(frozen=True, order=True)
class Cell:
    """What a role may do to a table with one command.

    `columns` is empty where all are meant. `rows`: "all", or "some": those the `condition` of `policy` lets through.
    """

    table: str
    role: str
    command: str
    columns: tuple[str, ...] = ()
    rows: str = "all"
    policy: str = ""
    condition: str = ""

    def pretty(self) -> str:
        return f"{self.rows} rows, " + (", ".join(self.columns) or "all columns")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Subject:
    """Who is asked about, what they are called, and whether they may come in at all."""

    identity: identity.Identity
    name: str
    is_active: bool = True


@dataclass(frozen=True)
class Access:
    """What somebody may do to one table. `counts`: command letter -> rows of `total`, None where it cannot be said."""

    who: str
    role: str
    table: str
    total: int
    cells: dict[str, Cell]
    counts: dict[str, int | None]

    def lines(self) -> Iterator[str]:
        yield f"{self.who} acts as {self.role}. {self.table} has {self.total:,} rows."
        for letter, command in COMMANDS.items():
            cell = self.cells.get(letter)
            if cell is None:
                yield f"{command:6}  no"
                continue
            number = self.counts.get(letter)
            rows = cell.rows if number is None else f"{number:,}"
            yield f"{command:6}  {rows} rows, {', '.join(cell.columns) or 'all columns'}"
            yield f"        by {cell.policy or 'grants alone'}" + (f": {cell.condition}" if cell.condition else "")

    def as_dict(self) -> dict[str, Any]:
        cells = {
            COMMANDS[letter]: cell.as_dict() | {"count": self.counts.get(letter)} for letter, cell in self.cells.items()
        }
        return {"who": self.who, "role": self.role, "table": self.table, "total": self.total, "access": cells}


def refuse_never_migrated(connection: BaseDatabaseWrapper) -> None:
    """Where row security is not ours yet, nothing is as it was declared, and nobody is bound. Raises MoeenError."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('app.identity_keys') IS NULL")
        if cursor.fetchone() == (True,):
            raise MoeenError(
                "Row security does not stand in this database yet: it was never migrated.",
                next_step=MIGRATE_FIRST,
                code=Code.NOT_MIGRATED,
            )


def effective(
    connection: BaseDatabaseWrapper, *, tables: Iterable[str] | None = None, roles: Sequence[str] = ROLES
) -> list[Cell]:
    """The live matrix: a cell where grants and policies together let a role do something; of these tables. Sorted."""
    found = []
    for right in rights.read(connection, roles=roles, tables=tables):
        columns = () if len(right.columns) in (0, right.total) else tuple(sorted(right.columns))
        cell = Cell(right.table, right.role, right.command, columns, policy=", ".join(right.policies))
        found.append(cell if right.condition == ALWAYS else replace(cell, rows="some", condition=right.condition))
    return sorted(found)


def declared(connection: BaseDatabaseWrapper) -> list[Cell]:
    """The matrix as the apps' SQL files say it, with `all but` columns worked out. Sorted."""
    tables = rights.columns(connection)
    found: dict[tuple[str, str, str], Cell] = {}
    for text in _declarations():
        # A page says anew what an earlier one said of its tables.
        anew = locked_away(text)
        found = {key: cell for key, cell in found.items() if key[0] not in anew}
        for match in _ALLOW.finditer(text):
            names, roles, commands, seen, written = (_unquoted(match[name]) for name in _ALLOW.groupindex)
            for part in re.finditer(r"([SIUD])(?: \(([^)]*)\))?", commands):
                condition = written or seen if part[1] == "I" else seen
                for table in names.split():
                    columns = _columns(part[2] or "", tables[table]) if table in tables else ()
                    for role in roles.split():
                        rows = "all" if condition == "true" else "some"
                        found[table, role, part[1]] = Cell(table, role, part[1], columns, rows)
    return sorted(found.values())


def locked_away(text: str) -> set[str]:
    """The tables that an SQL file closes."""
    return {name for match in _LOCK_AWAY.finditer(text) for name in _unquoted(match[1]).split()}


def differences(connection: BaseDatabaseWrapper) -> tuple[Finding, ...]:
    """Where the live matrix is not the declared one: more, or less, or of other columns or rows."""
    wanted = {(cell.table, cell.role, cell.command): cell for cell in declared(connection)}
    live = {(cell.table, cell.role, cell.command): cell for cell in effective(connection)}
    found = []
    for key in wanted.keys() | live.keys():
        expected, present = (cells[key].pretty() if key in cells else "nothing" for cells in (wanted, live))
        if expected != present:
            table, role, command = key
            who = f"{COMMANDS[command]} by {PREFIX}{role}"
            found.append(Finding(table, Kind.ACCESS, f"{who}: {expected}", present))
    return unique(found)


def check(connection: BaseDatabaseWrapper, *, who: str, table: str, role: str | None = None) -> Access:
    """What a person (e-mail address, public id or id) or a role may do to a table, and how many of its rows.

    Looked at as they are, in a read-only transaction that is rolled back. Raises MoeenError for an unknown name.
    """
    known = catalog.read_tables(connection, [table])
    if table not in known:
        raise MoeenError(
            f"There is no table {table!r}.", next_step="`manage.py access_matrix` lists them.", exit_code=USAGE
        )
    asked = subject(connection, who, role)
    scope = asked.identity
    cells = {
        cell.command: cell for cell in effective(connection) if cell.table == table and PREFIX + cell.role == scope.role
    }
    counts: dict[str, int | None] = {}
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('transaction_read_only', 'on', true)")
        (total,) = _one(cursor, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
        with identity.bound(scope):
            for letter, cell in cells.items():
                if letter != "I":
                    counts[letter] = _count(connection, table, "true" if letter == "S" else cell.condition or "true")
        transaction.set_rollback(True, using=connection.alias)
    return Access(asked.name, scope.role, table, total, cells, counts)


def web_role_sql(*, login: str, database: str, api: bool) -> str:
    """How an administrator makes a login that owns nothing, and what PostgREST's login needs."""
    lines = [
        "-- The web's own login. NOINHERIT: it holds no right of its own until it takes a role.",
        *web_login.script(login=login, database=database),
    ]
    if api:
        lines += [
            "-- PostgREST: its login takes the roles, and finds out in app.bind_request() which one.",
            f"GRANT {', '.join(API_ROLES)} TO authenticator;",
            "GRANT USAGE ON SCHEMA app TO anon, authenticated, service_role;",
            "GRANT EXECUTE ON FUNCTION app.bind_request(), app.sign_request() TO anon, authenticated, service_role;",
            "ALTER ROLE authenticator SET pgrst.db_pre_request = 'app.bind_request';",
            "NOTIFY pgrst, 'reload config';",
        ]
    return "\n".join(lines)


def subject(connection: BaseDatabaseWrapper, who: str, role: str | None) -> Subject:
    """Whom a word means: a person by e-mail address, public id or id, in `role` if they hold it; or a role itself.

    Raises MoeenError for nobody, RoleNotHeld for a role that is not theirs.
    """
    name = who.removeprefix(PREFIX)
    if name in (*OTHERS, *PEOPLE):
        return Subject(identity.Identity(PREFIX + name), f"Nobody in particular, as {PREFIX}{name},")
    if settings.WEB_LOGIN and who == settings.WEB_LOGIN:
        raise MoeenError(
            f"{who} is the web's login: it may do nothing itself, and takes the role of whoever asks.",
            next_step=f"Ask for a user or for one of {', '.join(ROLES)}.",
            exit_code=USAGE,
        )
    users = get_user_model().objects.using(connection.alias)
    for field, value in _ways(who):
        user = users.filter(**{field: value}).first()
        if user is not None:
            return person(user, role=role, using=connection.alias)
    raise MoeenError(
        "There is no such user or role.",
        next_step=f"Name a user by e-mail address, public id or id; or one of {', '.join(ROLES)}.",
        exit_code=USAGE,
    )


def person(user: Any, *, role: str | None = None, using: str = DEFAULT_DB_ALIAS) -> Subject:
    """A user, in a role that they hold; RoleNotHeld is raised for another."""
    scope = identity.of(user, role=role, using=using)
    return Subject(scope, f"User {user.public_id or user.pk}", is_active=user.is_active)


def _ways(who: str) -> Iterator[tuple[str, Any]]:
    if "@" in who:
        yield "email__iexact", who
        return
    try:
        yield "pk", uuid.UUID(who)
    except ValueError:
        try:
            public_ids.parse(who)
        except public_ids.PublicIdError:
            return
        yield "public_id", who


def _count(connection: BaseDatabaseWrapper, table: str, condition: str) -> int | None:
    """The rows that the bound identity sees and the condition, PostgreSQL's own text of a policy, lets through."""
    query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(sql.Identifier(table), sql.SQL(condition))
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            (number,) = _one(cursor, query)
            return int(number)
    except DatabaseError:  # rows that may be changed but not read
        return None


def _one(cursor: Any, query: sql.Composable) -> tuple[Any, ...]:
    cursor.execute(query.as_string(None))
    row: tuple[Any, ...] = cursor.fetchone()
    return row


def _declarations() -> Iterator[str]:
    for config in apps.get_app_configs():
        for path in sorted((Path(config.path) / "sql").glob("*_rls.sql")):
            yield path.read_text(encoding="utf-8")


def _columns(words: str, known: Iterable[str]) -> tuple[str, ...]:
    named = words.removeprefix("all but ").split(", ") if words else []
    if words.startswith("all but "):
        return tuple(sorted(set(known) - set(named)))
    return tuple(sorted(named))


def _unquoted(text: str | None) -> str:
    """The value of one or more adjacent SQL strings."""
    return "".join(a or b for a, b in re.findall(r"'([^']*)'|\$\$(.*?)\$\$", text or ""))


_STRING = r"(?:'[^']*'|\$\$.*?\$\$)(?:\s*'[^']*')*"
_ALLOW = re.compile(
    rf"^SELECT app\.allow\((?P<tables>{_STRING}),\s*(?P<roles>{_STRING}),\s*(?P<commands>{_STRING}),\s*"
    rf"(?P<seen>{_STRING})(?:,\s*(?P<written>{_STRING}))?\);",
    flags=re.M,
)
_LOCK_AWAY = re.compile(rf"^SELECT app\.lock_away\(({_STRING})\);", flags=re.M)
