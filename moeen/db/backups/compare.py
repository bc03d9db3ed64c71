"""A content against another: what a restore brought back, or what stands in the live database by now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from moeen.db.backups.digests import Digest
from moeen.db.backups.inventory import Inventory
from moeen.db.backups.manifest import Content
from moeen.db.backups.pg_restore import Rights
from moeen.db.findings import Finding, Severity
from moeen.db.kinds import Kind


def compare(expected: Content, found: Content, *, rights: Rights, majors: tuple[int, int]) -> list[Finding]:
    """Every difference. `rights` says what the restore could not keep, `majors` which versions are compared."""
    return sorted(
        [
            *_tables(expected, found),
            *_sequences(expected.sequences, found.sequences),
            *_large_objects(expected.large_objects, found.large_objects),
            *_inventories(expected.inventory, found.inventory, rights, majors),
        ]
    )


def checked(expected: Content) -> dict[str, int]:
    """How many of each kind were compared."""
    counts = {kind: len(objects) for kind, objects in sorted(expected.inventory.items())}
    del counts["event trigger"]
    return {
        "rows": expected.rows,
        "digests": len(expected.tables),
        "sequence values": len(expected.sequences),
        "large objects": expected.large_objects.rows,
        **counts,
    }


def _tables(expected: Content, found: Content) -> Iterator[Finding]:
    for label in sorted(expected.tables.keys() | found.tables.keys()):
        want, got = expected.tables.get(label), found.tables.get(label)
        if want is None:
            yield Finding(label, Kind.UNEXPECTED_TABLE, "absent", "present")
        elif got is None:
            yield Finding(label, Kind.MISSING_TABLE, "present", "missing")
        elif want.rows != got.rows:
            yield Finding(label, Kind.ROWS, f"{want.rows:,}", f"{got.rows:,}")
        elif want != got:
            yield Finding(label, Kind.DIGEST, f"{want.sum}/{want.xor}", f"{got.sum}/{got.xor}")


def _large_objects(want: Digest, got: Digest) -> Iterator[Finding]:
    if want != got:
        yield Finding("large objects", Kind.LARGE_OBJECTS, str(want), str(got))


def _sequences(expected: Mapping[str, list[str]], found: Mapping[str, list[str]]) -> Iterator[Finding]:
    """A restored value is one that the sequence had while the dump was made."""
    for label in sorted(expected.keys() | found.keys()):
        want, got = expected.get(label), found.get(label)
        if want is None or got is None:
            yield Finding(label, Kind.SEQUENCE_VALUE, "present" if want else "absent", "present" if got else "missing")
            continue
        low, high = sorted((_number(want[0]), _number(want[1])))
        if got[0] not in want and not low < _number(got[0]) < high:
            yield Finding(label, Kind.SEQUENCE_VALUE, " to ".join(dict.fromkeys(want)), got[0])


def _number(value: str) -> int:
    return int(value.split()[0])


def _inventories(expected: Inventory, found: Inventory, rights: Rights, majors: tuple[int, int]) -> Iterator[Finding]:
    for kind, wanted in expected.items():
        got = found.get(kind, {})
        if kind == "owner" and not rights.owners:
            continue
        if kind == "event trigger" or (kind == "default grant" and not rights.owners):
            continue
        if kind == "extension":
            wanted = {name: value for name, value in wanted.items() if name not in rights.unavailable}
        if kind == "owner":
            # Of what is missing its own kind tells; backups from before know owners of what has none of its own.
            wanted = {name: value for name, value in wanted.items() if name in got}
        if kind == "grant" and majors[0] != majors[1]:
            # MAINTAIN is a privilege from 17 on, and part of "all".
            wanted, got = _without_maintain(wanted), _without_maintain(got)
        yield from _values(kind, wanted, got)


def _without_maintain(grants: Mapping[str, str]) -> dict[str, str]:
    return {
        name: ", ".join(p for p in value.split(", ") if not p.startswith("MAINTAIN")) for name, value in grants.items()
    }


def _values(about: str, expected: Mapping[str, str], found: Mapping[str, str]) -> Iterator[Finding]:
    kind = Kind.INVENTORY_GRANT if about == "grant" else Kind.INVENTORY
    for name in sorted(expected.keys() | found.keys()):
        want, got = expected.get(name), found.get(name)
        shown = name if about == "grant" else f"{about} {name}"
        if want is None:
            severity = Severity.UNSAFE if about == "grant" else Severity.COSMETIC
            yield Finding(shown, kind, "absent", "present", severity)
        elif got is None:
            yield Finding(shown, kind, "present", "missing")
        elif want != got:
            yield Finding(shown, kind, want, got)
