"""The database that a restore makes beside the one it replaces: its name, what dead runs left of such, and the swap.

The live database is never touched before the swap, and the swap is one transaction: whatever ends it, either both are
renamed or none is. PostgreSQL lets nobody in while that lasts.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, LiteralString

import psycopg
from django.db import connections
from psycopg import sql

from moeen.db.backups import inventory
from moeen.db.backups.login import Login
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.logs import logger

APPLICATION = "moeen restore_database"
#: "moeen" in ASCII, and 3 for restore; the second key is made of the new database's name.
LOCK = 0x6D6F65 + 3
SWAP_SECONDS = 15.0
USHER_SECONDS = 0.2
_NAME_BYTES = 63
_LEFT = re.compile(r"(?P<name>.*)(?P<ending>_restoring_\d{14}_\d+)", re.S)


def name_for(database: str, what: str) -> str:
    """A name of its own for a database that is `restoring`, or stood `before`."""
    return _cut(database, f"_{what}_{time.strftime('%Y%m%d%H%M%S', time.gmtime())}_{os.getpid()}")


def _cut(name: str, ending: str) -> str:
    return name.encode()[: _NAME_BYTES - len(ending)].decode("utf-8", "ignore") + ending


def refuse_losing(login: Login) -> None:
    """Raise MoeenError (3) where the login's database holds tables that no backup by it covers: what takes its place
    would be without them."""
    with login.connect(application=APPLICATION) as connection:
        rows = connection.execute(
            """
            SELECT n.nspname, count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p')
              AND NOT EXISTS (SELECT FROM pg_depend d
                              WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
            GROUP BY 1 ORDER BY 1
            """,
            [inventory.scope(connection).left_out],
        ).fetchall()
    if rows:
        raise MoeenError(
            f"Database {login.database} holds tables of other roles, which no backup of it covers: "
            f"{', '.join(f'schema {name} ({count})' for name, count in rows)}. What takes its place would be without "
            "them. Nothing was changed.",
            next_step="Restore into an empty database that has such schemas of its own (a new project), or beside it "
            "(--to NAME), and point the application there; or connect as a role that acts for their owners, since its "
            "backups cover them.",
            exit_code=FINDINGS,
            code=Code.TARGET_UNFIT,
        )


def elsewhere(login: Login, *names: str) -> Login:
    """A database to stand on while those are renamed or dropped."""
    if login.database not in names:
        return login
    for name in ("postgres", "template1"):
        with suppress(psycopg.OperationalError):
            login.to(name).connect(application=APPLICATION).close()
            return login.to(name)
    raise MoeenError(
        "A database cannot be renamed from within, and neither postgres nor template1 may be connected to.",
        next_step="Grant CONNECT on database postgres to this role, or restore into a new name.",
        code=Code.NOT_SWAPPED,
    )


@contextmanager
def claimed(login: Login, database: str, fresh: str) -> Iterator[None]:
    """Mark `fresh` as the work of a run that lives: a session's advisory lock, which ends when the run does."""
    with _marked(elsewhere(login, database, fresh), fresh):
        yield


@contextmanager
def _marked(stand: Login, key: str) -> Iterator[psycopg.Connection[Any]]:
    """The session that holds the mark; several may hold the same, each in a database of its own."""
    with stand.connect(application=APPLICATION) as connection:
        connection.execute("SELECT set_config('idle_session_timeout', '0', false)")
        connection.execute("SELECT pg_advisory_lock_shared(%s, hashtext(%s))", [LOCK, key])
        yield connection


#: A row of pg_locks, called l, is such a mark, in whatever database of the server: of LOCK (a parameter), and that key.
_MARK: LiteralString = """l.locktype = 'advisory' AND l.objsubid = 2 AND l.classid::bigint = %s
               AND l.objid::bigint = hashtext({key})::bigint & 4294967295"""


@contextmanager
def alone(stand: Login, database: str) -> Iterator[None]:
    """One restore to a database at a time, whether that stands yet or not. Raises MoeenError (3) while another runs.

    `stand`: where the session is that marks it; marks of all databases of the server are seen.
    """
    key = f"into {database}"
    with _marked(stand, key) as connection:
        query = sql.SQL("SELECT count(*) FROM pg_locks l WHERE l.pid <> pg_backend_pid() AND {mark}").format(
            mark=sql.SQL(_MARK).format(key=sql.Placeholder())
        )
        ((others,),) = connection.execute(query, [LOCK, key]).fetchall()
        if others:
            raise MoeenError(
                f"Another restore to {database} is running. Nothing was changed.",
                next_step=f"Wait for it; pg_stat_activity shows it as `{APPLICATION}`.",
                exit_code=FINDINGS,
                code=Code.ANOTHER_RUN,
            )
        yield


def unclaimed(connection: psycopg.Connection[Any], names: Sequence[str]) -> list[str]:
    """Those of the names that are the work of no run that lives, in their order."""
    query = sql.SQL(
        """
        SELECT name FROM unnest(%s::text[]) WITH ORDINALITY AS n (name, place)
        WHERE NOT EXISTS (SELECT FROM pg_locks l WHERE {mark}) ORDER BY place
        """
    ).format(mark=sql.SQL(_MARK).format(key=sql.Identifier("name")))
    rows = connection.execute(query, [list(names), LOCK]).fetchall()
    return [name for (name,) in rows]


def sweep(login: Login, database: str, *, say: Callable[[str], None]) -> list[str]:
    """Remove what killed restores to that database left beside it; returns the names of those removed."""
    removed = []
    with login.connect(application=APPLICATION) as connection:
        for name in _abandoned(connection, database):
            try:
                # Not by force: what a dead run started may still be at work in it.
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
            except (psycopg.errors.ObjectInUse, psycopg.errors.InsufficientPrivilege) as error:
                say(f"A killed restore left {name} behind, with a copy of the data; it could not be dropped: {error}")
                continue
            removed.append(name)
            logger("backup").warning("leftover removed", extra={"database": name})
            say(f"Removed {name}, which a killed restore had left behind.")
    return removed


def _abandoned(connection: psycopg.Connection[Any], database: str) -> list[str]:
    rows = connection.execute(
        "SELECT datname FROM pg_database WHERE datname ~ '_restoring_[0-9]{14}_[0-9]+$' ORDER BY 1"
    ).fetchall()
    found = [(name, _LEFT.fullmatch(name)) for name in unclaimed(connection, [name for (name,) in rows])]
    return [name for name, match in found if match and name == _cut(database, match["ending"])]


def swap(login: Login, database: str, fresh: str) -> str:
    """Give `fresh` the name of the database, which keeps its rows under another name. Returns that name.

    Sessions that this role may end are ended. Raises MoeenError, with both as they were, where others stay.
    """
    kept = name_for(database, "before")
    # Ours would be in the way as well.
    connections.close_all()
    stand = elsewhere(login, database, fresh)
    deadline = time.monotonic() + SWAP_SECONDS
    with _usher(stand, database, fresh), stand.connect(application=APPLICATION) as connection:
        while True:
            try:
                with connection.transaction():
                    connection.execute("SELECT set_config('lock_timeout', '5s', true)")
                    _rename(connection, database, kept)
                    _rename(connection, fresh, database)
                return kept
            except (psycopg.errors.ObjectInUse, psycopg.errors.LockNotAvailable):
                if time.monotonic() > deadline:
                    raise MoeenError(
                        f"Other sessions use {database}, and this role may not end them. It was left as it was.",
                        next_step="Stop the services that are connected to it, then run the command again.",
                        code=Code.NOT_SWAPPED,
                    ) from None


def _rename(connection: psycopg.Connection[Any], name: str, new: str) -> None:
    """Shuts out who would connect until the transaction ends, and waits some seconds for who is there to go."""
    connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(new)))


@contextmanager
def _usher(stand: Login, *names: str) -> Iterator[None]:
    """End the sessions of those databases all the while: also who slipped in before the lock was held."""
    done = threading.Event()

    def run() -> None:
        with suppress(psycopg.Error), stand.connect(application=APPLICATION) as connection:
            while True:
                rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE datname = ANY (%s)", [list(names)])
                for (pid,) in rows.fetchall():
                    with suppress(psycopg.errors.InsufficientPrivilege):
                        connection.execute("SELECT pg_terminate_backend(%s)", [pid])
                if done.wait(USHER_SECONDS):
                    return

    thread = threading.Thread(target=run, name="usher", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(SWAP_SECONDS)


def drop(login: Login, name: str) -> None:
    """Remove a database, and who is connected to it."""
    with elsewhere(login, name).connect(application=APPLICATION) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
