"""How many rows tables hold, and how large they are: counted, or estimated by PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db.registry import LEDGER_TABLES
from moeen.db.scoped import scoped
from moeen.db.sql import compose

#: Django's own, and the ledger's: they hold rows in a database that nobody has used yet.
BOOKKEEPING = ("django_migrations", "django_content_type", "auth_permission", *LEDGER_TABLES)


_assumed: ContextVar[frozenset[str] | None] = ContextVar("assumed", default=None)


def assuming(populated: Iterable[str]) -> AbstractContextManager[frozenset[str]]:
    """Meanwhile these tables count as holding rows of every kind, and all others none: on a twin, which holds none."""
    return scoped(_assumed, frozenset(populated))


def has_rows(connection: BaseDatabaseWrapper, table: str, condition: sql.Composable | None = None) -> bool:
    """Whether a table of schema public holds a row, or one that fits the condition."""
    assumed = _assumed.get()
    if assumed is not None:
        return table in assumed
    where = sql.SQL("true") if condition is None else condition
    with connection.cursor() as cursor:
        cursor.execute(compose("SELECT EXISTS (SELECT FROM public.{t} WHERE {w})", t=table, w=where))
        (answer,) = cursor.fetchone()
    return bool(answer)


def populated(connection: BaseDatabaseWrapper) -> frozenset[str]:
    """The tables of schema public that hold a row."""
    return frozenset(name for name in _tables(connection) if has_rows(connection, name))


def holds_rows(connection: BaseDatabaseWrapper) -> bool:
    """Whether any table of schema public holds a row, those of Django and of the ledger aside."""
    return any(has_rows(connection, name) for name in _tables(connection) if name not in BOOKKEEPING)


def _tables(connection: BaseDatabaseWrapper) -> list[str]:
    """Without those of somebody else's that may not be read."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
               AND has_table_privilege(oid, 'SELECT') AND NOT row_security_active(oid)"""
        )
        return [name for (name,) in cursor.fetchall()]


def estimate_sizes(
    connection: BaseDatabaseWrapper, names: Iterable[str] | None = None, *, count_to: int | None = None
) -> dict[str, tuple[int, int]]:
    """Table of schema public -> rows and bytes, of all or of those named.

    The rows are PostgreSQL's estimate. A table that was never analysed, as after a restore, has none (reltuples is -1):
    its rows are counted, but no further than ``count_to`` and one more; as none where they may not be read.
    """
    wanted = None if names is None else list(names)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT relname, CASE WHEN has_table_privilege(oid, 'SELECT') AND NOT row_security_active(oid)
                                 THEN reltuples::bigint ELSE greatest(reltuples, 0)::bigint END, pg_table_size(oid)
            FROM pg_class
            WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
              AND (%s::text[] IS NULL OR relname = ANY (%s)) ORDER BY relname
            """,
            [wanted, wanted],
        )
        found: dict[str, tuple[int, int]] = {name: (rows, size) for name, rows, size in cursor.fetchall()}
        for name, (rows, size) in found.items():
            if rows < 0:
                limit = sql.SQL("NULL") if count_to is None else sql.Literal(count_to + 1)
                cursor.execute(
                    compose("SELECT count(*) FROM (SELECT FROM public.{t} LIMIT {n}) AS part", t=name, n=limit)
                )
                (counted,) = cursor.fetchone()
                found[name] = (counted, size)
    return found


def count_rows(connection: BaseDatabaseWrapper, names: Iterable[str]) -> Iterator[tuple[str, int]]:
    """(name, rows) of those of the named tables and views that stand in schema public, in the order of their names.

    What keeps no rows of its own counts as none: a view may fail, a foreign table's server be away.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT relname, relkind IN ('r', 'p') FROM pg_class WHERE relnamespace = 'public'::regnamespace
               AND relkind IN ('r', 'p', 'v', 'm', 'f') AND relname = ANY (%s) ORDER BY 1""",
            [list(names)],
        )
        for name, keeps_rows in cursor.fetchall():
            rows = 0
            if keeps_rows:
                cursor.execute(compose("SELECT count(*) FROM public.{t}", t=name))
                (rows,) = cursor.fetchone()
            yield name, rows
