"""What was done to sealed entries, told from what is missing, what differs and what no seal lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from moeen.db.findings import Finding, Severity
from moeen.db.kinds import Kind
from moeen.db.seals import entry
from moeen.db.seals.entry import Entry

#: Findings of entries that are listed one by one; of more, their number.
LISTED = 100
#: Parts of a leaf.
_TIME, _CONTENT, _BODY = slice(16, 24), slice(24, 32), slice(32, 64)


class Sealed(NamedTuple):
    """An entry as its seal has it; `place` is its number among the leaves."""

    seal: int
    place: int
    leaf: bytes


@dataclass
class Evidence:
    """What the reading of the log has brought to light.

    `missing` entries of seals, `altered` ones with what stands in their place, `strays` which no seal lists and which
    were there to be sealed, `backdated` ones that are older than their transaction can be.
    """

    missing: list[Sealed] = field(default_factory=list)
    altered: list[tuple[Sealed, Entry]] = field(default_factory=list)
    strays: list[Entry] = field(default_factory=list)
    backdated: list[tuple[Sealed | None, Entry]] = field(default_factory=list)


def judged(evidence: Evidence, *, sealed_after: int) -> list[Finding]:
    """A finding for each entry, in the order in which they were sealed; of very many, the first ones of each kind.

    `sealed_after`: how many entries were sealed from the first missing one on, itself included.
    """
    missing, altered, strays = _renamed(evidence)
    found: list[tuple[int, int, Finding]] = []
    if missing and not altered and not strays and len(missing) == sealed_after:
        found.append((missing[0].seal, missing[0].place, _tail(missing)))
    else:
        found += [(one.seal, one.place, _entry(Kind.ENTRY_DELETED, one, one.leaf, "none")) for one in missing]
    moved = set(_moved(altered))
    for number, (one, row) in enumerate(altered):
        kind = Kind.ENTRIES_REORDERED if number in moved else Kind.ENTRY_REWRITTEN
        found.append((one.seal, one.place, _entry(kind, one, one.leaf, _differs(one, row))))
    for row in strays:
        found.append((1 << 62, 0, _entry(Kind.ENTRY_INSERTED, None, row.leaf, "an entry that was not there then")))
    for at, row in evidence.backdated:
        words = f"an entry dated before its transaction {row.transaction}"
        place = (at.seal, at.place) if at else (1 << 62, 1)
        found.append((*place, _entry(Kind.ENTRY_INSERTED, at, row.leaf, words)))
    found.sort(key=lambda each: each[:2])
    return list(_shortened([finding for _, _, finding in found]))


def _renamed(evidence: Evidence) -> tuple[list[Sealed], list[tuple[Sealed, Entry]], list[Entry]]:
    """An entry that is missing and stands there under another id is a rewritten one."""
    strays = {row.leaf[_BODY]: row for row in evidence.strays}
    missing: list[Sealed] = []
    altered = list(evidence.altered)
    for one in evidence.missing:
        row = strays.pop(one.leaf[_BODY], None)
        if row is None:
            missing.append(one)
        else:
            altered.append((one, row))
    taken = {row.id for _, row in altered}
    return sorted(missing), sorted(altered), [row for row in evidence.strays if row.id not in taken]


def _moved(altered: Sequence[tuple[Sealed, Entry]]) -> Iterator[int]:
    """Those whose contents, or else whose times, are those of others among them."""
    for part in (_CONTENT, _TIME):
        differing = [
            (number, one.leaf[part], row.leaf[part])
            for number, (one, row) in enumerate(altered)
            if one.leaf[part] != row.leaf[part] and (part == _CONTENT or one.leaf[_CONTENT] == row.leaf[_CONTENT])
        ]
        was, there = Counter(each[1] for each in differing), Counter(each[2] for each in differing)
        for number, before, after in differing:
            if was[after] and there[before]:
                yield number


def _tail(missing: Sequence[Sealed]) -> Finding:
    first, last = missing[0], missing[-1]
    return Finding(
        f"entries from {_told(first.leaf)} on",
        Kind.TAIL_CUT,
        f"{len(missing)} entries of seals {first.seal} to {last.seal}, the last of {_when(last.leaf)}",
        "none",
        severity=Severity.UNSAFE,
    )


def _differs(one: Sealed, row: Entry) -> str:
    parts = {"id": slice(0, 16), "time": _TIME, "content": _CONTENT}
    names = [name for name, part in parts.items() if one.leaf[part] != row.leaf[part]]
    return f"another {' and '.join(names)}" if names else "another public id, transaction or later column"


def _entry(kind: Kind, one: Sealed | None, leaf: bytes, found: str) -> Finding:
    where = f"as sealed in seal {one.seal}" if one else "no such entry"
    return Finding(f"entry {_told(leaf)}", kind, where, found, severity=Severity.UNSAFE)


def _told(leaf: bytes) -> str:
    return f"{UUID(bytes=leaf[:16])} of {_when(leaf)}"


def _when(leaf: bytes) -> str:
    return f"{entry.moment(leaf):%Y-%m-%d %H:%M:%S} UTC"


def _shortened(findings: Sequence[Finding]) -> Iterator[Finding]:
    count = Counter(finding.kind for finding in findings)
    shown: Counter[Kind] = Counter()
    for finding in findings:
        shown[finding.kind] += 1
        if shown[finding.kind] <= LISTED:
            yield finding
    for kind, number in count.items():
        if number > LISTED:
            words = f"{number - LISTED} further entries"
            yield Finding(words, kind, "as sealed", "the same as above", severity=Severity.UNSAFE)
