"""Verification: the log is read once, in the order of its transactions, and held against its seals.

The seals are held against each other (each has the hash of the one before), against their signatures and against those
that are kept outside: whoever can change the log and its seals cannot change these.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from moeen.db.backups import keys
from moeen.db.backups.login import Login
from moeen.db.backups.progress import Tell, silent
from moeen.db.codes import Code
from moeen.db.errors import FINDINGS, MoeenError
from moeen.db.findings import Finding, Severity
from moeen.db.kinds import Kind
from moeen.db.seals import chain, entry, guards, seal, tampering
from moeen.db.seals.anchor import Anchor
from moeen.db.seals.entry import Entry
from moeen.db.seals.seal import Seal
from moeen.db.seals.sealing import Horizon, Range, ranges, snapshot
from moeen.db.seals.tampering import Evidence, Sealed

#: An entry may be dated so much before its transaction first wrote: transactions that waited, clocks that were set.
TOLERANCE = timedelta(hours=1)
#: Missing ids that are looked for at once.
_CHUNK = 10_000


@dataclass(frozen=True)
class Question:
    """Whose entries are looked for: a row's id and public id, in the seals with these numbers."""

    key: UUID
    public_id: str = ""
    first: int = 1
    last: int | None = None

    def asks(self, number: int) -> bool:
        return number >= self.first and (self.last is None or number <= self.last)

    def is_in(self, said: bytes) -> bool:
        """Whether the entry names it anywhere: as its record, its patient, or in a value."""
        names = (self.key.bytes, str(self.key).encode(), self.public_id.encode())
        return any(name and name in said for name in names)


@dataclass(frozen=True)
class Mention:
    """An entry that names what was asked about."""

    id: UUID
    at: datetime
    seal: int


@dataclass(frozen=True)
class Verified:
    """`proven` entries are as they were sealed; `unsealed` ones came after the last seal, or were not complete then.

    `mentions`: see Question; None where nothing was asked.
    """

    seals: int
    proven: int
    pruned: int
    unsealed: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    last: Seal | None
    mentions: tuple[Mention, ...] | None = None

    @property
    def ok(self) -> bool:
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        said = {name: getattr(self, name) for name in ("ok", "seals", "proven", "pruned", "unsealed", "notes")}
        mentions = [{"id": str(one.id), "at": one.at.isoformat(), "seal": one.seal} for one in self.mentions or ()]
        return said | {
            "last_seal": self.last.as_dict() if self.last else None,
            "findings": [finding.as_dict() for finding in self.findings],
            "mentions": mentions if self.mentions is not None else None,
        }


def verify(
    wrapper: BaseDatabaseWrapper, *, anchor: Anchor | None = None, about: Question | None = None, tell: Tell = silent
) -> Verified:
    """Prove the log by its seals. Raises MoeenError (3) where nothing can be proven: no seal, or none at the anchor."""
    outside = anchor.read() if anchor else []
    if anchor and not outside:
        raise MoeenError(
            f"No seal is kept in {anchor.name}.",
            next_step="Is it the right place? manage.py seal_audit_log --anchor puts the seals there.",
            exit_code=FINDINGS,
            code=Code.ANCHOR,
        )
    with Login.of_wrapper(wrapper).connect(application="moeen verify") as connection, snapshot(connection) as horizon:
        seals = seal.every(connection)
        if not seals and not outside:
            raise MoeenError(
                "The audit log has no seal, so that nothing of it can be proven.",
                next_step="manage.py seal_audit_log",
                exit_code=FINDINGS,
                code=Code.NOT_SEALED,
            )
        links = chain.examine(seals, outside=outside, trusted=keys.trusted_if_any())
        return _Reading(connection, horizon, seals, links, about).result(tell)


