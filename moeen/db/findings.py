"""What a check found: one frozen record each, ready to be printed, sorted or sent as JSON."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from moeen.db.kinds import Kind
from moeen.db.names import ObjectName

#: A text of more characters is not shown whole.
LONG = 200


class Severity(enum.StrEnum):
    """How much a finding matters, worst first."""

    BREAKS = "breaks"
    UNSAFE = "unsafe"
    SLOW = "slow"
    COSMETIC = "cosmetic"


@dataclass(frozen=True, order=True)
class Finding:
    """One difference between what should be and what is.

    ``object`` names it for people (``table.column``), ``name`` is its identity where it is one object of the
    database; ``fix`` is a statement or command that mends it, or ""; ``why`` says what it matters for.
    """

    object: str
    kind: Kind
    expected: str
    found: str
    severity: Severity = Severity.BREAKS
    fix: str = ""
    why: str = ""
    name: ObjectName | None = field(default=None, compare=False)

    @property
    def table(self) -> str:
        """The relation it is about, in the `pretty` form of its name; what stands before the dot where no name is."""
        return self.name.relation.pretty() if self.name else self.object.partition(".")[0]

    @property
    def is_advice(self) -> bool:
        """Whether the fix is for a person to weigh: a comment, a command, or nothing at all."""
        return not self.fix or self.fix.startswith(("-- ", "manage.py"))

    def pretty(self) -> str:
        """One or two lines for a person; of long texts, where they begin to differ."""
        line = f"{self.object}: {self.kind}: {_contrast(self.expected, self.found)}"
        return f"{line}\n    fix: {self.fix}" if self.fix else line

    def as_dict(self) -> dict[str, str]:
        return {part.name: getattr(self, part.name) for part in fields(self) if part.name != "name"}


def _contrast(expected: str, found: str) -> str:
    if max(len(expected), len(found)) <= LONG:
        return f"expected {expected}, found {found}"
    pairs = enumerate(zip(expected, found, strict=False))
    same = next((place for place, (one, other) in pairs if one != other), min(len(expected), len(found)))
    start = max(expected.rfind("\n", 0, same) + 1, same - LONG // 4)
    number = expected.count("\n", 0, start) + 1
    where = f"from line {number} on, " if "\n" in expected + found else ""
    return f"{where}expected {_cut(expected, start)}, found {_cut(found, start)}"


def _cut(text: str, start: int) -> str:
    """One line of the text, from ``start``."""
    line, *more = text[start:].split("\n", 1)
    shown = line[: LONG // 2]
    return f"{'...' if start else ''}{shown}{'...' if more or len(line) > len(shown) else ''}"


def unique(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings without repetition, in the order of their objects."""
    return tuple(sorted(set(findings)))
