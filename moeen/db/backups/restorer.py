"""Who fills a database from a backup: a role without power, made for that and removed afterwards.

Functions that a backup holds (of checks, defaults, generated columns, views) run while it is restored, as whoever
restores. A superuser's session cannot give its power away for good, since what runs in it may take that back (RESET
SESSION AUTHORIZATION); so the role has a session of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from moeen.db.backups import swap
from moeen.db.backups.login import Login

_PREFIX = "restorer_"
#: Roles that reach beyond the database: superusers, and members of PostgreSQL's own roles for files and programs.
_POWERFUL = """
    SELECT r.rolname FROM pg_roles AS r
    WHERE r.rolname = ANY (%s) AND EXISTS (SELECT FROM pg_roles AS g WHERE pg_has_role(r.oid, g.oid, 'MEMBER') AND (
        g.rolsuper OR g.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')))
"""


@dataclass(frozen=True)
class Restorer:
    """The login that fills the database. `power`: who lent it, where that is another; None: it restores as it came.

    `withheld`: the owner whose power the restorer must not have, and whose objects it cannot give away therefore: they
    stay the restorer's until `hand_over`. `note`: why the login restores by itself all the same.
    """

    login: Login
    power: Login | None = None
    withheld: str = ""
    note: str = ""

    def keeps(self, owner: str) -> bool:
        """Whether what is that role's stays the restorer's until it is handed over."""
        return bool(self.withheld) and owner == self.withheld

    def see_all(self) -> None:
        """Past row security that a table forces on its owner, too: views are filled from rows, and all are compared."""
        if self.power is not None:
            with (
                self.power.connect(application=swap.APPLICATION) as connection,
                suppress(psycopg.errors.InsufficientPrivilege),
            ):
                connection.execute(sql.SQL("ALTER ROLE {} BYPASSRLS").format(sql.Identifier(self.login.user)))

    def hand_over(self) -> None:
        """Give what is left in the restorer's hands to whom it belongs."""
        if self.power is not None and self.withheld:
            with self.power.connect(application=swap.APPLICATION) as connection, connection.transaction():
                _give(connection, self.login.user, self.withheld)
                # The database was among it.
                _own(connection, self.login.user)


def powerful(connection: psycopg.Connection[Any], roles: Iterable[str]) -> set[str]:
    """Those of the roles that reach beyond the database."""
    return {name for (name,) in connection.execute(_POWERFUL, [list(roles)]).fetchall()}


def create(connection: psycopg.Connection[Any], owners: Iterable[str], *, password: str = "") -> str:
    """Make the role: no superuser, in no role of PostgreSQL's, a member of all owners, so that it may give to each
    what is theirs. Returns its name."""
    name = f"{_PREFIX}{secrets.token_hex(8)}"
    words = sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name))
    if password:
        # Hashed here: a server may log statements. It is of no use after a day, also where a killed run left it.
        hashed = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        words += sql.SQL(" PASSWORD {} VALID UNTIL {}").format(sql.Literal(hashed), sql.Literal(tomorrow))
    connection.execute(words)
    # PostgreSQL's own are given to nobody. One of them owns schema public: pg_database_owner, whose only member is the
    # owner of the database, and that is the restorer meanwhile.
    for owner in (owner for owner in owners if not owner.startswith("pg_")):
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(owner), sql.Identifier(name)))
    return name


@contextmanager
def lent(login: Login, owners: Collection[str], *, always: bool = False) -> Iterator[Restorer]:
    """A restorer for the login's database, an empty one; the login itself where that has no power to lose.

    `owners`: of what is to be restored. The database is the restorer's meanwhile, and its owner's again afterwards.
    `always`: what is restored is nobody's that is known, so it gets nothing of an ordinary login's either, who owns
    other databases as well. The login restores by itself, and a note says so, where it may make no such role, the
    server does not let that in, or several roles with power own what is restored: who may give to both is one of them.
    """
    with login.connect(application=swap.APPLICATION) as connection:
        has_power = bool(powerful(connection, [login.user]))
        if not has_power and not always:
            yield Restorer(login)
            return
        strong = sorted(powerful(connection, owners) | ({login.user} & set(owners)))
        if len(strong) > 1:
            yield Restorer(
                login, note=_note(login, f"{', '.join(strong)} own what is restored, and have power as well")
            )
            return
        password = secrets.token_urlsafe(24)
        ((former,),) = connection.execute(
            "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
        ).fetchall()
        try:
            with connection.transaction():
                name = create(connection, sorted(set(owners) - set(strong)), password=password)
                if not has_power:
                    # Whoever gives to it, and takes from it, is a member.
                    connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(name)))
                _own(connection, name)
        except psycopg.errors.InsufficientPrivilege:
            yield Restorer(login, note=_note(login, "it may not make a role for it (CREATEROLE, CREATEDB)"))
            return
        with swap.claimed(login, "", name):
            try:
                restorer = Restorer(login.to(login.database, user=name, password=password), login, *strong)
                try:
                    restorer.login.connect(application=swap.APPLICATION).close()
                except psycopg.OperationalError:
                    yield Restorer(login, note=_note(login, "the server lets no role in that is made for a restore"))
                else:
                    yield restorer
            finally:
                with suppress(psycopg.OperationalError):
                    _remove(connection, name, former)


def sweep(connection: psycopg.Connection[Any]) -> None:
    """Remove the roles of killed restores that own nothing any more."""
    made = f"^{_PREFIX}[0-9a-f]{{16}}$"
    rows = connection.execute("SELECT rolname FROM pg_roles WHERE rolname ~ %s", [made]).fetchall()
    for name in swap.unclaimed(connection, [name for (name,) in rows]):
        with suppress(psycopg.errors.DependentObjectsStillExist, psycopg.errors.InsufficientPrivilege):
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def _own(connection: psycopg.Connection[Any], owner: str) -> None:
    connection.execute(
        sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(connection.info.dbname), sql.Identifier(owner))
    )


def _give(connection: psycopg.Connection[Any], name: str, owner: str) -> None:
    change = sql.SQL("REASSIGN OWNED BY {} TO {}")
    connection.execute(change.format(sql.Identifier(name), sql.Identifier(owner)))


def _remove(connection: psycopg.Connection[Any], name: str, former: str) -> None:
    """The database goes back to its owner, and so does what of a restore that failed is left in it."""
    _own(connection, former)
    role = sql.Identifier(name)
    _give(connection, name, former)
    connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
    connection.execute(sql.SQL("DROP ROLE {}").format(role))


def _note(login: Login, reason: str) -> str:
    return f"What of the backup ran, ran with the powers of {login.user}: {reason}."