@dataclass
class _Reading:
    connection: psycopg.Connection[Any]
    horizon: Horizon
    seals: list[Seal]
    links: chain.Links
    about: Question | None
    proven: int = 0
    pruned: int = 0
    unsealed: int = 0
    evidence: Evidence = field(default_factory=Evidence)
    broken: list[Finding] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.last = self.seals[-1] if self.seals else None
        self.through = self.last.pruned_through if self.last else 0
        self.by_number = {one.number: one for one in self.seals}
        self.gaps = list(self.links.gaps)
        # From when on a transaction can have written: after the last seal at which its number was not given yet.
        intact = [one for one in self.seals if one.hash == one.digest()]
        here = [one for one in intact if self.last and one.system == self.last.system]
        self.floors = sorted((one.next_transaction, one.sealed_at) for one in here)
        self.columns = entry.columns(self.connection)
        # Of a seal that is not as it was made, the columns are those of the one before, as far as can be known.
        stated = {one.number: one.columns for one in intact}
        known = self.columns
        self.columns_of = {one.number: (known := stated.get(one.number, known)) for one in self.seals}

    def result(self, tell: Tell) -> Verified:
        total = sum(one.entries for one in self.seals if one.number > self.through)
        waiting: dict[bytes, Sealed] = {}
        for piece in ranges(self.seals):
            self._load([one for one in self.seals if piece.begins(one)], waiting)
            self._read(piece, waiting)
            over = [key for key, each in waiting.items() if piece.ends(self.by_number[each.seal])]
            self._miss([waiting.pop(key) for key in over])
            tell("verify", min(self.proven, total), total)
        self._look_elsewhere()
        evidence = tampering.judged(self.evidence, sealed_after=self._sealed_after())
        touched = guards.touched(self.connection)
        notes = [*self.links.notes, *(one.note() for one in touched if one.why)]
        if self.last and self.last.system != self.horizon.system:
            notes.append(
                "The database stands on another server than at its last seal: entries since then are unsealed."
            )
        return Verified(
            seals=len(self.seals),
            proven=self.proven,
            pruned=self.pruned,
            unsealed=self.unsealed,
            findings=(
                *self.links.findings,
                *self.broken,
                *evidence,
                *(one.finding() for one in touched if not one.why),
            ),
            notes=tuple(notes),
            last=self.last,
            mentions=tuple(sorted(self.mentions, key=lambda one: one.at)) if self.about else None,
        )

    def _load(self, begun: Sequence[Seal], waiting: dict[bytes, Sealed]) -> None:
        """The leaves of these seals; those of a seal that they do not fit prove nothing."""
        stored = seal.leaves(self.connection, [one.number for one in begun])
        for one in begun:
            leaves = entry.split(stored[one.number])
            if entry.root(leaves) != one.root or len(leaves) != one.entries:
                self.broken.append(
                    Finding(f"seal {one.number}", Kind.SEAL_BROKEN, f"leaves of root {one.root[:16]}",
                            f"{entry.root(leaves)[:16]}", severity=Severity.UNSAFE)
                )  # fmt: skip
                self.gaps.append((one.first_transaction, one.last_transaction + 1))
                continue
            waiting.update((leaf[:16], Sealed(one.number, place, leaf)) for place, leaf in enumerate(leaves))

    def _read(self, piece: Range, waiting: dict[bytes, Sealed]) -> None:
        """The entries of these transactions, once for each list of columns that seals of them have."""
        lists = dict.fromkeys(self.columns_of[each.seal] for each in waiting.values()) or [self.columns]
        for number, listed in enumerate(lists):
            names = {name for name, _ in listed}
            later = [name for name, _ in self.columns if name not in names]
            for row in entry.read(self.connection, listed, piece.condition(), later=later):
                one = waiting.get(row.id)
                if one is None:
                    if number == 0:
                        self._judge(row)
                elif self.columns_of[one.seal] == listed:
                    self._compare(waiting.pop(row.id), row)

    def _compare(self, one: Sealed, row: Entry) -> None:
        by = self.by_number[one.seal]
        if row.leaf != one.leaf or row.later:
            self.evidence.altered.append((one, row._replace(said=b"")))
            return
        self.proven += 1
        if self.last and by.system == self.last.system and self._is_backdated(row):
            self.evidence.backdated.append((one, row._replace(said=b"")))
        if self.about and self.about.asks(one.seal) and self.about.is_in(row.said):
            self.mentions.append(Mention(UUID(bytes=row.id), entry.moment(row.leaf), one.seal))

    def _judge(self, row: Entry) -> None:
        """An entry of no seal: one that came later, or one that was put in."""
        last = self.last
        if any(low <= row.transaction < below for low, below in self.gaps):
            return
        if last and last.system == self.horizon.system:
            if row.transaction < last.complete_below or row.transaction >= self.horizon.next:
                self.evidence.strays.append(row._replace(said=b""))
                return
            if self._is_backdated(row):
                self.evidence.backdated.append((None, row._replace(said=b"")))
                return
        self.unsealed += 1

    def _is_backdated(self, row: Entry) -> bool:
        known = bisect.bisect_right(self.floors, row.transaction, key=lambda floor: floor[0])
        return known > 0 and entry.moment(row.leaf) < self.floors[known - 1][1] - TOLERANCE

    def _miss(self, gone: Sequence[Sealed]) -> None:
        pruned = [one for one in gone if one.seal <= self.through]
        self.pruned += len(pruned)
        self.evidence.missing += [one for one in gone if one.seal > self.through]

    def _look_elsewhere(self) -> None:
        """Entries that are missing may stand among those of another transaction, or under another id."""
        missing = self.evidence.missing
        rows: dict[bytes, Entry] = {}
        for start in range(0, len(missing), _CHUNK):
            ids = [UUID(bytes=one.leaf[:16]) for one in missing[start : start + _CHUNK]]
            where = sql.SQL("id = ANY ({})").format(sql.Literal(ids))
            rows |= {row.id: row._replace(said=b"") for row in entry.read(self.connection, self.columns, where)}
        self.evidence.missing = [one for one in missing if one.leaf[:16] not in rows]
        self.evidence.altered += [(one, rows[one.leaf[:16]]) for one in missing if one.leaf[:16] in rows]
        self.evidence.strays = [row for row in self.evidence.strays if row.id not in rows]

    def _sealed_after(self) -> int:
        """How many entries were sealed from the first missing one on."""
        first = min(self.evidence.missing, default=None)
        if first is None:
            return 0
        later = sum(one.entries for one in self.seals if one.number > first.seal)
        return later + self.by_number[first.seal].entries - first.place
