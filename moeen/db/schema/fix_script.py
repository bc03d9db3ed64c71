"""The fixes of all findings as one SQL file to be read before it is run."""

from __future__ import annotations

import re
from collections.abc import Iterable

from moeen.db.findings import Finding, Severity
from moeen.db.names import ObjectKind as Of
from moeen.db.statements import PATH, split

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
        if finding.fix.startswith("manage.py") or not finding.fix:
            parts.append(f"-- {finding.fix or 'nothing can be said in SQL'}")
        else:
            parts.append(_aside(finding.fix) if finding.is_advice else f"{finding.fix};")
    return "\n".join(parts) + "\n"


def _aside(text: str) -> str:
    """Advice, with every line of it a comment, those within a name too."""
    return "\n".join(line if line.startswith("--") else f"-- {line}" for line in re.split(r"[\r\n]+", text))


def _line(text: str) -> str:
    return " ".join(text.split())[:200]


def _position(finding: Finding) -> tuple[bool, int, int, Finding]:
    """Leaks are shut first; then functions before tables before what stands on them; grants and comments of a missing
    table have no use."""
    foreign = "FOREIGN KEY" in finding.fix
    return (not _shuts(finding), ORDER.index(finding.kind.about), int(foreign), finding)


_SHUTTING = re.compile(
    rf"REVOKE |DROP POLICY |ALTER TABLE {PATH} ENABLE ROW LEVEL SECURITY|ALTER ROLE |ALTER DEFAULT PRIV"
)


def _shuts(finding: Finding) -> bool:
    """Whether its fix only takes rights away: it needs nothing that another fix makes first."""
    statements = [statement.words for statement in split(finding.fix)]
    return finding.severity is Severity.UNSAFE and bool(statements) and all(map(_SHUTTING.match, statements))
