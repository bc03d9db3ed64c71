"""A seal: what it says of a batch of entries, its hash and signature, and where it is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from moeen.db.backups.keys import PublicKey, Signer, is_signed
from moeen.db.seals.entry import Columns

#: What is hashed, and what is signed, begins with it: neither can pass for something else.
PURPOSE = b"moeen audit seal\n"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Seal:
    """One row of audit_seals but for its leaves; what each says stands in the comments of the table's columns."""

    number: int
    format: int
    sealed_at: datetime
    previous: str
    root: str
    entries: int
    total: int
    columns: Columns
    system: str
    first_transaction: int
    last_transaction: int
    complete_below: int
    next_transaction: int
    pruned_through: int = 0
    lost_from: int | None = None
    reason: str = ""
    guards: dict[str, str] = field(default_factory=dict)
    hash: str = ""
    signature: str = ""

    def stated(self) -> dict[str, Any]:
        """All that is hashed, as JSON has it. The time is in microseconds since 1970, which no form changes."""
        said = {name: getattr(self, name) for name in _STATED - _unstated(self.format)}
        return said | {
            "sealed_at": (self.sealed_at - _EPOCH) // timedelta(microseconds=1),
            "columns": [list(pair) for pair in self.columns],
        }

    def digest(self) -> str:
        text = json.dumps(self.stated(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(PURPOSE + text.encode()).hexdigest()

    def signed(self, signer: Signer | None) -> Seal:
        """With its hash, and its signature where somebody signs."""
        digest = self.digest()
        return replace(self, hash=digest, signature=signer.sign(digest.encode(), purpose=PURPOSE) if signer else "")

    def is_signed(self, trusted: Iterable[PublicKey]) -> bool:
        return is_signed(self.hash.encode(), self.signature, trusted, purpose=PURPOSE)

    def as_dict(self) -> dict[str, Any]:
        """For people's programs."""
        said = self.stated() | {"sealed_at": self.sealed_at.astimezone(UTC).isoformat()}
        said.pop("guards", None)  # the catalog has them for whoever asks
        return said | {"hash": self.hash, "signature": self.signature}

    def as_line(self) -> str:
        """As it is kept outside: one line of JSON."""
        said = self.stated() | {"hash": self.hash, "signature": self.signature}
        return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def of_line(cls, line: str) -> Seal:
        """Raises ValueError for a line that `as_line` did not write."""
        said = json.loads(line)
        if not isinstance(said, dict) or said.keys() != _NAMES - _unstated(said.get("format")):
            raise ValueError("no seal")
        try:
            said["columns"] = tuple((str(name), str(kind)) for name, kind in said["columns"])
            said["sealed_at"] = _EPOCH + timedelta(microseconds=int(said["sealed_at"]))
        except (TypeError, OverflowError) as error:
            raise ValueError("no seal") from error
        return cls(**said)


_NAMES = {part.name for part in fields(Seal)}
_STATED = _NAMES - {"hash", "signature"}


def _unstated(number: Any) -> set[str]:
    """What seals of that format do not have."""
    return {"guards"} if number == 1 else set()


def newest(connection: psycopg.Connection[Any]) -> Seal | None:
    return next(_read(connection, sql.SQL("ORDER BY number DESC LIMIT 1")), None)


def every(connection: psycopg.Connection[Any], *, after: int = 0) -> list[Seal]:
    """In the order of their numbers."""
    return list(_read(connection, sql.SQL("WHERE number > {} ORDER BY number").format(after)))


def leaves(connection: psycopg.Connection[Any], numbers: Sequence[int]) -> dict[int, bytes]:
    """Of these seals: the number of each with its leaves, one after the other."""
    with connection.cursor(binary=True) as cursor:
        cursor.execute("SELECT number, leaves FROM audit_seals WHERE number = ANY (%s)", [list(numbers)])
        return {int(number): bytes(data) for number, data in cursor.fetchall()}


def keep(connection: psycopg.Connection[Any], seal: Seal, data: bytes) -> None:
    """Add it to the table. Raises psycopg.errors.UniqueViolation where another has its number."""
    said = {part.name: getattr(seal, part.name) for part in fields(seal)}
    said |= {"columns": Jsonb([list(pair) for pair in seal.columns]), "guards": Jsonb(seal.guards), "leaves": data}
    connection.execute(
        sql.SQL("INSERT INTO audit_seals ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, said)), sql.SQL(", ").join(map(sql.Placeholder, said))
        ),
        said,
    )


def _read(connection: psycopg.Connection[Any], rest: sql.Composable) -> Iterator[Seal]:
    listed = sql.SQL(", ").join(map(sql.Identifier, (part.name for part in fields(Seal))))
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(sql.SQL("SELECT {} FROM audit_seals {}").format(listed, rest))
        for row in cursor:
            row["columns"] = tuple((str(name), str(kind)) for name, kind in row["columns"])
            yield Seal(**row)
