"""Which database a backup is of: the server's own number and the database's name, and what is asked for by them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db.backups import digests, inventory
from moeen.db.backups.login import Login
from moeen.db.backups.manifest import Manifest
from moeen.db.backups.store import DATED_AHEAD, Store, is_ahead, made_at
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, USAGE, MoeenError, shown_on_a_line

#: The word for the newest backup of a database.
LATEST = "latest"
#: Of a larger database the rows are estimated.
COUNTED_BYTES = 1024**3


@dataclass(frozen=True)
class Origin:
    """A database of a server. `system` is "" where it is not known; the name alone decides then."""

    database: str
    system: str = ""

    @classmethod
    def of(cls, login: Login, database: str = "") -> Origin:
        """Of the login's database, or of another on the same server, which may not stand yet."""
        with login.connect(application="moeen backups") as connection:
            return cls(database or login.database, inventory.system(connection))

    @classmethod
    def of_wrapper(cls, wrapper: BaseDatabaseWrapper) -> Origin:
        """Of Django's connection; known by its name alone where the server cannot be asked."""
        name = str(wrapper.settings_dict["NAME"])
        try:
            wrapper.ensure_connection()
        except (DatabaseError, MoeenError):
            return cls(name)
        return cls(name, inventory.system(wrapper.connection))

    @classmethod
    def of_backup(cls, paper: Manifest) -> Origin:
        return cls(paper.database, paper.system)

    @classmethod
    def parse(cls, words: str) -> Origin:
        """What `str` gives; raises MoeenError (2)."""
        system, slash, database = words.partition("/")
        if not (system.isdigit() and slash and database):
            raise MoeenError(
                f"{words!r} names no database.",
                next_step="The form is SERVER_NUMBER/NAME, as manage.py print_schedule prints it.",
                exit_code=USAGE,
            )
        return cls(database, system)

    def __str__(self) -> str:
        return f"{self.system}/{self.database}"

    def same(self, other: Origin) -> bool:
        """Backups from before format 3 do not know their server."""
        return self.database == other.database and (not self.system or not other.system or self.system == other.system)


def chosen(store: Store, words: str, *, target: Origin, of: str = "") -> str:
    """The id that is meant by an id, the beginning of one, or `latest`, which is the newest of the target.

    `of`: the name of another database, whose newest is meant. A damaged backup that is newer counts as the newest: an
    older one in its place would look like proof of it. Raises MoeenError, which names what there is.
    """
    if words != LATEST:
        return store.resolve(words)
    others: dict[Origin, str] = {}
    for name, found in _newest_first(store):
        if found is None or (found.database == of if of else found.same(target)):
            _refuse_ahead(name)
            return name
        others.setdefault(found, name)
    if not others:
        raise MoeenError(
            f"There is no backup in {store.name}.", next_step="Make one: manage.py backup_database", code=Code.NO_BACKUP
        )
    there = ", ".join(f"{name} of {_called(found, target)}" for found, name in others.items())
    raise MoeenError(
        f"There is no backup of {of or target.database} in {store.name}. Nothing was changed.",
        next_step=f"If another database's is meant, say so: --of NAME. The newest of others: {there}.",
        exit_code=FINDINGS,
        code=Code.NO_BACKUP,
    )


def _refuse_ahead(name: str) -> None:
    if is_ahead(made_at(name), now=datetime.now(UTC)):
        raise MoeenError(
            f"Backup {name} {DATED_AHEAD}. So which one is the newest cannot be told. Nothing was changed.",
            next_step="Look at both clocks, and name the backup that is meant by its id: manage.py list_backups",
            exit_code=FINDINGS,
            code=Code.NO_BACKUP,
        )


def refuse_another(paper: Manifest, target: Origin, *, of: str) -> None:
    """Raise MoeenError (3) where the backup is of another database than the target, unless `of` names that one."""
    found = Origin.of_backup(paper)
    if found.same(target) or of == found.database:
        return
    words = shlex.quote(shown_on_a_line(found.database))
    raise MoeenError(
        f"Backup {paper.id} is of another database than {target.database}. Nothing was changed.",
        next_step=f"It is of {_called(found, target)}. If that is meant, say so: --of {words}",
        exit_code=FINDINGS,
        code=Code.ANOTHER_DATABASE,
    )


def refuse_unless(login: Login, expected: Origin) -> None:
    """Raise MoeenError (3) unless the login leads to that database, and that is a migrated one.

    For scheduled commands, which nobody watches: without their settings they would look after an empty database.
    """
    found = Origin.of(login)
    if found != expected:
        raise MoeenError(
            f"This is database {found}, and {expected} is expected. Nothing was done.",
            next_step="Look where DATABASE_URL comes from: cron and systemd do not have your shell's settings. If the "
            "database has moved, print the schedule anew: manage.py print_schedule.",
            exit_code=FINDINGS,
            code=Code.ANOTHER_DATABASE,
        )
    with login.connect(application="moeen backups") as connection:
        applied = 0
        with suppress(psycopg.errors.UndefinedTable):
            row = connection.execute("SELECT count(*) FROM public.django_migrations").fetchone()
            applied = row[0] if row else 0
    if not applied:
        raise MoeenError(
            f"Database {found} is empty or was never migrated. Nothing was done.",
            next_step="Look whether the server was made anew: manage.py doctor.",
            exit_code=FINDINGS,
            code=Code.ANOTHER_DATABASE,
        )


def rows_of(login: Login) -> str:
    """How many rows a database holds, for people; of a large one about how many."""
    with login.connect(application="moeen backups", alone_for="counting rows") as connection:
        digests.prepare(connection)
        ((size, about),) = connection.execute(
            "SELECT pg_database_size(current_database()), (SELECT sum(n_live_tup)::bigint FROM pg_stat_user_tables)"
        ).fetchall()
        if size > COUNTED_BYTES:
            return f"about {about or 0:,} rows"
        tables = digests.tables(connection, inventory.scope(connection).schemas)
        return f"{sum(_count(connection, table) for table in tables):,} rows"


def _count(connection: psycopg.Connection[Any], table: digests.Table) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table.rows)).fetchone()
    return int(row[0]) if row else 0


def _newest_first(store: Store) -> Iterator[tuple[str, Origin | None]]:
    for name in reversed(store.ids()):
        try:
            yield name, Origin.of_backup(store.manifest(name))
        except MoeenError:
            yield name, None


def _called(found: Origin, target: Origin) -> str:
    elsewhere = found.system and target.system and found.system != target.system
    return f"{shown_on_a_line(found.database)}{' of another server' if elsewhere else ''}"
