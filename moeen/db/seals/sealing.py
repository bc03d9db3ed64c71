"""Sealing: entries that no running transaction can add to any more become batches, each chained to the one before.

A transaction takes its number when it first writes. `pg_snapshot_xmin()` is the oldest number that still runs, so every
entry of an older one is there to be seen or will never be: whatever appears later below that line was not written by
a transaction of its number. What was seen above it waits for the next seal. Readers and writers wait for nothing.

Numbers of transactions begin anew on another server, where a restored database may stand. There the whole log is
looked through once for entries that no seal lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db.backups import keys
from moeen.db.backups.login import Login
from moeen.db.backups.progress import Tell, silent
from moeen.db.codes import Code
from moeen.db.engine import session
from moeen.db.errors import FINDINGS, USAGE, MoeenError
from moeen.db.seals import entry, guards, seal
from moeen.db.seals.anchor import Anchor
from moeen.db.seals.entry import Entry
from moeen.db.seals.seal import Seal

#: Entries of one seal, at most.
BATCH = 4096
#: "moeen" in ASCII, and a number that no other lock of the toolkit has.
LOCK = (0x6D6F, 7)
#: Seals whose ids are held in memory at a time, or a few more.
TOGETHER = 64
#: Without new entries, a seal says so this often.
QUIET = timedelta(days=1)


@dataclass(frozen=True)
class Sealed:
    """What a run has done. `waiting`: entries that a running transaction still stands before."""

    seals: int
    entries: int
    waiting: int
    newest: Seal | None
    signed: bool
    anchored: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "newest": self.newest.as_dict() if self.newest else None}


@dataclass(frozen=True)
class Range:
    """Transactions from `low` to below `high`, None for all later ones. 0 stands for entries that name none."""

    low: int
    high: int | None

    def condition(self) -> sql.Composed:
        there = sql.SQL("transaction_id >= {}").format(self.low)
        if self.high is not None:
            there = sql.SQL("{} AND transaction_id < {}").format(there, self.high)
        return (
            sql.SQL("({} OR transaction_id IS NULL)").format(there) if self.low == 0 else sql.SQL("({})").format(there)
        )

    def begins(self, one: Seal) -> bool:
        return one.first_transaction >= self.low and (self.high is None or one.first_transaction < self.high)

    def ends(self, one: Seal) -> bool:
        """Whether no later transaction is in the seal."""
        return self.high is None or one.last_transaction < self.high

    def meets(self, one: Seal) -> bool:
        return one.last_transaction >= self.low and (self.high is None or one.first_transaction < self.high)


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """The server at the moment of a snapshot: its number, its clock before it, its oldest and its next transaction."""

    system: str
    at: datetime
    oldest: int
    next: int


@dataclass
class _Run:
    connection: psycopg.Connection[Any]
    horizon: Horizon
    columns: entry.Columns
    signer: keys.Signer | None
    newest: Seal | None
    #: complete_below while the run is not through.
    complete: int
    changes: dict[str, Any]
    made: list[Seal] = field(default_factory=list)

    def add(self, entries: Sequence[Entry], *, complete_below: int) -> None:
        """One seal of these entries, in the order of their times."""
        before = self.newest
        leaves = sorted((one.leaf for one in entries), key=_by_time)
        transactions = [one.transaction for one in entries] or [0]
        said = {
            "number": before.number + 1 if before else 1,
            "pruned_through": before.pruned_through if before else 0,
        } | self.changes
        fresh = Seal(
            format=entry.FORMAT,
            sealed_at=self.horizon.at,
            previous=before.hash if before else "",
            root=entry.root(leaves),
            entries=len(leaves),
            total=(before.total if before else 0) + len(leaves),
            columns=self.columns,
            system=self.horizon.system,
            first_transaction=min(transactions),
            last_transaction=max(transactions),
            complete_below=complete_below,
            next_transaction=self.horizon.next,
            **said,
        ).signed(self.signer)
        try:
            seal.keep(self.connection, fresh, b"".join(leaves))
        except psycopg.errors.UniqueViolation as error:
            raise _busy() from error
        self.newest, self.changes = fresh, {}
        self.made.append(fresh)


def make(
    wrapper: BaseDatabaseWrapper,
    *,
    anchor: Anchor | None = None,
    lost: str = "",
    explain: str = "",
    pruned_through: int | None = None,
    reason: str = "",
    tell: Tell = silent,
) -> Sealed:
    """Seal what can be sealed, and put what was sealed outside. Stopped anywhere, the next call goes on.

    `lost`: why seals that the anchor knows are gone, after a restore. `explain`: why triggers of the log, or what they
    record, were touched between seals. Raises MoeenError: 3 where another run is at work, or the last seals do not
    agree with the anchor; 2 where there is nothing to explain; 1 where the anchor cannot be reached.
    """
    session.refuse_unfit(wrapper, "sealing")
    login = Login.of_wrapper(wrapper)
    signer = keys.signer_or_none()
    with login.connect(application="moeen seal") as writer, login.connect(application="moeen seal") as reader:
        row = writer.execute("SELECT pg_try_advisory_lock(%s, %s)", LOCK).fetchone()
        if row != (True,):
            raise _busy()
        newest = seal.newest(writer)
        if newest and newest.hash != newest.digest():
            raise _refused(f"Seal {newest.number}, the last one, is not as it was made")
        changes = _agreed(writer, newest, anchor, lost)
        if pruned_through is not None:
            changes |= {"pruned_through": pruned_through, "reason": reason}
        if explain:
            changes |= _explained(writer, explain, changes)
        with snapshot(reader) as horizon:
            run = _Run(writer, horizon, entry.columns(reader), signer, newest, _complete(newest, horizon), changes)
            _seal(reader, run, tell)
            waiting = count(reader, Range(horizon.oldest, None))
        anchored = _put_outside(writer, anchor)
    return Sealed(
        len(run.made), sum(one.entries for one in run.made), waiting, run.newest, bool(signer), anchored=anchored
    )


@contextmanager
def snapshot(connection: psycopg.Connection[Any]) -> Iterator[Horizon]:
    """Within it, the connection, which is in autocommit mode, sees one moment."""
    # The clock first: whatever takes its number after the snapshot is later than this.
    ((at, system),) = connection.execute(
        "SELECT clock_timestamp(), system_identifier::text FROM pg_control_system()"
    ).fetchall()
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        ((oldest, following),) = connection.execute(
            """SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint
               FROM pg_current_snapshot() AS s"""
        ).fetchall()
        yield Horizon(at=at, system=system, oldest=oldest, next=following)


def ranges(seals: Sequence[Seal]) -> list[Range]:
    """All transactions, in pieces that about TOGETHER of these seals have begun in."""
    begins = sorted({0, *sorted(one.first_transaction for one in seals)[TOGETHER::TOGETHER]})
    return [Range(low, high) for low, high in zip(begins, [*begins[1:], None], strict=True)]


def _seal(reader: psycopg.Connection[Any], run: _Run, tell: Tell) -> None:
    newest, horizon = run.newest, run.horizon
    seals = seal.every(reader)
    standing = guards.read(reader)
    if standing != guards.stated(reader):
        run.changes["guards"] = standing
    if newest is None or newest.system == horizon.system:
        looked_through = [Range(run.complete, horizon.oldest)]
    else:
        looked_through = ranges(seals)
    total = sum(count(reader, piece) for piece in looked_through)
    batch: list[Entry] = []
    done = 0
    for one in _unsealed(reader, run.columns, looked_through, seals):
        if len(batch) == BATCH:
            run.add(batch, complete_below=run.complete)
            done += len(batch)
            batch = []
            tell("seal", done, total)
        batch.append(one)
    overdue = newest is not None and horizon.at - newest.sealed_at >= QUIET
    if batch or (newest and run.changes) or run.changes.keys() - {"guards"} or overdue:
        run.add(batch, complete_below=horizon.oldest)
    tell("seal", total, total)


def _unsealed(
    reader: psycopg.Connection[Any], columns: entry.Columns, pieces: Sequence[Range], seals: Sequence[Seal]
) -> Iterator[Entry]:
    """The entries of these transactions that no seal lists."""
    for piece in pieces:
        numbers = [one.number for one in seals if one.entries and piece.meets(one)]
        known = {leaf[:16] for data in seal.leaves(reader, numbers).values() for leaf in entry.split(data)}
        yield from (one for one in entry.read(reader, columns, piece.condition()) if one.id not in known)


def _complete(newest: Seal | None, horizon: Horizon) -> int:
    """Below which number everything is sealed already: nothing, in the count of another server."""
    return newest.complete_below if newest and newest.system == horizon.system else 0


def _agreed(writer: psycopg.Connection[Any], newest: Seal | None, anchor: Anchor | None, lost: str) -> dict[str, Any]:
    """What the next seal says besides; raises MoeenError (3) where the chain is not the one that is known outside."""
    outside = anchor.newest() if anchor else None
    if outside is None or anchor is None:
        if lost:
            raise MoeenError("No seal is lost, as far as is known.", next_step="Leave --lost out.", exit_code=USAGE)
        return {}
    number = newest.number if newest else 0
    if number >= outside.number:
        ours = next((one for one in seal.every(writer, after=outside.number - 1)), None)
        if ours is None or ours.hash != outside.hash:
            raise _refused(f"Seal {outside.number} is another than the one that is kept outside")
        if lost:
            raise MoeenError("No seal is lost.", next_step="Leave --lost out.", exit_code=USAGE)
        return {}
    if not lost:
        raise _refused(
            f"The last seal is {number}, and {outside.number} is kept outside: seals {number + 1} to {outside.number} "
            "are gone",
            next_step="Was the database restored from a backup of before? Then say so: --lost REASON, which is sealed. "
            "Otherwise see manage.py verify_audit_log --anchor ...: somebody cut the log.",
        )
    if newest and not any(one.number == number and one.hash == newest.hash for one in anchor.read()):
        raise _refused(f"Seal {number}, the last one, is another than the one that is kept outside")
    return {"number": outside.number + 1, "lost_from": number + 1, "reason": lost}


def _explained(writer: psycopg.Connection[Any], why: str, changes: dict[str, Any]) -> dict[str, Any]:
    """What the seal says besides; raises MoeenError (2) where nothing is unexplained, or it has a reason already."""
    if changes or all(one.why for one in guards.touched(writer)):
        raise MoeenError("There is nothing to explain.", next_step="Leave --explain out.", exit_code=USAGE)
    return {"reason": why, "guards": guards.read(writer)}


def _put_outside(writer: psycopg.Connection[Any], anchor: Anchor | None) -> int:
    if anchor is None:
        return 0
    outside = anchor.newest()
    fresh = seal.every(writer, after=outside.number if outside else 0)
    anchor.add(fresh)
    return len(fresh)


def count(reader: psycopg.Connection[Any], piece: Range) -> int:
    row = reader.execute(
        sql.SQL("SELECT count(*) FROM {} WHERE {}").format(entry.table(), piece.condition())
    ).fetchone()
    return int(row[0]) if row else 0


def _by_time(leaf: bytes) -> tuple[int, bytes]:
    return int.from_bytes(leaf[16:24], "big", signed=True), leaf


def _busy() -> MoeenError:
    return MoeenError(
        "The audit log is being sealed by another run. Nothing was changed.",
        next_step="Nothing need be done: that run seals what there is.",
        exit_code=FINDINGS,
        code=Code.ANOTHER_RUN,
    )


def _refused(cause: str, *, next_step: str = "manage.py verify_audit_log says what happened.") -> MoeenError:
    return MoeenError(f"{cause}. Nothing was sealed.", next_step=next_step, exit_code=FINDINGS, code=Code.AUDIT_DIFFERS)
