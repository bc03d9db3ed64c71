"""The twin of a database: its schema without its rows, on a throwaway server of its own.

A server of its own, because roles and their settings belong to a server: what a rehearsal makes of them must not reach
the real one. The roles stand there too, unable to log in. Beside the schema the twin has the record of the applied
migrations; it holds no row of anybody's. The server ends with this process, however that ends.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

from moeen.db.backups import database_settings, inventory, program_errors, scratch, tools
from moeen.db.backups.login import Login
from moeen.db.migrate import likeness, standins
from moeen.db.server.programs import major_of

NAME = "moeen_twin"
ALIAS = "moeen_twin"
LOCK_WAIT_SECONDS = 10

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Twin:
    """A connection to it as the role that migrates; ``lacking``: objects that could not be made there, with why.

    ``keeper``: one that may do anything there.
    """

    connection: BaseDatabaseWrapper
    keeper: Connection
    server: str
    lacking: tuple[likeness.Lacking, ...]


@contextmanager
def begun(connection: BaseDatabaseWrapper) -> Iterator[Future[Login]]:
    """The server of a twin, which is being made meanwhile, and is gone afterwards: the way in of its superuser."""
    connection.ensure_connection()
    major = connection.connection.info.server_version // 10000
    with ExitStack() as held, ThreadPoolExecutor(max_workers=1) as beside:

        def make() -> Login:
            return held.enter_context(scratch.server(tools.find_server(major), purpose="twin"))

        yield beside.submit(make)


@contextmanager
def standing(connection: BaseDatabaseWrapper) -> Iterator[Twin]:
    """The twin of the connected database, gone afterwards.

    Raises MoeenError when it cannot be made: no programs of the server's version or newer, or a schema that cannot be
    read.
    """
    login = Login.of_wrapper(connection)
    with begun(connection) as server, login.connect(application="moeen twin") as source:
        source.execute("SET default_transaction_read_only = on")
        source.execute("SET search_path = pg_catalog")
        folder = tools.find_server(source.info.server_version // 10000)
        programs = tools.find(major_of(folder) or 0, tls=login.tls)
        dumped = _dump(login, programs, left_out=standins.unreadable(source))
        keeper = server.result()
        with keeper.connect(application="moeen twin") as administrator:
            standins.make_roles(source, administrator)
        _make_database(source, keeper)
        with keeper.to(NAME).connect(application="moeen twin") as made:
            made.execute("SET search_path = pg_catalog")
            stood_in = standins.make_objects(source, made)
            said = _restore(keeper.to(NAME), programs, dumped)
            standins.make_unreadable(source, made)
            likeness.finish(source, made)
            lacking = tuple(likeness.lacking(source, made, said=said, stood_in=stood_in))
            server_version = made.info.parameter_status("server_version") or ""
            with keeper.to(NAME, user=login.user).in_django(ALIAS) as twin:
                yield Twin(twin, made, server_version.split()[0], lacking)


def _make_database(source: Connection, server: Login) -> None:
    """An empty database with the owner, the encoding and the grants of the source, and the settings of its sessions."""
    wanted = inventory.settings(source)
    with server.connect(application="moeen twin") as connection:
        database_settings.create(connection, NAME, wanted, owner=wanted.owner)
    with server.to(NAME).connect(application="moeen twin") as connection:
        database_settings.grant(connection, wanted, wanted.grants.keys() - {"PUBLIC"})
        _give_settings(source, connection)


def _give_settings(source: Connection, made: Connection) -> None:
    """What sessions of the migrating role begin with."""
    settings = source.execute(
        """SELECT coalesce(r.rolname, ''), s.setdatabase <> 0, s.setconfig
           FROM pg_db_role_setting AS s LEFT JOIN pg_roles AS r ON r.oid = s.setrole
           WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
             AND (s.setrole = 0 OR r.rolname = current_user)"""
    ).fetchall()
    for role, here, words in settings:
        # As they are stored: ALTER ROLE ... SET would quote a list anew.
        made.execute(
            """INSERT INTO pg_db_role_setting (setdatabase, setrole, setconfig)
               VALUES (CASE WHEN %s THEN (SELECT oid FROM pg_database WHERE datname = %s) ELSE 0 END,
                       coalesce((SELECT oid FROM pg_roles WHERE rolname = %s), 0), %s)""",
            [here, NAME, role, words],
        )


def _dump(source: Login, programs: tools.Tools, *, left_out: Sequence[str]) -> bytes:
    """The schema, as pg_dump writes it."""
    dump = [
        programs.program("pg_dump"), "--no-password", "--schema-only", "--format=custom", "--no-tablespaces",
        "--no-subscriptions", "--no-security-labels", "--compress=0", "--encoding=UTF8",
        f"--lock-wait-timeout={LOCK_WAIT_SECONDS * 1000}",
        *(f"--exclude-table={name}" for name in left_out),
    ]  # fmt: skip
    environment = {**source.environment(application="moeen twin"), **programs.environment}
    dumped = subprocess.run(dump, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if dumped.returncode:
        raise program_errors.failure("pg_dump", dumped.stderr.decode("utf-8", "replace"), dumped.returncode)
    return dumped.stdout


def _restore(target: Login, programs: tools.Tools, dumped: bytes) -> str:
    """Make what was dumped; gives what pg_restore says of objects that it could not make."""
    restore = [
        programs.program("pg_restore"), "--no-password", "--no-tablespaces", "--no-subscriptions",
        f"--dbname={target.dbname}",
    ]  # fmt: skip
    restored = subprocess.run(
        restore, env=target.environment(application="moeen twin"), input=dumped, capture_output=True, check=False
    )
    # It goes on after an error; what is missing afterwards is found by comparing.
    return restored.stderr.decode("utf-8", "replace")
