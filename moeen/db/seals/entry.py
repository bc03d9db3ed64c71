"""An entry of the audit log as bytes, the same on every server and in every session.

What is hashed is what COPY sends of a row in binary form: of each column its length and its value, as PostgreSQL's
binary protocol has it, which no setting of a session changes. Columns come in the order that the seal states, each cast
to the type that it states: one that is added later changes nothing of older seals.

A leaf is 64 bytes: the entry's id (16), created_at in microseconds since 2000 (8), the beginning of the SHA-256 of
what it says (8: all columns but id, created_at, public_id and transaction_id, to recognise contents that changed
places), and the SHA-256 of all columns but id and created_at (32).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from moeen.db import registry
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.sql import fragment

#: Of entries and seals; a change of what is hashed is a new number. Seals of the first state no guards.
FORMAT = 2
LEAF_BYTES = 64
#: (name, type) of each column, without the type's length.
Columns = tuple[tuple[str, str], ...]

_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_HEADER_BYTES = len(_SIGNATURE) + 8
_TRAILER = b"\xff\xff"
#: Of a row: number of fields, then length and value of the transaction, of later columns' values, the id and the time.
_HEAD = struct.Struct(">h i q i i i 16s i q")
_LENGTH = struct.Struct(">i")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_EARLIEST, _LATEST = (
    (end.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1) for end in (datetime.min, datetime.max)
)
#: The columns that a leaf holds in the clear, and those that say nothing of what happened. They come first.
_CLEAR = ("id", "created_at")
_NAMES = ("public_id", "transaction_id")


class Entry(NamedTuple):
    """A row as it is sealed. `transaction` is 0 where none was recorded; `said` is what COPY sent of the columns.

    `later`: how many columns that are not listed hold a value.
    """

    transaction: int
    later: int
    id: bytes
    leaf: bytes
    said: bytes

    @property
    def at(self) -> datetime:
        return moment(self.leaf)


def table() -> sql.Identifier:
    """The audit log. Raises MoeenError where no app has one."""
    name = registry.facts().audit_table
    if not name:
        raise MoeenError(
            "No app of this project has an audit log.",
            next_step="An app names it by `audit_table` of its database_facts.",
            exit_code=FINDINGS,
            code=Code.NOT_MIGRATED,
        )
    return sql.Identifier("public", name)


def columns(connection: psycopg.Connection[Any]) -> Columns:
    """The columns of the audit log as they are now, id and created_at first."""
    rows = connection.execute(
        sql.SQL(
            """SELECT attname::text, format_type(atttypid, NULL) FROM pg_catalog.pg_attribute
               WHERE attrelid = {}::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname"""
        ).format(sql.Literal(table().as_string(None)))
    ).fetchall()
    found = {str(name): str(kind) for name, kind in rows}
    lacking = [name for name in (*_CLEAR, *_NAMES) if name not in found]
    if lacking:
        raise MoeenError(
            f"The audit log has no column {', '.join(lacking)}, so that it cannot be sealed.",
            next_step="manage.py migrate",
            exit_code=FINDINGS,
            code=Code.NOT_MIGRATED,
        )
    first = tuple((name, found.pop(name)) for name in (*_CLEAR, *_NAMES))
    return first + tuple(found.items())


def read(
    connection: psycopg.Connection[Any], wanted: Columns, where: sql.Composable, *, later: Sequence[str] = ()
) -> Iterator[Entry]:
    """The entries that fulfil the condition, in no order, one at a time. Raises psycopg.Error.

    `later`: the columns besides those that are wanted.

    An id or a time that is missing, which only a superuser could bring about, counts as nought.
    """
    listed = [sql.SQL("{}::{}").format(sql.Identifier(name), _type(kind)) for name, kind in wanted[len(_CLEAR) :]]
    values = (
        sql.SQL("num_nonnulls({})").format(sql.SQL(", ").join(map(sql.Identifier, later))) if later else sql.SQL("0")
    )
    query = sql.SQL(
        "COPY (SELECT coalesce(transaction_id, 0)::bigint, {},"
        " coalesce(id, '00000000-0000-0000-0000-000000000000')::uuid,"
        " coalesce(created_at, 'epoch')::timestamptz, {} FROM {} WHERE {}) TO STDOUT (FORMAT binary)"
    ).format(values, sql.SQL(", ").join(listed), table(), where)
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        # The protocol has a message for each row; the first one begins with the header.
        for message in copy:
            data = bytes(message)
            if data.startswith(_SIGNATURE):
                data = data[_HEADER_BYTES:]
            if data and data != _TRAILER:
                yield _entry(data)


def _entry(data: bytes) -> Entry:
    _, _, transaction, _, later, _, key, _, at = _HEAD.unpack_from(data)
    said = data[_HEAD.size :]
    content = 0
    for _ in _NAMES:
        (length,) = _LENGTH.unpack_from(said, content)
        content += _LENGTH.size + max(length, 0)
    leaf = key + at.to_bytes(8, "big", signed=True) + hashlib.sha256(said[content:]).digest()[:8]
    return Entry(transaction, later, key, leaf + hashlib.sha256(said).digest(), said)


def _type(kind: str) -> sql.SQL:
    # As format_type() wrote it; in a seal, anybody who could change the table may have written anything.
    if not kind.replace(" ", "").replace("_", "").replace("[]", "").isalnum():
        raise MoeenError(
            f"A seal names {kind!r}, which is no type of a column.",
            next_step="Somebody changed the seal: keep the database and its backups as they are, and find out who.",
            exit_code=FINDINGS,
            code=Code.AUDIT_DIFFERS,
        )
    return fragment(kind)


def moment(leaf: bytes) -> datetime:
    """When the entry of a leaf was made, as near as Python's years come to it."""
    at = int.from_bytes(leaf[16:24], "big", signed=True)
    return _EPOCH + timedelta(microseconds=min(max(at, _EARLIEST), _LATEST))


def microseconds(at: datetime) -> int:
    """Since 2000, as leaves have it."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def split(leaves: bytes) -> list[bytes]:
    return [leaves[start : start + LEAF_BYTES] for start in range(0, len(leaves), LEAF_BYTES)]


def root(leaves: list[bytes]) -> str:
    """The Merkle tree hash of RFC 6962, section 2.1, in hexadecimal."""
    level = [hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves]
    if not level:
        return hashlib.sha256(b"").hexdigest()
    while len(level) > 1:
        # An odd one goes up as it is: the same tree as the RFC's, which splits at powers of two.
        pairs = [hashlib.sha256(b"\1" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(level) - len(level) % 2 :]
    return level[0].hex()
