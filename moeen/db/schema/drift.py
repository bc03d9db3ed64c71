"""Two catalogs against each other: every difference is a finding, graded, with why it matters and what mends it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moeen.db.findings import Finding
from moeen.db.schema.canonical import Objects
from moeen.db.schema.fixes import Mender
from moeen.db.schema.grades import BREAKS, MISSING, UNSAFE, Entry, grade, grade_extra


def findings(expected: Objects, live: Objects, *, owner: str = "") -> list[Finding]:
    """What differs; empty when the two describe the same database. `owner` is named in the fixes."""
    mender = Mender(expected, live, owner)
    found: list[Finding] = []
    for kind in expected.keys() | live.keys():
        one, other = expected.get(kind, {}), live.get(kind, {})
        for name in one.keys() | other.keys():
            if one.get(name) != other.get(name) and not _follows(kind, one.get(name), name, live):
                found.extend(_findings(mender, kind, name, one.get(name), other.get(name)))
    gone, unknown = _absent(expected, live), _absent(live, expected)
    return sorted(f for f in found if not _within(f, gone) and not _within(f, unknown))


def _follows(kind: str, want: Entry | None, name: str, live: Objects) -> bool:
    """Whether a sequence is missing with its identity column, which is found and mended by itself."""
    if kind != "sequence" or want is None or name in live.get("sequence", {}):
        return False
    column = live.get("column", {}).get(want.get("column", ""))
    return "." in want.get("column", "") and (column is None or not column.get("identity"))


def _absent(there: Objects, here: Objects) -> set[str]:
    return there.get("table", {}).keys() - here.get("table", {}).keys()


def _within(finding: Finding, tables: set[str]) -> bool:
    """Whether it is about a part of a table that is itself a finding: missing or unknown as a whole."""
    return finding.kind in ("column", "constraint", "index", "trigger", "policy", "rule") and (
        finding.object.partition(".")[0] in tables or finding.object.rpartition(".")[0] in tables
    )


def _findings(mender: Mender, kind: str, name: str, want: Entry | None, found: Entry | None) -> Iterator[Finding]:
    if found is None:
        assert want is not None
        severity, why = MISSING.get(kind, (BREAKS, "the code relies on it"))
        if kind == "index" and want.get("unique"):
            severity, why = UNSAFE, "values may occur twice"
        if kind == "policy" and want.get("restrictive"):
            severity, why = UNSAFE, "it keeps rows from those who must not have them"
        yield Finding(name, kind, "present", "missing", severity, mender.missing(kind, name, want), why)
    elif want is None:
        severity, why = grade_extra(kind, found)
        told = _telling(kind, found)
        yield Finding(name, kind, "absent", told, severity, mender.extra(kind, name, found), why)
    else:
        differing = [key for key in sorted(want.keys() | found.keys()) if want.get(key) != found.get(key)]
        if kind in ("policy", "rule") and differing != ["comment"]:
            # Made anew as a whole, so told once.
            one, other = (", ".join(f"{key} {_words(e.get(key))}" for key in differing) for e in (want, found))
            severity, why = grade(kind, differing[0], want, found)
            yield Finding(name, kind, one, other, severity, mender.changed(kind, name, differing[0], want, found), why)
            return
        if kind == "column" and "type" in differing and "collation" in differing:
            differing.remove("collation")  # both are mended by one change of type
        if kind == "constraint" and "definition" in differing and "not_valid" in differing:
            differing.remove("not_valid")
        if kind == "index" and len({"definition", "unique", "invalid"} & set(differing)) > 1:
            differing = [key for key in differing if key not in ("unique", "invalid") or "definition" not in differing]
        for key in differing:
            severity, why = grade(kind, key, want, found)
            fix = mender.changed(kind, name, key, want, found)
            one, other = _told(key, want.get(key), found.get(key))
            yield Finding(name, f"{kind} {key.replace('_', ' ')}", one, other, severity, fix, why)


def _telling(kind: str, found: Entry) -> str:
    if kind == "policy":
        return (
            f"{found.get('command')} to {', '.join(found.get('roles', ()))}: {found.get('using') or found.get('check')}"
        )
    if kind == "table" and found.get("kind"):
        return f"a {found['kind']}"
    if kind in ("constraint", "trigger", "index"):
        return str(found.get("definition", "present"))
    return "present"


def _told(attribute: str, want: Any, found: Any) -> tuple[str, str]:
    """Two values in words; long texts shortened to where they part."""
    if attribute == "grants":
        roles = sorted({*(want or {}), *(found or {})})
        differing = [role for role in roles if (want or {}).get(role) != (found or {}).get(role)]
        return tuple(", ".join(f"{r}: {(e or {}).get(r, 'nothing')}" for r in differing) for e in (want, found))  # type: ignore[return-value]
    one, other = _words(want), _words(found)
    if max(len(one), len(other)) <= 160:
        return one, other
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(start - 30, 0)
    return tuple(f"{'...' if start else ''}{text[start : start + 120]}" for text in (one, other))  # type: ignore[return-value]


def _words(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
