"""The fixes of all findings as one SQL file to be read before it is run."""

from __future__ import annotations

from collections.abc import Iterable

from moeen.db.actions import AddForeignKey
from moeen.db.findings import Finding, commented
from moeen.db.names import ObjectKind as Of

#: In which order fixes are run: what others stand on first; then what is of no object of the catalog.
ORDER = (
    Of.ROLE, Of.SCHEMA, Of.TYPE, Of.FUNCTION, Of.AUTH_FUNCTION, Of.TABLE, Of.SEQUENCE, Of.COLUMN, Of.CONSTRAINT,
    Of.INDEX, Of.RULE, Of.TRIGGER, Of.POLICY, Of.EXTENSION, Of.OBJECT, Of.EVENT_TRIGGER, Of.DEFAULT_PRIVILEGES, None,
)  # fmt: skip


def script(findings: Iterable[Finding]) -> str:
    """The fixes as SQL to be read before it is run, in an order that works; what needs a person stands as comments."""
    parts = [
        "-- Mends what validate_schema found. Read it first. Run it with psql as the owner of the tables, not in one",
        "-- transaction (CONCURRENTLY takes part in none). Lines that begin with -- are for a person to decide.",
        "SET search_path = public;",
        "SET lock_timeout = '5s';",
    ]
    for finding in sorted(findings, key=_position):
        what = f"{_line(finding.object)}: {finding.kind}"
        parts.append(f"\n-- {finding.severity}: {what}: expected {_line(finding.expected)}")
        told = finding.fix.pretty() or "nothing can be said in SQL"
        if finding.fix.actions:
            parts.append(told if finding.fix.advice else f"{told};")
        else:
            parts.append(commented(told))
    return "\n".join(parts) + "\n"


def _line(text: str) -> str:
    return " ".join(text.split())[:200]


def _position(finding: Finding) -> tuple[bool, int, int, Finding]:
    """Leaks are shut first; then functions before tables before what stands on them; grants and comments of a missing
    table have no use."""
    foreign = any(isinstance(part, AddForeignKey) for action in finding.fix.actions for part in action.parts)
    return (not _shuts(finding), ORDER.index(finding.kind.about), int(foreign), finding)


def _shuts(finding: Finding) -> bool:
    """Whether its fix only takes rights away: it needs nothing that another fix makes first."""
    return not finding.fix.is_advice and all(action.narrows for action in finding.fix.actions)
