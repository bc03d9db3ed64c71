"""Which backups there are, which are worrying, and which may go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from moeen.db.backups import trust
from moeen.db.backups.manifest import CHANGE, NIGHTLY, PRE_ADOPTION, RESTORE, Damaged, Pin, moment_of
from moeen.db.backups.origin import Origin
from moeen.db.backups.store import DATED_AHEAD, Store, is_ahead, made_at
from moeen.db.errors import MoeenError
from moeen.db.logs import logger

#: A backup this much smaller than the one before it deserves a look.
SHRUNK = 0.5
#: How long a backup from before a change stays at least.
CHANGE_DAYS = 30
#: Signatures with which a backup counts: where no key is known, nobody can tell.
_COUNTING = ("", trust.SIGNED, trust.UNCHECKED)


@dataclass(frozen=True)
class Entry:
    """A backup in the list. `damage` says what is wrong with its manifest; the rest is empty then."""

    id: str
    created_at: datetime
    label: str = ""
    database: str = ""
    bytes: int = 0
    rows: int = 0
    encrypted: bool = False
    system: str = ""
    purpose: str = NIGHTLY
    #: Whether a person wants it kept; None where nobody said.
    pinned: bool | None = None
    signature: str = ""
    migrations: frozenset[tuple[str, str]] = frozenset()
    verified_at: str = ""
    verified_ok: bool | None = None
    damage: str = ""

    @property
    def origin(self) -> Origin:
        """Which database it is of."""
        return Origin(self.database, self.system)

    @property
    def counts(self) -> bool:
        """Whether it is one of ours, for all that can be told: anybody who may write there can make one that is not."""
        return self.signature in _COUNTING

    def is_ahead(self, now: datetime) -> bool:
        """Whether it is dated in the future."""
        return is_ahead(self.created_at, now=now)

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "time": self.created_at.isoformat(),
            "bytes": self.bytes,
            "rows": self.rows,
            "encrypted": self.encrypted,
            "last_verified": self.verified_at or None,
            "verified_ok": self.verified_ok,
            "label": self.label,
            "database": self.database,
            "system": self.system,
            "purpose": self.purpose,
            "pinned": self.pinned,
            "signature": self.signature or None,
            "damage": self.damage or None,
        }


def entries(store: Store) -> list[Entry]:
    """All backups, newest first."""
    return list(newest_first(store))


def newest_first(store: Store) -> Iterator[Entry]:
    """The same, each read when it is asked for."""
    return (_entry(store, backup_id) for backup_id in reversed(store.ids()))


def warnings(found: Sequence[Entry], of: Origin, *, max_age: timedelta, now: datetime | None = None) -> list[str]:
    """What the operator of a database must hear: no backup, too old, never verified, failed, shrunk, damaged.

    One that no known key has signed is no backup.
    """
    now = now or datetime.now(UTC)
    said = [f"Backup {entry.id} is damaged: {entry.damage}." for entry in found if entry.damage]
    said += [f"Backup {entry.id} is signed by no key that is known here." for entry in found
             if entry.signature == trust.WRONG]  # fmt: skip
    same = [entry for entry in found if not entry.damage and entry.origin.same(of)]
    said += [f"Backup {entry.id} {DATED_AHEAD}." for entry in same if entry.is_ahead(now)]
    same = [entry for entry in same if not entry.is_ahead(now)]
    whole = [entry for entry in same if entry.counts]
    if not whole:
        return [*said, f"There is no backup of {of.database}{' that a known key has signed' if same else ''}."]
    newest = whole[0]
    age = now - newest.created_at
    if age > max_age:
        said.append(f"The newest backup is {_span(age)} old; BACKUP_MAX_AGE allows {_span(max_age)}.")
    if newest.verified_ok is None:
        said.append(f"The newest backup, {newest.id}, was never verified.")
    said += [f"Backup {entry.id} did not pass its last verification." for entry in whole if entry.verified_ok is False]
    if whole[1:] and newest.bytes < SHRUNK * whole[1].bytes:
        said.append(f"The newest backup has {newest.bytes:,} bytes, the one before it {whole[1].bytes:,}.")
    return said


def doomed(
    found: Sequence[Entry], *, daily: int, weekly: int, monthly: int, now: datetime | None = None
) -> list[Entry]:
    """Those that no rule keeps, oldest first. Each database's are counted by themselves, and so are those that no known
    key has signed: a forged one stands for no day, and for no verified one.

    Pinned ones are kept, and the one from before the project took the database over, until somebody unpins it. One from
    before a change is kept for CHANGE_DAYS, and on until a later one was verified that holds the change. Of all, kept
    are the newest of each of the last `daily` days, `weekly` weeks and `monthly` months that have one (UTC), and
    in any case the newest, the newest that passed a verification, those whose manifest cannot be read, and those dated
    in the future, which stand for no other.
    """
    now = now or datetime.now(UTC)
    ordered = sorted(found, key=lambda entry: entry.created_at, reverse=True)
    whole = [entry for entry in ordered if not entry.damage and not entry.is_ahead(now)]
    kept = {entry.id for entry in ordered} - {entry.id for entry in whole}
    for group in {(entry.origin, entry.counts) for entry in whole}:
        same = [entry for entry in whole if (entry.origin, entry.counts) == group]
        kept |= _kept(same, daily, weekly, monthly)
        kept |= {entry.id for entry in same if _has_a_reason(entry, same, now)}
    return [entry for entry in reversed(ordered) if entry.id not in kept]


def _has_a_reason(entry: Entry, same: Sequence[Entry], now: datetime) -> bool:
    """Whether what it is for keeps it, `same` being all of its database."""
    if entry.pinned is not None:
        if entry.pinned:
            return True
    elif entry.purpose == PRE_ADOPTION:
        return True
    if entry.purpose not in (CHANGE, RESTORE):
        return False
    later = [other for other in same if other.created_at > entry.created_at and other.verified_ok]
    if entry.purpose == CHANGE:
        later = [other for other in later if other.migrations > entry.migrations]
    return now - entry.created_at < timedelta(days=CHANGE_DAYS) or not later


def _kept(whole: Sequence[Entry], daily: int, weekly: int, monthly: int) -> set[str]:
    """The ids that stay, of the backups of one database, newest first."""
    kept = {entry.id for entry in (*whole[:1], *[entry for entry in whole if entry.verified_ok][:1])}
    rules: tuple[tuple[int, Callable[[datetime], object]], ...] = (
        (daily, lambda at: at.date()),
        (weekly, lambda at: at.isocalendar()[:2]),
        (monthly, lambda at: (at.year, at.month)),
    )
    # A backup that failed its verification stands for no day while another of that day does not.
    for limit, period in rules:
        chosen: dict[object, Entry] = {}
        for entry in sorted(whole, key=lambda entry: (entry.verified_ok is not False, entry.created_at), reverse=True):
            chosen.setdefault(period(entry.created_at), entry)
        newest_first = sorted(chosen.values(), key=lambda entry: entry.created_at, reverse=True)
        kept |= {entry.id for entry in newest_first[:limit]}
    return kept


def delete(store: Store, going: Sequence[Entry]) -> list[Entry]:
    """Delete those, one after the other; returns them without those that somebody is just restoring."""
    log, gone = logger("backup"), []
    for entry in going:
        if store.delete(entry.id):
            gone.append(entry)
            log.info("pruned", extra={"id": entry.id, "purpose": entry.purpose})
    return gone


def pin(store: Store, backup_id: str, *, kept: bool, reason: str) -> None:
    """Keep the backup until somebody says otherwise, or say otherwise. Raises Damaged where it is no backup."""
    store.manifest(backup_id)
    store.record(backup_id, Pin(at=datetime.now(UTC).isoformat(timespec="seconds"), kept=kept, reason=reason))
    logger("backup").info("pinned" if kept else "unpinned", extra={"id": backup_id, "reason": reason})


def _entry(store: Store, backup_id: str) -> Entry:
    moment = made_at(backup_id)
    try:
        paper = store.manifest(backup_id)
    except Damaged as damage:
        return Entry(backup_id, moment, damage=f"{damage.file}: {damage.what}")
    except MoeenError as error:
        return Entry(backup_id, moment, damage=error.cause.rstrip("."))
    record, pin = store.verification(backup_id), store.pin(backup_id)
    return Entry(
        id=backup_id,
        created_at=moment_of(paper.created_at),
        label=paper.label,
        database=paper.database,
        bytes=paper.bytes,
        rows=paper.rows,
        encrypted=paper.encrypted,
        system=paper.system,
        purpose=paper.purpose,
        pinned=pin.kept if pin else None,
        signature=trust.state(store, backup_id),
        migrations=frozenset((app, name) for app, names in paper.migrations.items() for name in names),
        verified_at=record.at if record else "",
        verified_ok=record.ok if record else None,
    )


def _span(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} days"
