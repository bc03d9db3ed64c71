"""How far back one can go with an archive: from the end of a base to the end of the WAL that follows without a gap.

A piece that is missing, that nobody known has signed, or that is an older state of itself is a gap: what lies behind it
cannot be had, whatever is there. A base that nobody known has signed is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from django.utils.timezone import localtime

from moeen.db.archiving import segments
from moeen.db.archiving.papers import Archive, Base, Segment, end_of, following
from moeen.db.errors import MoeenError


@dataclass(frozen=True)
class Span:
    """Every moment from `since` to `until` (UTC) can be had, by one of `bases` (oldest first) and the WAL behind it.

    `lsn`: how far that WAL goes. `gap`: why it does not go on where later pieces are there, "" where it is the last.
    """

    since: datetime
    until: datetime
    lsn: int
    bases: tuple[Base, ...]
    gap: str = ""

    @property
    def newest(self) -> Base:
        return self.bases[-1]

    def pretty(self) -> str:
        return f"{shown(self.since)} to {shown(self.until)}"

    def as_dict(self) -> dict[str, str]:
        return {"since": self.since.isoformat(), "until": self.until.isoformat(), "base": self.newest.id}


def spans(archive: Archive) -> list[Span]:
    """All that can be had, oldest first."""
    there = pieces(archive)
    found: list[Span] = []
    bases = {base.id: base for base in archive.all_bases()}
    for base in bases.values():
        run = list(wal_of(base, there))
        if not run or not all(parent in bases for parent in parents(base, bases)) or run[-1].lsn < base.end:
            continue
        until = datetime.fromisoformat(run[-1].until)
        gap = _gap(run[-1], there, size=base.segment_bytes)
        span = Span(base.at, max(until, base.at), run[-1].lsn, (base,), gap)
        if found and found[-1].lsn == span.lsn:
            before = found.pop()
            # The earlier one may be dated later, while a clock was wrong.
            span = replace(span, since=min(before.since, span.since), bases=(*before.bases, base))
        found.append(span)
    return found


def pieces(archive: Archive) -> dict[str, Segment | str]:
    """The paper of each piece, or why nothing may be done with it."""
    return {name: _piece(archive, name) for name in archive.segments()}


def wal_of(base: Base, there: Mapping[str, Segment | str]) -> Iterator[Segment]:
    """The papers of the pieces from the beginning of that base on, without a gap."""
    name = base.segment(base.start)
    while isinstance(piece := there.get(name), Segment):
        yield piece
        if piece.lsn < end_of(name, size=base.segment_bytes):
            return
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


def shown(moment: datetime) -> str:
    """A moment as people read it and `--at` takes it, in the project's time zone."""
    return localtime(moment).isoformat(" ", timespec="seconds")


def _piece(archive: Archive, name: str) -> Segment | str:
    try:
        return segments.paper(archive, name)
    except MoeenError as error:
        return error.cause
    except OSError as error:
        return f"wal/{name} cannot be read: {error.strerror}."


def _gap(last: Segment, there: Mapping[str, Segment | str], *, size: int) -> str:
    if last.name == max(there):
        return ""
    if last.lsn < end_of(last.name, size=size):
        return f"wal/{last.name} is an older state of that piece, since others follow it."
    name = following(last.name, size=size)
    return str(there.get(name, f"wal/{name} is missing."))
