"""Two catalogs against each other: every difference is a finding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from moeen.db.catalog import Catalog, Table
from moeen.db.findings import Finding, Severity

_PARTS = ("columns", "constraints", "indexes", "triggers", "policies")


def compare(expected: Catalog, live: Catalog) -> list[Finding]:
    """What differs, the order of columns aside; empty when the two describe the same schema."""
    found = [
        *_compare_mappings("table", "", expected.tables, live.tables),
        *_compare_mappings("function", "", expected.functions, live.functions),
    ]
    for name in expected.tables.keys() & live.tables.keys():
        for part in _PARTS:
            one, other = getattr(expected.tables[name], part), getattr(live.tables[name], part)
            found.extend(_compare_mappings(_singular(part), f"{name}.", one, other))
    return sorted(found)


def _singular(part: str) -> str:
    return {"indexes": "index", "policies": "policy"}.get(part, part.removesuffix("s"))


def _compare_mappings(kind: str, owner: str, expected: Mapping[str, Any], live: Mapping[str, Any]) -> Iterator[Finding]:
    for name in expected.keys() | live.keys():
        if name not in live:
            yield Finding(f"{owner}{name}", kind, "present", "missing")
        elif name not in expected:
            yield Finding(f"{owner}{name}", kind, "absent", "present", Severity.COSMETIC)
        else:
            for attribute in _differing(expected[name], live[name]):
                wanted, got = getattr(expected[name], attribute), getattr(live[name], attribute)
                yield Finding(f"{owner}{name}", f"{kind} {attribute}", str(wanted), str(got))


def _differing(one: Any, other: Any) -> list[str]:
    skipped = _PARTS if isinstance(one, Table) else ()
    names = [f.name for f in fields(one) if f.compare and f.name not in skipped]
    return [name for name in names if getattr(one, name) != getattr(other, name)]
