"""Two catalogs against each other: every difference is a finding, graded, with why it matters and what mends it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moeen.db.findings import Finding, Fix
from moeen.db.kinds import Kind
from moeen.db.names import ObjectName
from moeen.db.schema.canonical import Objects
from moeen.db.schema.fixes import Mender
from moeen.db.schema.grades import Entry, grade


def findings(expected: Objects, live: Objects, *, owner: str = "") -> list[Finding]:
    """What differs; empty when the two describe the same database. `owner` is named in the fixes."""
    mender = Mender(expected, live, owner)
    found: list[Finding] = []
    for kind in expected.keys() | live.keys():
        one, other = expected.get(kind, {}), live.get(kind, {})
        for name in one.keys() | other.keys():
            if one.get(name) == other.get(name) or _follows(kind, one.get(name), name, live):
                continue
            # Of a table that is missing or unknown as a whole the parts are not told.
            if kind not in _PARTS or (_stands(name, expected) and _stands(name, live)):
                found.extend(_findings(mender, kind, name, one.get(name), other.get(name)))
    return sorted(found)


_PARTS = ("column", "constraint", "index", "trigger", "policy", "rule")


def _stands(name: ObjectName, objects: Objects) -> bool:
    return name.relation in objects.get("table", {})


def _follows(kind: str, want: Entry | None, name: ObjectName, live: Objects) -> bool:
    """Whether a sequence is missing with its identity column, which is found and mended by itself."""
    if kind != "sequence" or want is None or name in live.get("sequence", {}):
        return False
    if not want.get("column"):
        return False
    column = live.get("column", {}).get(ObjectName.of("column", want["column"]))
    return column is None or not column.get("identity")


def _findings(
    mender: Mender, kind: str, name: ObjectName, want: Entry | None, found: Entry | None
) -> Iterator[Finding]:
    """What differs of one object, which is expected, or stands, or both."""

    def finding(told: Kind, expected: str, stands: str, fix: Fix, attribute: str = "") -> Finding:
        severity, why = grade(told, attribute, want or {}, found or {})
        return Finding(name.pretty(), told, expected, stands, severity, fix, why, name)

    if found is None:
        assert want is not None
        yield finding(Kind.missing(kind), "present", "missing", mender.missing(kind, name, want))
    elif want is None:
        yield finding(Kind.unexpected(kind), "absent", _telling(kind, found), mender.extra(kind, name, found))
    else:
        differing = [key for key in sorted(want.keys() | found.keys()) if want.get(key) != found.get(key)]
        if kind in ("policy", "rule") and differing != ["comment"]:
            # Made anew as a whole, so told once.
            one, other = (", ".join(f"{key} {_words(e.get(key))}" for key in differing) for e in (want, found))
            fix = mender.changed(kind, name, "definition", want, found)
            yield finding(Kind.changed(kind, "definition"), one, other, fix)
            return
        if kind == "column" and "type" in differing and "collation" in differing:
            differing.remove("collation")  # both are mended by one change of type
        if kind == "constraint" and "definition" in differing and "not_valid" in differing:
            differing.remove("not_valid")
        if kind == "index" and len({"definition", "unique", "invalid"} & set(differing)) > 1:
            differing = [key for key in differing if key not in ("unique", "invalid") or "definition" not in differing]
        for key in differing:
            fix = mender.changed(kind, name, key, want, found)
            one, other = _told(key, want.get(key), found.get(key))
            yield finding(Kind.changed(kind, key), one, other, fix, key)


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
