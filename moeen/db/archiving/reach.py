"""How far back one can go with an archive: from the end of a base to the end of the WAL that follows without a gap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from moeen.db.archiving import segments
from moeen.db.archiving.papers import Archive, Base, following


@dataclass(frozen=True)
class Span:
    """Every moment from `since` to `until` (UTC) can be had. `lsn`: how far the WAL goes; `newest`: the last base."""

    since: datetime
    until: datetime
    lsn: int
    newest: Base

    def pretty(self) -> str:
        return f"{_shown(self.since)} to {_shown(self.until)} UTC"

    def as_dict(self) -> dict[str, str]:
        return {"since": self.since.isoformat(), "until": self.until.isoformat(), "base": self.newest.id}


def spans(archive: Archive) -> list[Span]:
    """All that can be had, oldest first. Raises MoeenError (3) where a paper of it is signed by nobody known."""
    there = archive.segments()
    found: list[Span] = []
    bases = {base.id: base for base in archive.all_bases()}
    for base in bases.values():
        run = list(wal_of(base, there))
        if not run or not all(parent in bases for parent in parents(base, bases)):
            continue
        last = segments.paper(archive, run[-1])
        if last.lsn < base.end:
            continue
        until = datetime.fromisoformat(last.until)
        span = Span(base.at, max(until, base.at), last.lsn, base)
        if found and found[-1].lsn == span.lsn:
            span = replace(span, since=found.pop().since)
        found.append(span)
    return found


def wal_of(base: Base, there: list[str]) -> Iterator[str]:
    """The pieces from the beginning of that base on, without a gap."""
    stands, name = set(there), base.segment(base.start)
    while name in stands:
        yield name
        name = following(name, size=base.segment_bytes)


def parents(base: Base, bases: dict[str, Base]) -> list[str]:
    """The ids of the bases that it is an increment to, the whole one last; one that is missing ends them."""
    found = []
    while base.parent:
        found.append(base.parent)
        if base.parent not in bases:
            break
        base = bases[base.parent]
    return found


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
