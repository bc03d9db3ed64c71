"""Ids that an import makes, in SQL: as hard to guess as those that the database makes, and much cheaper by the million.

A row's is a UUID of version 7 (RFC 9562): the moment of the run and a counter, so that indexes grow at their end, then
60 bits of SHA-256 over a secret of the run and the old key. A public id has our newest form, of 92 such bits.
"""

from __future__ import annotations

from psycopg import sql

from moeen.db.importing.source import Connection

#: Tables of one run, until it ends. The next run clears what a killed one left: no role but the owner sees in there.
WORK = "import_work"


def prepare(connection: Connection) -> None:
    """A secret and a moment for this run."""
    connection.execute(
        sql.SQL(
            """CREATE UNLOGGED TABLE {} AS SELECT gen_random_uuid()::text || gen_random_uuid() AS secret,
               (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS moment"""
        ).format(_RUN)
    )


def row_id(of: sql.Composable, number: sql.Composable) -> sql.Composed:
    """A new id. ``of``: text that no other row of the run has; ``number``: ascends, a bigint from 0 on."""
    # 48 bits of time, of which the first four are 0 for centuries; the version; 12 bits of a counter; the variant.
    return sql.SQL(
        """('0' || to_hex(((SELECT moment FROM {run}) + {n} / 4096) * 65536 + 28672 + {n} % 4096)
            || 'a' || substr({hashed}, 1, 15))::uuid"""
    ).format(run=_RUN, n=number, hashed=_hashed(of))


def public_id(prefix: str, of: sql.Composable) -> sql.Composed:
    """A new public id. ``of``: text that no other row of the run has, and of which no `row_id` is made."""
    return sql.SQL("{} || 'i' || substr({}, 1, 23)").format(sql.Literal(prefix), _hashed(of))


def _hashed(of: sql.Composable) -> sql.Composed:
    return sql.SQL("encode(sha256(convert_to((SELECT secret FROM {}) || {}, 'UTF8')), 'hex')").format(_RUN, of)


_RUN = sql.Identifier(WORK, "run")
