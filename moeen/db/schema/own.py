"""What is the clinic's own: it stood at adoption, no migration made it, and it stays; from then on it is no finding.

Recorded as words, one object each: `index TABLE.NAME`, `grant table TABLE ROLE PRIVILEGES`. A later
version of the code that expects an object of such a name is told of every difference as for any other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from moeen.db.findings import Finding
from moeen.db.kinds import Kind
from moeen.db.names import PUBLIC, ObjectName
from moeen.db.roles import ROLES
from moeen.db.schema.canonical import Form, Objects
from moeen.db.security.trust import PLATFORM_ROLES

#: What may be anybody's own. Rules and what a platform brings are not. A policy that opens rows to roles of ours was
#: decided upon before it came to this, see `migrate.policies`.
KINDS = (
    "schema", "table", "column", "constraint", "index", "trigger", "policy", "function", "sequence", "type",
    "extension", "object", "event trigger",
)  # fmt: skip
_OURS = frozenset({*ROLES, *PLATFORM_ROLES, "public", "PUBLIC", "owner"})


def standing(form: Form, expected: Objects) -> frozenset[str]:
    """The words of everything that the code does not know and that may be the clinic's own."""
    return frozenset(words for words, *_ in _own(form, expected))


def without(form: Form, expected: Objects, recorded: Collection[str]) -> Form:
    """The form without what was recorded as the clinic's own."""
    if not recorded:
        return form
    objects = {kind: dict(entries) for kind, entries in form.objects.items()}
    for words, kind, name, role in _own(form, expected):
        if words in recorded:
            if role:
                entry = dict(objects[kind][name])
                entry["grants"] = {who: held for who, held in entry["grants"].items() if who != role}
                objects[kind][name] = {key: value for key, value in entry.items() if value != {}}
            else:
                objects[kind].pop(name)
    return replace(form, objects={kind: entries for kind, entries in objects.items() if entries})


def _own(form: Form, expected: Objects) -> Iterator[tuple[str, str, ObjectName, str]]:
    """(words, kind, name, role): ``role`` is "" for an object, and else whose grant on an object of ours it is."""
    for kind, entries in form.objects.items():
        for name, entry in entries.items():
            want = expected.get(kind, {}).get(name)
            if want is None:
                # A function with its owner's rights works past every policy, whoever made it.
                if kind in KINDS and not entry.get("security_definer"):
                    yield f"{kind} {name.pretty()}", kind, name, ""
                continue
            for role, held in (entry.get("grants") or {}).items():
                if role not in _OURS and role not in (want.get("grants") or {}):
                    yield f"grant {kind} {name.pretty()} {role} {held}", kind, name, role


def speaks_of(finding: Finding, recorded: Collection[str]) -> bool:
    """Whether an advice is about nothing but what was recorded: the object itself, a grant, a policy beside ours."""
    if any(f"{kind} {finding.object}" in recorded for kind in KINDS):
        return True
    table = finding.object.partition(".")[0]
    if finding.kind is Kind.TABLE_GRANTS:
        role = finding.found.removeprefix("to ")
        return any(words.startswith(f"grant table {finding.object} {role} ") for words in recorded)
    if finding.kind is Kind.SEVERAL_POLICIES:
        names = {ObjectName(PUBLIC, table, name.strip()).pretty() for name in finding.found.split(",")}
        return any(f"policy {name}" in recorded for name in names)
    return False
